"""From the catalog file to a Catalog, with a line number for every fault.

Every scalar stays text as it was written, and the models read it: YAML's own
readings (`yes` is true, `010` is 8, `1:30` is 90) never get in the way.

In a hub one thread looks at the file twice a second, so that no request waits
for the reading, and takes a change once the file has stood still for a look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from stateroom.catalog import Catalog, Custom, Group, Image, Model, Quota, Size, User
from stateroom.contradictions import Fault, Parts, contradictions, parts_of
from stateroom.document import MOST_FAULTS, Document, read_text
from stateroom.errors import CatalogError
from stateroom.files import file_signature
from stateroom.wording import listed, no_such_key, quoted

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
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


@dataclass(frozen=True, slots=True)
class _View:
    """What is in force, and what is wrong with the file as it is now."""

    catalog: Catalog
    problems: tuple[str, ...] = ()


class CatalogFile:
    """The catalog in force: what the file says, or what it said when it last held."""

    def __init__(self, path: Path) -> None:
        """Raises CatalogError: there is no last good one yet."""
        self._path = path
        self._read_at = self._seen = _signature(path)
        self._view = _View(load_catalog(path))

    @property
    def catalog(self) -> Catalog:
        """The catalog in force."""
        return self._view.catalog

    @property
    def problems(self) -> tuple[str, ...]:
        """A line for each fault of the file as it is now, none if `catalog` is what it says."""
        return self._view.problems

    def look(self) -> bool:
        """Take over a change of the file, at the second look that sees it the same; whether the catalog changed.

        A file that is written in place is half there at first.
        """
        seen, before = _signature(self._path), self._seen
        self._seen = seen
        if seen != before or seen == self._read_at:
            return False
        self._read_at = seen
        return self._read_again()

    def keep_looking(self) -> None:
        """Look twice a second from now on, in a thread that ends with the process."""
        threading.Thread(target=self._look_for_ever, name="catalog", daemon=True).start()

    def _look_for_ever(self) -> None:
        pause = threading.Event()
        while not pause.wait(_LOOK_SECONDS):
            try:
                self.look()
            except Exception:  # whatever one file holds, the next one is looked at
                log.exception("The catalog could not be read; the last good one serves on.")

    def _read_again(self) -> bool:
        old = self._view.catalog
        try:
            new = load_catalog(self._path)
        except CatalogError as error:
            self._view = _View(old, error.problems)
            log.error("The catalog is broken; the last good one serves on. %s", "; ".join(error.problems))  # noqa: TRY400 - the sentence says it all
            return False
        self._view = _View(new)
        log.info("The catalog was read again from %s: %s.", self._path, changes(old, new))
        return new != old


def changes(old: Catalog, new: Catalog) -> str:
    """What an edit did, in words, such as "images: added gpu; sizes: altered large; altered: idle"."""
    words = [
        f"{section}: {told}"
        for section in ("images", "sizes", "groups", "users")
        if (told := _entries_changed(_by_name(getattr(old, section)), _by_name(getattr(new, section))))
    ]
    rest = [
        section
        for section in Catalog.model_fields
        if section not in {"images", "sizes", "groups", "users"} and getattr(old, section) != getattr(new, section)
    ]
    return "; ".join([*words, f"altered: {listed(rest)}"] if rest else words) or "it says the same as before"


def _by_name(entries: Mapping[str, Model] | Sequence[Image | Size]) -> Mapping[str, Model]:
    return entries if isinstance(entries, Mapping) else {entry.id: entry for entry in entries}


def _entries_changed(old: Mapping[str, Model], new: Mapping[str, Model]) -> str:
    groups = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "altered": [name for name in new if name in old and new[name] != old[name]],
    }
    words = [f"{what} {listed(names)}" for what, names in groups.items() if names]
    if [name for name in old if name in new] != [name for name in new if name in old]:
        words.append("in another order")
    return ", ".join(words)


@cache
def watched_catalog_file(path: Path) -> CatalogFile:
    """The process's one view of the file, kept up to date. What was good when the hub started is the last good one."""
    file = CatalogFile(path)
    file.keep_looking()
    return file


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        return file_signature(path)
    except OSError:
        return None


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
