"""How an operation reports its progress, wherever that is shown: in a terminal, in a log or on a page of the hub."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Step:
    """A step in progress. Its `result` is reported when the step ends."""

    result: str = ""


class BuildStep(Protocol):
    """A step of an image build, as `images/build_steps.py` describes it."""

    @property
    def number(self) -> int:
        """Its number, from 1."""
        ...

    @property
    def total(self) -> int:
        """The number of steps."""
        ...

    @property
    def title(self) -> str:
        """What the step does."""
        ...

    @property
    def line(self) -> str:
        """The last line that it wrote."""
        ...

    @property
    def left(self) -> float:
        """About how many seconds of the build were left when the step began, 0 where that is not known."""
        ...


class Report(Protocol):
    """Receives what an operation does, in the order in which it happens."""

    def step(self, name: str, doing: str, /) -> AbstractContextManager[Step]:
        """Report `doing` while the body runs, then a line with the step's result."""
        ...

    def line(self, name: str, text: str, /) -> None:
        """Report something that is done or known."""
        ...

    def more(self, text: str, /) -> None:
        """Add to the line before."""
        ...

    def image_build(self) -> AbstractContextManager[Callable[[BuildStep], None]]:
        """Report the steps of an image build, which the body passes on as they happen."""
        ...

    def share(self, doing: str, /) -> AbstractContextManager[Callable[[float], None]]:
        """Report how much of some work is done, which the body passes on as a number from 0 to 1."""
        ...
