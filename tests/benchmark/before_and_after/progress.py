"""What of a run is done, and about how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmark.side_by_side.program import say


@dataclass(slots=True)
class Part:
    """Steps of one kind. `estimate` is the seconds that a step takes, until one has been measured."""

    name: str
    steps: int
    estimate: float
    done: int = 0
    spent: float = 0.0

    @property
    def left(self) -> float:
        """Return the seconds that the remaining steps take."""
        each = self.spent / self.done if self.done else self.estimate
        return each * (self.steps - self.done)


@dataclass(slots=True)
class Step:
    """A step that is under way. Its `result` is printed when it has ended."""

    result: str = ""


@dataclass(slots=True)
class Progress:
    """The parts of a run. Prints a line for each step that ends."""

    parts: list[Part] = field(default_factory=list)
    report: Callable[[str], None] = say
    clock: Callable[[], float] = time.monotonic

    def add(self, part: Part) -> Part:
        """Add a part to what is yet to be done."""
        self.parts.append(part)
        return part

    @contextmanager
    def step(self, part: Part) -> Iterator[Step]:
        """Take the time of one step of the part, which is the body."""
        step, began = Step(), self.clock()
        yield step
        part.done += 1
        part.spent += self.clock() - began
        count = f" {part.done} of {part.steps}" if part.steps > 1 else ""
        result = f": {step.result}" if step.result else ""
        self.report(f"{part.name}{count}{result}; {time_left(self.parts)}")


def time_left(parts: Iterable[Part]) -> str:
    """Describe how long the remaining steps of all parts take."""
    seconds = sum(part.left for part in parts)
    if seconds == 0:
        return "all done"
    if seconds < 90:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left"
