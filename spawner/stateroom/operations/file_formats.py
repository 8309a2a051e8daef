"""The formats of the files that operators write, as JSON Schema for editors and as a page for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stateroom.catalog.reference import catalog_schema, reference_page
from stateroom.operations.chart_values.schema import values_page, values_schema


@dataclass(frozen=True, slots=True)
class FileFormat:
    """The format of one kind of file."""

    schema: Callable[[], dict[str, Any]]
    page: Callable[[], str]  # in Markdown


CATALOG = FileFormat(catalog_schema, reference_page)
CHART_VALUES = FileFormat(values_schema, values_page)
