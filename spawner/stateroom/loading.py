"""From the catalog file to a Catalog, with a line number for every fault.

YAML is composed to nodes, not loaded to objects: nodes keep their place in the
file, and duplicate keys, which a YAML loader passes over, are seen. A changed
file is noticed by its status at the next look, which costs one `stat` and
needs no thread; a symlink that moves (a mounted ConfigMap) changes the inode.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from stateroom.catalog import Catalog
from stateroom.errors import CatalogError
from stateroom.files import file_signature
from stateroom.quantity import quoted

log = logging.getLogger(__name__)

# Far beyond any real catalog, and still read in well under a second.
_LARGEST_FILE = 1024 * 1024
_MOST_NODES = 50_000
_DEEPEST = 50

_Path = tuple[str | int, ...]


class _Place(NamedTuple):
    line: int
    column: int


def load_catalog(path: Path) -> Catalog:
    """Read and check the file.

    Raises CatalogError with a line for each fault, such as
    `catalog.yaml:14:9: sizes[2].memory: "2 GBs" is not an amount of memory`.
    """
    try:
        text = _read(path)
        return parse_catalog(text, path.name)
    except OSError as error:
        raise CatalogError([f"{path}: cannot be read: {error.strerror}"]) from error


def parse_catalog(text: str, name: str = "catalog.yaml") -> Catalog:
    """Check a catalog's text; `name` stands before each fault. Raises CatalogError."""
    document = _Document(name)
    data = document.read(text)
    if document.problems:
        raise CatalogError(document.problems)
    try:
        return Catalog.model_validate(data)
    except ValidationError as error:
        raise CatalogError(
            [document.problem(fault["loc"], _sentence(fault)) for fault in _own_faults(error)]
        ) from error


class CatalogFile:
    """The catalog as it stands in the file now; a broken file leaves the last good one in force."""

    def __init__(self, path: Path) -> None:
        """Raises CatalogError: there is no last good one yet."""
        self._path = path
        self._seen = _signature(path)
        self._catalog = load_catalog(path)
        self._problems: tuple[str, ...] = ()

    def current(self) -> Catalog:
        """The last good catalog; reads the file again if it changed since the last call."""
        seen = _signature(self._path)
        if seen != self._seen:
            self._seen = seen
            self._reload()
        return self._catalog

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the file as it is now, nothing if `current` is what it says."""
        self.current()
        return self._problems

    def _reload(self) -> None:
        try:
            self._catalog = load_catalog(self._path)
        except CatalogError as error:
            self._problems = error.problems
            log.error("The catalog is broken; the last good one serves on. %s", "; ".join(error.problems))  # noqa: TRY400 - the sentence says it all
        else:
            self._problems = ()
            log.info("The catalog was read again from %s.", self._path)


@cache
def shared_catalog_file(path: Path) -> CatalogFile:
    """The process's one view of the file, so that what was good when the hub started is the last good one."""
    return CatalogFile(path)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        return file_signature(path)
    except OSError:
        return None


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise CatalogError([f"{path.name}: larger than {_LARGEST_FILE // 1024} KiB; a catalog is a short text"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CatalogError([f"{path.name}:{line}: is not UTF-8 text"]) from error


class _Document:
    """One YAML text: its data, the place of each value, and what is wrong with its form."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._places: dict[_Path, _Place] = {}
        self._nodes = 0
        self.problems: list[str] = []

    def read(self, text: str) -> Any:
        try:
            loader = yaml.SafeLoader(text)
            try:
                return self._root(loader)
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            self.problems.append(f"{self._name}{place}: is not YAML: {error.problem or error.context}")
        except yaml.reader.ReaderError as error:
            self.problems.append(f"{self._name}: is not a catalog: it holds the character #x{error.character:04x}")
        except (_TooLarge, RecursionError) as error:
            self.problems.append(f"{self._name}: is not a catalog: {str(error) or 'it is nested too deeply'}")
        return None

    def _root(self, loader: yaml.SafeLoader) -> Any:
        node = loader.get_single_node()
        if node is None:
            self.problems.append(f"{self._name}:1:1: is empty; it needs version, images and sizes")
            return None
        return self._value(loader, node, ())

    def problem(self, path: Sequence[str | int], sentence: str) -> str:
        """The sentence with its place: that of the value, or of what should have held it."""
        place = next((self._places[part] for part in _outwards(tuple(path)) if part in self._places), _Place(1, 1))
        where = _spelled(path)
        return f"{self._name}:{place.line}:{place.column}: {where + ': ' if where else ''}{sentence}"

    def _value(self, loader: yaml.SafeLoader, node: yaml.Node, path: _Path) -> Any:
        # Every visit counts, so that an alias that multiplies itself is met early.
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(path) > _DEEPEST:
            raise _TooLarge("it is nested too deeply or its aliases multiply")
        self._places.setdefault(path, _Place(node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(loader, node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(loader, item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(loader, node)

    def _mapping(self, loader: yaml.SafeLoader, node: yaml.MappingNode, path: _Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged |= self._merged(loader, value_node, path)
                continue
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in data:
                place = key_node.start_mark
                self.problems.append(
                    f"{self._name}:{place.line + 1}:{place.column + 1}: {quoted(key)} is written twice; keep one"
                )
            self._places[(*path, key)] = _Place(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            data[key] = self._value(loader, value_node, (*path, key))
        return merged | data

    def _merged(self, loader: yaml.SafeLoader, node: yaml.Node, path: _Path) -> dict[str, Any]:
        value = self._value(loader, node, path)
        layers = value if isinstance(value, list) else [value]
        merged: dict[str, Any] = {}
        for layer in reversed(layers):  # YAML: an earlier one wins
            if isinstance(layer, dict):
                merged |= layer
        return merged

    def _scalar(self, loader: yaml.SafeLoader, node: yaml.Node) -> Any:
        if node.tag in {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:binary"}:
            return node.value
        # Floats as written, so that 0.1 stays one tenth.
        if node.tag == "tag:yaml.org,2002:float":
            return node.value
        try:
            return loader.construct_object(node, deep=True)
        except (ValueError, LookupError):
            mark = node.start_mark
            self.problems.append(
                f"{self._name}:{mark.line + 1}:{mark.column + 1}: {quoted(node.value)} is not what its form says"
            )
            return None


class _TooLarge(Exception):
    pass


def _outwards(path: _Path) -> Iterator[_Path]:
    for end in range(len(path), -1, -1):
        yield path[:end]


def _spelled(path: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _own_faults(error: ValidationError) -> list[Any]:
    """The faults without those that only follow from one further in."""
    faults = error.errors()
    places = {fault["loc"] for fault in faults}
    return [
        fault
        for fault in faults
        if not any(place != fault["loc"] and place[: len(fault["loc"])] == fault["loc"] for place in places)
    ]


def _sentence(fault: Any) -> str:
    kind, found = fault["type"], fault.get("input")
    if kind == "extra_forbidden":
        return "there is no such key"
    if kind == "missing":
        return "is missing"
    message = str(fault["msg"]).removeprefix("Value error, ")
    if kind == "value_error":
        return message
    return f"{quoted(found)}: {message[0].lower()}{message[1:]}"
