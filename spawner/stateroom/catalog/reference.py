"""The catalog's format in other forms, made from the models: JSON Schema for editors, a page for people."""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, PlainSerializer
from pydantic.fields import FieldInfo

from stateroom.catalog.catalog import Catalog

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def catalog_schema() -> dict[str, Any]:
    """The JSON Schema of a catalog. It knows the form of each part; contradictions are for `check`."""
    return {"$schema": DIALECT, **Catalog.model_json_schema(), "title": "Stateroom catalog"}


def reference_page() -> str:
    """Markdown: a table for the top of the file, then one for each part, in their order."""
    return "\n".join(line for section in _sections() for line in section)


def _sections() -> Iterator[list[str]]:
    for model, paths in _places().items():
        if any(paths):
            yield ["", "### " + ", ".join(f"`{path}`" for path in paths), "", str(model.__doc__).strip(), ""]
        yield ["| key | is | default |", "|---|---|---|"]
        for name, field in model.model_fields.items():
            yield [f"| `{name}` | {field.description} | {_default(field)} |"]


def _places() -> dict[type[BaseModel], list[str]]:
    """Every model of the catalog with the paths at which it stands, such as `groups.NAME.quota`."""
    places: dict[type[BaseModel], list[str]] = {Catalog: [""]}
    waiting: list[type[BaseModel]] = [Catalog]
    while waiting:
        model = waiting.pop(0)
        for name, field in model.model_fields.items():
            for inner, ending in _inner(field.annotation):
                if inner not in places:
                    places[inner] = []
                    waiting.append(inner)
                places[inner] += [f"{path}.{name}{ending}".removeprefix(".") for path in places[model]]
    return places


def _inner(annotation: Any) -> Iterator[tuple[type[BaseModel], str]]:
    """The models inside an annotation, each with what a path needs to reach into it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, ""
        return
    endings = {tuple: "[]", dict: ".NAME", Union: "", UnionType: ""}
    if (origin := get_origin(annotation)) in endings:
        for argument in get_args(annotation):
            for model, ending in _inner(argument):
                yield model, endings[origin] + ending


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ("", (), {}) or isinstance(value, BaseModel):
        return ""
    written: Any = next((part.func for part in field.metadata if isinstance(part, PlainSerializer)), str)
    return f"`{str(value).lower() if isinstance(value, bool) else written(value)}`"
