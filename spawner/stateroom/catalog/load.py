"""From the catalog file to a Catalog, with a line number for every fault.

Every scalar stays text as it was written, and the models read it: YAML's own
readings (`yes` is true, `010` is 8, `1:30` is 90) never get in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.consistency import Fault, Parts, contradictions, parts_of
from stateroom.catalog.images import Image
from stateroom.catalog.people import Group, User
from stateroom.catalog.scalars import Model
from stateroom.catalog.sizes import Custom, Quota, Size
from stateroom.common.errors import CatalogError
from stateroom.common.text import no_such_key, quoted
from stateroom.common.yaml_source import MOST_FAULTS, Document, read_text

_NOUN = "a catalog"

_Path = tuple[str | int, ...]
_Model = TypeVar("_Model", bound=Model)


def load_catalog(path: Path, further: Callable[[Catalog], Iterable[Fault]] = lambda _: ()) -> Catalog:
    """Read and check the file; `further` finds the faults of one that holds otherwise.

    Raises CatalogError with a line for each fault, such as
    `catalog.yaml:14:9: sizes[2].memory: "2 GBs" is not an amount of memory`.
    """
    return parse_catalog(read_text(path, _NOUN), path.name, further)


def parse_catalog(
    text: str, name: str = "catalog.yaml", further: Callable[[Catalog], Iterable[Fault]] = lambda _: ()
) -> Catalog:
    """Check a catalog's text; `name` stands before each fault, and `further` is as above. Raises CatalogError."""
    document = Document(name, _NOUN, empty="is empty; it needs version, images and sizes")
    data = document.read(text)
    if document.faults:
        raise CatalogError(document.faults[:MOST_FAULTS])
    catalog: Catalog | None = None
    problems: list[tuple[_Path, str]] = []
    try:
        catalog = Catalog.model_validate(data)
    except ValidationError as error:
        own = sorted(_own_faults(error), key=lambda fault: document.place(fault["loc"]))
        problems = [(fault["loc"], _sentence(fault)) for fault in own[:MOST_FAULTS]]
    parts = parts_of(catalog) if catalog else _valid_parts(data)
    problems += islice(contradictions(parts), MOST_FAULTS)
    if catalog and not problems:
        problems += islice(further(catalog), MOST_FAULTS)
    if catalog is None or problems:
        raise CatalogError(document.placed(problems)[:MOST_FAULTS])
    return catalog


def _valid_parts(data: Any) -> Parts:
    """What of the data holds on its own."""
    sections = data if isinstance(data, dict) else {}
    images = [_valid(Image, item) for item in _list(sections.get("images"))]
    sizes = [_valid(Size, item) for item in _list(sections.get("sizes"))]
    groups = {name: _valid(Group, item) for name, item in _dict(sections.get("groups")).items()}
    users = {name: _valid(User, item) for name, item in _dict(sections.get("users")).items()}
    custom = _valid(Custom, sections["custom"]) if sections.get("custom") is not None else None
    quota = _valid(Quota, sections.get("quota"))
    # What is missing, empty or no list is a fault that says enough. A section may stand under a misspelled name.
    misspelled = not sections.keys() <= Catalog.model_fields.keys()
    broken = {
        "images": None in images or not images,
        "sizes": None in sizes or not sizes,
        "custom": custom is None and (misspelled or sections.get("custom") is not None),
        "groups": not groups and (misspelled or not isinstance(sections.get("groups"), (dict, type(None)))),
    }
    if misspelled and "quota" not in sections:
        quota = None
    broken_ones = frozenset(name for name, is_broken in broken.items() if is_broken)
    return Parts(images, sizes, custom, quota, groups, users, broken_ones)


def _valid(model: type[_Model], data: Any) -> _Model | None:
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _list(data: Any) -> list[Any]:
    return data if isinstance(data, list) else []


def _dict(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


def _own_faults(error: ValidationError) -> list[Any]:
    """The faults without those that only follow from one further in."""
    faults = error.errors(include_url=False)
    inner = {place[:end] for place in (fault["loc"] for fault in faults) for end in range(len(place))}
    return [fault for fault in faults if fault["loc"] not in inner]


_FORMS = {
    "tuple_type": "write a list, such as [one, two]",
    "dict_type": "write keys with their values",
    "model_type": "write keys with their values",
    "string_type": "write a text",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
}


def _sentence(fault: Any) -> str:
    kind, found, message = fault["type"], fault.get("input"), str(fault["msg"])
    context = fault.get("ctx", {})
    if kind in _FORMS:
        return f"{'nothing' if found is None else quoted(found)} is no value for this; {_FORMS[kind]}"
    match kind:
        case "extra_forbidden":
            told = no_such_key(fault["loc"][-1], _keys_at(fault["loc"][:-1]))
        case "missing":
            told = "is missing"
        case "literal_error":
            words = [word.strip("'") for word in str(context["expected"]).replace(" or ", ", ").split(", ")]
            told = f"{quoted(found)} is not known here; write {' or '.join(words)}"
        case "string_too_long":
            told = f"is longer than {context['max_length']} letters; shorten it"
        case "string_too_short":
            told = "is empty; write a text"
        case "value_error":
            told = message.removeprefix("Value error, ")
        case _:
            told = f"{quoted(found)}: {message[0].lower()}{message[1:]}"
    return told


def _keys_at(path: Sequence[str | int]) -> list[str]:
    """The keys that may stand at a place of the catalog."""
    found: Any = Catalog
    for part in path:
        found = _without_none(found)
        if get_origin(found) in (tuple, dict):
            found = get_args(found)[0 if get_origin(found) is tuple else 1]
        elif isinstance(found, type) and issubclass(found, BaseModel) and part in found.model_fields:
            found = found.model_fields[str(part)].annotation
    found = _without_none(found)
    return list(found.model_fields) if isinstance(found, type) and issubclass(found, BaseModel) else []


def _without_none(annotation: Any) -> Any:
    """`Model` of `Model | None`."""
    if get_origin(annotation) in (Union, UnionType):
        return next(part for part in get_args(annotation) if part is not type(None))
    return annotation
