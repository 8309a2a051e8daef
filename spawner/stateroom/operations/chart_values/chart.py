"""The chart's own values: what may be set, read from its commented values.yaml.

The comments of that file are the one source. The lines right above a key
describe it, and one such as `# schema: {minimum: 1}` adds to what its default
says of its form. A key is a section where keys of its own have comments; every
other is a value, whatever its default is. The lines at the top of the file
describe all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.common.shipped import shipped

CATALOG_PATH = ("catalog",)

_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
_SCHEMA = "schema: "


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart. `form` is what JSON Schema says of it, besides the default and the description."""

    path: tuple[str, ...]
    description: str
    default: Any
    form: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """Values under one key."""

    path: tuple[str, ...]
    description: str
    parts: tuple[Section | Value, ...]


def chart_folder() -> Path:
    """Return the chart's folder: inside an installed package, else in the checkout."""
    return shipped("chart", "helm/stateroom")


@cache
def chart_values() -> Section:
    """Return all values of the chart."""
    return section_from((chart_folder() / "values.yaml").read_text(encoding="utf-8"))


def chart_catalog() -> Catalog:
    """Return the catalog that the chart uses by default."""
    return parse_catalog(next(value.default for value in values_of(chart_values()) if value.path == CATALOG_PATH))


def section_from(text: str) -> Section:
    """Return the values that a commented file describes."""
    lines = text.splitlines()
    head = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    root: Any = yaml.compose(text, yaml.SafeLoader)
    return Section((), _words(lines[:head]), tuple(_parts((), root, yaml.safe_load(text), lines)))


def values_of(section: Section) -> Iterator[Value]:
    """Yield every value of a section, in order."""
    for part in section.parts:
        if isinstance(part, Value):
            yield part
        else:
            yield from values_of(part)


def _parts(
    path: tuple[str, ...], node: yaml.MappingNode, data: Mapping[str, Any], lines: Sequence[str]
) -> Iterator[Section | Value]:
    for key, value in node.value:
        name, above = key.value, _comment(lines, key.start_mark)
        place = (*path, name)
        inner = value.value if isinstance(value, yaml.MappingNode) else []
        if any(_comment(lines, inner_key.start_mark) for inner_key, _ in inner):
            yield Section(place, _words(above), tuple(_parts(place, value, data[name], lines)))
        else:
            form = {"type": _TYPES[type(data[name])]} | _keywords(above)
            yield Value(place, _words(above), data[name], form)


def _comment(lines: Sequence[str], mark: Any) -> list[str]:
    """Return the comment right above a key, at its indentation, unless the file starts with it."""
    begin, end = " " * mark.column + "#", mark.line
    first = end
    while first and lines[first - 1].startswith(begin):
        first -= 1
    return list(lines[first:end]) if first else []


def _words(comment: Sequence[str]) -> str:
    texts = (line.strip().removeprefix("#").strip() for line in comment)
    return " ".join(text for text in texts if not text.startswith(_SCHEMA))


def _keywords(comment: Sequence[str]) -> dict[str, Any]:
    texts = (line.strip().removeprefix("#").strip() for line in comment)
    keywords: dict[str, Any] = {}
    for text in texts:
        if text.startswith(_SCHEMA):
            keywords |= yaml.safe_load(text.removeprefix(_SCHEMA))
    return keywords
