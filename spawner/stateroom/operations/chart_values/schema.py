"""The chart's values as JSON Schema, which ships with the chart, and as a page for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from stateroom.operations.chart_values.chart import Section, Value, chart_values

# Helm 3 reads this one and none after it.
_DIALECT = "http://json-schema.org/draft-07/schema#"

# Helm's own, for charts that hold this one.
_GLOBAL = {
    "description": "Values that a chart around this one shares with it. Nothing here reads them.",
    "type": "object",
}


def values_schema() -> dict[str, Any]:
    """Return the JSON Schema that ships with the chart, with which Helm refuses misspelled keys."""
    schema = _schema(chart_values())
    schema["properties"]["global"] = _GLOBAL
    return {"$schema": _DIALECT, "title": "Values of Stateroom's chart", **schema}


def _schema(part: Section | Value) -> dict[str, Any]:
    described = {"description": part.description} if part.description else {}
    if isinstance(part, Value):
        return {**described, **part.form, "default": part.default}
    properties = {inner.path[-1]: _schema(inner) for inner in part.parts}
    return {**described, "type": "object", "properties": properties, "additionalProperties": False}


def values_page() -> str:
    """Return a Markdown table of the values and sections, in the file's order."""
    return "\n".join(["| value | default | is |", "|---|---|---|", *_rows(chart_values())])


def _rows(section: Section) -> Iterator[str]:
    for part in section.parts:
        default = _written(part.default) if isinstance(part, Value) else ""
        if part.description or default:
            cells = [f"`{'.'.join(part.path)}`", default, part.description]
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if isinstance(part, Section):
            yield from _rows(part)


def _written(default: Any) -> str:
    """Format a default as YAML on one line, or refer to the file if it has many lines."""
    if isinstance(default, str) and "\n" in default:
        return "[as in the file](values.yaml)"
    line = yaml.safe_dump(default, default_flow_style=True, sort_keys=False, width=1_000_000).removesuffix("\n...\n")
    return f"`{line.strip() if default else line.strip().replace(chr(39), chr(34))}`"
