"""Records which files of the package the hub's process passes on a way: loaded by the hub's own configuration.

A way is what happens between the first calls of two functions. It has one set of files for all that is entered, and
one for those whose functions take or return a value that is looked for.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import stateroom

PACKAGE = Path(stateroom.__file__).parent
_DEEP = 2  # levels of a value in which another is found: an option of a form, an amount of a server's resources


@dataclass
class Way:
    """A way, its ends as (file, function). What is passed on it is kept in the order of the first time."""

    first: tuple[str, str]
    last: tuple[str, str]
    value: tuple[int | str, ...] = ()  # in its different forms
    passed: dict[str, None] = field(default_factory=dict)
    begun: bool = False
    ended: bool = False

    def enter(self, file: str, function: str, values: Sequence[Any]) -> None:
        """Take note of a call, or of a return."""
        self.begun = self.begun or (file, function) == self.first
        if self.begun and file not in self.passed and (not self.value or any(map(self._is_in, values))):
            self.passed[file] = None
        self.ended = self.ended or (self.begun and (file, function) == self.last)

    def _is_in(self, value: Any, level: int = 0) -> bool:
        if isinstance(value, str):
            return any(str(form) in value for form in self.value)
        if isinstance(value, int):
            return value in self.value
        return level < _DEEP and any(self._is_in(part, level + 1) for part in _parts(value))


def record(ways: Mapping[str, Way], output: Path) -> None:
    """Record from now on, in all threads, and write each way when it has ended: its name, and the files."""
    busy = threading.local()
    unwritten = dict(ways)

    def profile(frame: FrameType, event: str, returned: Any) -> None:
        path = frame.f_code.co_filename
        if event not in {"call", "return"} or not path.startswith(f"{PACKAGE}/") or getattr(busy, "is_set", False):
            return
        busy.is_set = True  # what is looked at may have functions of the package
        try:
            file = path.removeprefix(f"{PACKAGE}/")
            values = list(frame.f_locals.values()) if event == "call" else [returned]
            for name, way in list(unwritten.items()):
                way.enter(file, frame.f_code.co_name, values)
                if way.ended:
                    del unwritten[name]
                    with output.open("a") as written:
                        written.write(json.dumps([name, list(way.passed)]) + "\n")
        finally:
            busy.is_set = False

    threading.setprofile(profile)
    sys.setprofile(profile)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from list(value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from list(value)
    elif is_dataclass(value):
        yield from (getattr(value, part.name, None) for part in fields(value))
