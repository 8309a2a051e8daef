"""From YAML text to data, with the place of every value and each fault of its form.

YAML is composed to nodes, not loaded to objects: nodes keep their place in the
file, and duplicate keys, which a YAML loader passes over, are seen. A scalar is
text as it was written; whoever reads the document says what a plain one means.
Anchors, aliases and merges (`<<`) count; tags are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.composer import Composer
from yaml.resolver import BaseResolver

from stateroom.common.errors import CatalogError, CatalogFault
from stateroom.common.quantity import MiB, format_memory
from stateroom.common.text import clipped, quoted, shown

MOST_FAULTS = 100  # more of them help nobody

# Far beyond any real catalog, and still read in well under a second.
_LARGEST_FILE = MiB
_MOST_VALUES = 50_000
_DEEPEST = 50

_Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Line and column, counted from 1; 0 where a fault is the whole file's."""

    line: int
    column: int


def read_text(path: Path, noun: str) -> str:
    """The file's text; `noun` is what it should be, such as "a catalog". Raises CatalogError."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise CatalogError([CatalogFault(str(path), f"cannot be read: {error.strerror}")]) from error
    if len(data) > _LARGEST_FILE:
        sentence = f"larger than {format_memory(_LARGEST_FILE)}; {noun} is a short text"
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
    "but found another document": "a second document begins here; {noun} is one",
}

# Libyaml has a limit of its own since the one in PyYAML 6.0.4.
_DEPTH_OF_LIBYAML = "exceeded maximum nesting depth"
_NESTED = "it is nested too deeply"

_NOWHERE = Place(0, 0)


def _of(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


class Document:
    """One YAML text: its data, the place of each value, and what is wrong with its form.

    `name` stands before each fault, and `noun` is what the text should be. With
    `empty`, a text without any value is a fault of this sentence. `meaning` is
    what a scalar without quotes means.
    """

    def __init__(self, name: str, noun: str, *, empty: str = "", meaning: Callable[[str], Any] = str) -> None:
        self._name = name
        self._noun = noun
        self._empty = empty
        self._meaning = meaning
        self._places: dict[_Path, Place] = {}
        self._scalars: dict[_Path, yaml.ScalarNode] = {}
        self._values = 0
        self._faults: dict[CatalogFault, None] = {}  # an alias meets the same ones again

    @property
    def faults(self) -> list[CatalogFault]:
        """What is wrong with the form, once the text was read."""
        return in_order(self._faults)

    def read(self, text: str) -> Any:
        """The data: mappings, lists, what scalars mean, and None. None too where the text cannot be read."""
        try:
            node = _Loader(text).get_single_node()
            if node is None:
                if self._empty:
                    self._add(self._empty, Place(1, 1))
                return None
            return self._value(node, ())
        except yaml.MarkedYAMLError as error:
            mark, problem = error.problem_mark or error.context_mark, str(error.problem or error.context)
            if problem == _DEPTH_OF_LIBYAML:
                self._is_none(_NESTED)
            else:
                told = _CLEARER.get(problem, "").format(noun=self._noun) or clipped(problem)
                self._add(f"is not YAML: {told}", _of(mark) if mark else _NOWHERE)
        except yaml.reader.ReaderError as error:
            found = f"#x{error.character:04x}" if isinstance(error.character, int) else quoted(error.character)
            self._is_none(f"it holds the character {found}")
        except _TooLarge:
            self._is_none(f"it has more than {_MOST_VALUES} values, or its aliases multiply")
        except (_TooDeep, RecursionError):
            self._is_none(_NESTED)
        except UnicodeError:
            self._is_none("it holds half a character")
        return None

    def placed(self, found: Sequence[tuple[Sequence[str | int], str]]) -> list[CatalogFault]:
        """Each fault with its place, in the order of the file."""
        return in_order(
            CatalogFault(self._name, sentence, *self.place(path), spelled(path)) for path, sentence in found
        )

    def written(self, path: Sequence[str | int]) -> str:
        """A scalar as it stands in the text, "" if there is none."""
        node = self._scalars.get(tuple(path))
        return str(node.value) if node else ""

    def block(self, path: Sequence[str | int]) -> int:
        """The line of the `|` after which a text stands line by line, 0 if it is written otherwise."""
        node = self._scalars.get(tuple(path))
        return node.start_mark.line + 1 if node and node.style == "|" else 0

    def _is_none(self, reason: str) -> None:
        self._add(f"is not {self._noun}: {reason}", _NOWHERE)

    def _add(self, sentence: str, place: Place) -> None:
        self._faults[CatalogFault(self._name, sentence, *place)] = None

    def place(self, path: Sequence[str | int]) -> Place:
        """Of the value, or of what should have held it."""
        return next((self._places[part] for part in _outwards(tuple(path)) if part in self._places), Place(1, 1))

    def _fault(self, node: yaml.Node, sentence: str) -> None:
        self._add(sentence, _of(node.start_mark))

    def _value(self, node: yaml.Node, path: _Path, place: Place | None = None) -> Any:
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
        return self._scalar(node, path) if isinstance(node, yaml.ScalarNode) else None

    def _scalar(self, node: yaml.ScalarNode, path: _Path) -> Any:
        self._scalars[path] = node
        if node.tag == _NULL:
            return None
        return node.value if node.style else self._meaning(node.value)

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
            self._fault(node, f"{quoted(tag)} is a YAML tag; {self._noun} needs none, remove it")


class _TooLarge(Exception):
    pass


class _TooDeep(Exception):
    pass


def in_order(faults: Iterable[CatalogFault]) -> list[CatalogFault]:
    """In the order of the file."""
    return sorted(faults, key=lambda fault: (fault.line, fault.column))


def _outwards(path: _Path) -> Iterator[_Path]:
    for end in range(len(path), -1, -1):
        yield path[:end]


def spelled(path: Sequence[str | int]) -> str:
    """A place as it is told, such as "sizes[2].memory"."""
    parts = (part for part in path if part != "[key]")  # a key at fault stands there already
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in parts)
    return text.removeprefix(".")
