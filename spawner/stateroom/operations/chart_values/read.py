"""Reads a file of the chart's values, and finds what is wrong with it, the catalog in it included.

Helm merges a file over the defaults and then asks the schema. A null never
gets there, since it takes the default away, and the templates find nothing.
So a null is a fault where the chart has a value, and accepted further inside
one, as in `hub.resources.limits`, where it has a use.

Imported only where it is used: the schema's validator takes most of a second to import.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.consistency import Fault
from stateroom.catalog.load import parse_catalog
from stateroom.common.errors import CatalogError, CatalogFault
from stateroom.common.text import clipped, no_such_key, quoted
from stateroom.common.yaml_source import MOST_FAULTS, Document, in_order, read_text
from stateroom.operations.chart_values.chart import CATALOG_PATH, Section, chart_values, values_of
from stateroom.operations.chart_values.consistency import Path as KeyPath
from stateroom.operations.chart_values.consistency import contradictions, hints, settings_of
from stateroom.operations.chart_values.helm_yaml import as_helm_reads
from stateroom.operations.chart_values.schema import values_schema

A_FILE_OF_VALUES = "a file of values"


@dataclass(frozen=True, slots=True)
class Values:
    """The result of reading a file of values."""

    faults: tuple[CatalogFault, ...] = ()
    hints: tuple[str, ...] = ()  # what is no fault, and better known
    catalog: Catalog | None = None  # its own, if it has one that holds


def values_faults(text: str, name: str = "values.yaml") -> list[CatalogFault]:
    """Return every fault of a file of values, in order. `name` is the file's name in messages."""
    return list(read_values(text, name).faults)


def read_values_file(path: Path, further: Callable[[Catalog], Iterable[Fault]], *, with_catalog: bool) -> Values:
    """Check a file of values; see `read_values`. A file that cannot be read has a fault."""
    try:
        return read_values(read_text(path, A_FILE_OF_VALUES), path.name, further, with_catalog=with_catalog)
    except CatalogError as error:
        return Values(error.faults)


def read_values(
    text: str,
    name: str = "values.yaml",
    further: Callable[[Catalog], Iterable[Fault]] = lambda _: (),
    *,
    with_catalog: bool = True,
) -> Values:
    """Check a file of values, and the catalog in it, of which `further` finds faults if it holds otherwise.

    With another catalog beside the file, as by `--set-file catalog=`, the one in it does not count.
    """
    document = Document(name, A_FILE_OF_VALUES, meaning=as_helm_reads)
    data = document.read(text)
    if document.faults:
        return Values(tuple(document.faults[:MOST_FAULTS]))
    data = {} if data is None else data
    found = sorted(_faults_of_form(data, document), key=lambda fault: document.place(fault[0]))
    settings = settings_of(data, found)
    contradictory = islice(contradictions(settings), MOST_FAULTS)
    catalog, faults = None, document.placed([*found[:MOST_FAULTS], *contradictory])
    if with_catalog and settings.written.get("catalog") is not None:
        try:
            catalog = parse_catalog(settings["catalog"], name, further)
        except CatalogError as error:
            place = _place_of_catalog(document, text)
            faults += [place(fault) for fault in error.faults]
    return Values(tuple(in_order(faults)[:MOST_FAULTS]), tuple(hints(settings)), catalog)


def _faults_of_form(data: Any, document: Document) -> Iterator[tuple[KeyPath, str]]:
    """Yield what the schema refuses, with its path."""
    for error in Draft7Validator(values_schema()).iter_errors(data):
        path = tuple(error.absolute_path)
        if error.validator == "additionalProperties":
            for key in (key for key in error.instance if key not in error.schema["properties"]):
                yield (*path, key), _no_such_value(path, key)
        else:
            yield path, _sentence(error, path, document.written(path))


def _no_such_value(path: KeyPath, key: str) -> str:
    elsewhere = [".".join(value.path) for value in values_of(chart_values()) if value.path[-1] == key]
    if len(elsewhere) == 1:
        return f'there is no such key; did you mean "{elsewhere[0]}"?'
    return no_such_key(key, _keys_at(path))


def _keys_at(path: KeyPath) -> list[str]:
    """Return the keys of a section."""
    found = chart_values()
    for name in path:
        found = next(part for part in found.parts if part.path[-1] == name and isinstance(part, Section))
    return [part.path[-1] for part in found.parts]


_FORMS = {
    "boolean": "write true or false",
    "integer": "write a whole number",
    "number": "write a number",
    "string": "write a text",
    "array": "write a list, such as [one, two]",
    "object": "write keys with their values",
}


def _sentence(error: Any, path: KeyPath, written: str) -> str:
    """Describe a fault of form. `written` is the scalar as written in the file, if it is one."""
    found, limit = error.instance, error.validator_value
    shown = quoted(written or found)
    match error.validator:
        case "type" if found is None:
            sentence = f"nothing is no value for this; leave it out for the default, or {_FORMS[limit]}"
        case "type" if path == CATALOG_PATH and isinstance(found, (dict, list)):
            sentence = f"{shown} is no value for this; write it as text, in lines after `catalog: |`"
        case "type" if limit == "string" and isinstance(found, (bool, int, float)):
            # Without the value, which may be a password.
            sentence = f"is read as {'true or false' if isinstance(found, bool) else 'a number'}; put it in quotes"
        case "type":
            sentence = f"{shown} is no value for this; {_FORMS[limit]}"
        case "enum":
            sentence = f"{shown} is not known here; write {' or '.join(map(str, limit))}"
        case "minimum":
            sentence = f"{shown} is too little; write {limit} or more"
        case "maximum":
            sentence = f"{shown} is too much; write {limit} or less"
        case _:
            sentence = clipped(error.message)
    return sentence


_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")  # what ends a line in YAML


def _place_of_catalog(document: Document, text: str) -> Callable[[CatalogFault], CatalogFault]:
    """Return a function that maps a fault of the catalog to its line in the file, if the catalog is a block."""
    key, begin = document.place(CATALOG_PATH), document.block(CATALOG_PATH)
    inner = _BREAK.split(document.written(CATALOG_PATH))
    outer = _BREAK.split(text)[begin : begin + len(inner)]
    first = next((index for index, line in enumerate(inner) if line), 0)
    indent = len(outer[first]) - len(inner[first]) if first < len(outer) else 0
    by_line = begin and all(outer_line[indent:] == line for line, outer_line in zip(inner, outer, strict=False) if line)

    def placed(fault: CatalogFault) -> CatalogFault:
        if by_line and fault.line:
            where = f"catalog.{fault.where}" if fault.where else "catalog"
            column = fault.column + indent if fault.column else 0
            return CatalogFault(fault.file, fault.sentence, fault.line + begin, column, where)
        where = f"catalog, line {fault.line}" if fault.line else "catalog"
        return CatalogFault(fault.file, fault.sentence, *key, ": ".join(filter(None, (where, fault.where))))

    return placed
