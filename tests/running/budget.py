"""The budget of wall-clock time, and the pace of this machine. Pure but for the clock that it is given.

CI ends a run after 90 minutes, whatever is left, and nothing is then known of any
test. A run with a budget therefore begins no job that would not end in time, and
ends what still runs some minutes after the budget's end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

GRACE_SECONDS = 8 * 60  # a job that was begun in time may exceed the budget by this much
HANG_FACTOR = 3  # a job that takes longer than so many times its estimate is not slow, it hangs
_SHORTEST_SAMPLE = 30  # seconds of estimated work before the machine's pace is judged
_FASTEST, _SLOWEST = 0.3, 6.0


@dataclass(slots=True)
class Pace:
    """How much slower than the durations on record this machine is, by the jobs that have ended."""

    estimated: float = 0.0
    taken: float = 0.0

    def record(self, estimated: float, taken: float) -> None:
        """Add a job that has ended."""
        self.estimated += estimated
        self.taken += taken

    @property
    def factor(self) -> float:
        """Return the factor by which durations on record are multiplied."""
        if self.estimated < _SHORTEST_SAMPLE:
            return 1.0
        return min(_SLOWEST, max(_FASTEST, self.taken / self.estimated))


@dataclass(slots=True)
class Budget:
    """What is left of the time for the whole run; `seconds` is None where it is not limited."""

    seconds: float | None = None
    clock: Callable[[], float] = time.monotonic
    pace: Pace = field(default_factory=Pace)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def left(self) -> float:
        """Seconds until the budget is used up."""
        return float("inf") if self.seconds is None else self.began + self.seconds - self.clock()

    @property
    def until_cut(self) -> float:
        """Seconds until everything that still runs is ended."""
        return self.left + GRACE_SECONDS

    @property
    def summary(self) -> str:
        """How long the run has taken, and how fast the machine was."""
        limit = "" if self.seconds is None else f" of a budget of {self.seconds / 60:.0f}"
        minutes = (self.clock() - self.began) / 60
        return f"{minutes:.1f} minutes{limit}; jobs took {self.pace.factor:.2f} times as long as on record"

    def estimate(self, recorded: float) -> float:
        """Estimate how long a job takes on this machine."""
        return recorded * self.pace.factor

    def reason_to_postpone(self, recorded: float) -> str:
        """Return why a job would not end in time, or ""."""
        needed = self.estimate(recorded)
        if needed <= self.left:
            return ""
        return f"it takes about {needed:.0f} s here, and {max(0.0, self.left):.0f} s are left of the budget"

    def is_hung(self, recorded: float, taken: float) -> bool:
        """Whether a job that was cut off took so long that it must have hung."""
        return taken > max(60.0, HANG_FACTOR * self.estimate(recorded))
