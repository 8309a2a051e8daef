"""From the catalog file to a Catalog, with a line number for every fault.

YAML is composed to nodes, not loaded to objects: nodes keep their place in the
file, and duplicate keys, which a YAML loader passes over, are seen. Every
scalar stays text as it was written, and the models read it: YAML's own
readings (`yes` is true, `010` is 8, `1:30` is 90) never get in the way.
Anchors, aliases and merges (`<<`) count; tags are refused.

In a hub one thread looks at the file twice a second, so that no request waits
for the reading, and takes a change once the file has stood still for a look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from yaml.composer import Composer
from yaml.resolver import BaseResolver

from stateroom.catalog import Catalog, Custom, Group, Image, Model, Quota, Size, User
from stateroom.contradictions import Fault, Parts, contradictions, parts_of
from stateroom.errors import CatalogError, CatalogFault
from stateroom.files import file_signature
from stateroom.wording import clipped, did_you_mean, joined, listed, quoted, shown

log = logging.getLogger(__name__)

# Far beyond any real catalog, and still read in well under a second.
_LARGEST_FILE = 1024 * 1024
_MOST_VALUES = 50_000
_DEEPEST = 50
_MOST_FAULTS = 100  # more of them help nobody

_LOOK_SECONDS = 0.5

_Path = tuple[str | int, ...]
_Model = TypeVar("_Model", bound=Model)


class _Place(NamedTuple):
    line: int
    column: int


def load_catalog(path: Path, further: Callable[[Catalog], Iterable[Fault]] = lambda _: ()) -> Catalog:
    """Read and check the file; `further` finds the faults of one that holds otherwise.

    Raises CatalogError with a line for each fault, such as
    `catalog.yaml:14:9: sizes[2].memory: "2 GBs" is not an amount of memory`.
    """
    try:
        text = _read(path)
        return parse_catalog(text, path.name, further)
    except OSError as error:
        raise CatalogError([CatalogFault(str(path), f"cannot be read: {error.strerror}")]) from error


def parse_catalog(
    text: str, name: str = "catalog.yaml", further: Callable[[Catalog], Iterable[Fault]] = lambda _: ()
) -> Catalog:
    """Check a catalog's text; `name` stands before each fault, and `further` is as above. Raises CatalogError."""
    document = _Document(name)
    data = document.read(text)
    if document.faults:
        raise CatalogError(document.faults[:_MOST_FAULTS])
    catalog: Catalog | None = None
    problems: list[tuple[_Path, str]] = []
    try:
        catalog = Catalog.model_validate(data)
    except ValidationError as error:
        own = sorted(_own_faults(error), key=lambda fault: document.place(fault["loc"]))
        problems = [(fault["loc"], _sentence(fault)) for fault in own[:_MOST_FAULTS]]
    parts = parts_of(catalog) if catalog else _valid_parts(data)
    problems += islice(contradictions(parts), _MOST_FAULTS)
    if catalog and not problems:
        problems += islice(further(catalog), _MOST_FAULTS)
    if catalog is None or problems:
        raise CatalogError(document.placed(problems)[:_MOST_FAULTS])
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


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        sentence = f"larger than {_LARGEST_FILE // 1024} KiB; a catalog is a short text"
        raise CatalogError([CatalogFault(path.name, sentence)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CatalogError([CatalogFault(path.name, "is not UTF-8 text", line)]) from error


class _Texts(BaseResolver):
    """Resolves nothing but `null` and `<<`: a scalar is the text that was written."""


_Texts.add_implicit_resolver(
    "tag:yaml.org,2002:null", yaml.SafeLoader.yaml_implicit_resolvers["~"][0][1], ["~", "n", "N", ""]
)
_Texts.add_implicit_resolver("tag:yaml.org,2002:merge", yaml.SafeLoader.yaml_implicit_resolvers["<"][0][1], ["<"])


class _Composer(Composer):
    """Composes in Python, whose recursion has an end, and stops where a text holds too much."""

    _composed = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._composed += 1
        if self._composed > 2 * _MOST_VALUES:  # a key is a node too
            raise _TooLarge
        return super().compose_node(parent, index)


# Scanned in C where PyYAML has it, ten times as fast.
if yaml.__with_libyaml__:
    from yaml._yaml import CParser

    class _Loader(_Composer, CParser, _Texts):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            _Composer.__init__(self)
            _Texts.__init__(self)

else:

    class _Loader(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser, _Composer, _Texts):  # type: ignore[no-redef]
        def __init__(self, text: str) -> None:
            yaml.reader.Reader.__init__(self, text)
            yaml.scanner.Scanner.__init__(self)
            yaml.parser.Parser.__init__(self)
            _Composer.__init__(self)
            _Texts.__init__(self)


_NULL, _MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"
_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq")} | {_NULL, _MERGE}

# PyYAML's words, where they say little by themselves.
_CLEARER = {
    "second occurrence": "the name of an anchor is taken already; give each its own",
    "but found another document": "a second document begins here; a catalog is one",
}

# Libyaml has a limit of its own since the one in PyYAML 6.0.4.
_DEPTH_OF_LIBYAML = "exceeded maximum nesting depth"
_NESTED = "is not a catalog: it is nested too deeply"

_NOWHERE = _Place(0, 0)


def _of(mark: Any) -> _Place:
    return _Place(mark.line + 1, mark.column + 1)


class _Document:
    """One YAML text: its data, the place of each value, and what is wrong with its form."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._places: dict[_Path, _Place] = {}
        self._values = 0
        self._faults: dict[CatalogFault, None] = {}  # an alias meets the same ones again

    @property
    def faults(self) -> list[CatalogFault]:
        return _in_order(self._faults)

    def read(self, text: str) -> Any:
        try:
            node = _Loader(text).get_single_node()
            if node is None:
                self._add("is empty; it needs version, images and sizes", _Place(1, 1))
                return None
            return self._value(node, ())
        except yaml.MarkedYAMLError as error:
            mark, problem = error.problem_mark or error.context_mark, str(error.problem or error.context)
            if problem == _DEPTH_OF_LIBYAML:
                self._add(_NESTED, _NOWHERE)
            else:
                self._add(f"is not YAML: {_CLEARER.get(problem, clipped(problem))}", _of(mark) if mark else _NOWHERE)
        except yaml.reader.ReaderError as error:
            found = f"#x{error.character:04x}" if isinstance(error.character, int) else quoted(error.character)
            self._add(f"is not a catalog: it holds the character {found}", _NOWHERE)
        except _TooLarge:
            self._add(f"is not a catalog: it has more than {_MOST_VALUES} values, or its aliases multiply", _NOWHERE)
        except (_TooDeep, RecursionError):
            self._add(_NESTED, _NOWHERE)
        except UnicodeError:
            self._add("is not a catalog: it holds half a character", _NOWHERE)
        return None

    def placed(self, found: Sequence[tuple[Sequence[str | int], str]]) -> list[CatalogFault]:
        """Each fault with its place, in the order of the file."""
        return _in_order(
            CatalogFault(self._name, sentence, *self.place(path), spelled(path)) for path, sentence in found
        )

    def _add(self, sentence: str, place: _Place) -> None:
        self._faults[CatalogFault(self._name, sentence, *place)] = None

    def place(self, path: Sequence[str | int]) -> _Place:
        """Of the value, or of what should have held it."""
        return next((self._places[part] for part in _outwards(tuple(path)) if part in self._places), _Place(1, 1))

    def _fault(self, node: yaml.Node, sentence: str) -> None:
        self._add(sentence, _of(node.start_mark))

    def _value(self, node: yaml.Node, path: _Path, place: _Place | None = None) -> Any:
        # Every visit counts, so that an alias that multiplies itself is met early.
        self._values += 1
        if self._values > _MOST_VALUES:
            raise _TooLarge
        if len(path) > _DEEPEST:
            raise _TooDeep
        self._check_tag(node)
        self._places[path] = place or _of(node.start_mark)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        return None if node.tag == _NULL else node.value

    def _mapping(self, node: yaml.MappingNode, path: _Path) -> dict[str, Any]:
        merges = [(key, value) for key, value in node.value if key.tag == _MERGE]
        for again, _ in merges[1:]:
            self._fault(again, '"<<" is written twice; name all in one list, like <<: [*one, *other]')
        merged = self._merged(merges[0][1], path) if merges else {}
        # After the merge, since what is written here wins, and so does its place.
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            self._check_tag(key_node)
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in data:
                self._fault(key_node, f"{quoted(key)} is written twice; keep one")
            data[key] = self._value(value_node, (*path, key), _of(key_node.start_mark))
        return merged | data

    def _merged(self, node: yaml.Node, path: _Path) -> dict[str, Any]:
        self._check_tag(node)
        merged: dict[str, Any] = {}
        for layer in reversed(node.value if isinstance(node, yaml.SequenceNode) else [node]):  # an earlier one wins
            value = self._value(layer, path, self._places[path])
            if isinstance(value, dict):
                merged |= value
            else:
                self._fault(node, "<< takes over the keys of another part; name one by its anchor, like <<: *name")
        return merged

    def _check_tag(self, node: yaml.Node) -> None:
        if node.tag not in _PLAIN_TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self._fault(node, f"{quoted(tag)} is a YAML tag; a catalog needs none, remove it")


class _TooLarge(Exception):
    pass


class _TooDeep(Exception):
    pass


def _in_order(faults: Iterable[CatalogFault]) -> list[CatalogFault]:
    return sorted(faults, key=lambda fault: (fault.line, fault.column))


def _outwards(path: _Path) -> Iterator[_Path]:
    for end in range(len(path), -1, -1):
        yield path[:end]


def spelled(path: Sequence[str | int]) -> str:
    """A place as it is told, such as "sizes[2].memory"."""
    parts = (part for part in path if part != "[key]")  # a key at fault stands there already
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in parts)
    return text.removeprefix(".")


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
            known = _keys_at(fault["loc"][:-1])
            told = f"there is no such key{did_you_mean(fault['loc'][-1], known) or f'; there are {joined(known)}'}"
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
