"""What a suite is: its parts, what it needs, and the lane it runs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from running.outcome import Outcome

Need = Callable[[], None]


class Lane(Enum):
    """Jobs of one lane run one after another; the two first lanes run side by side."""

    ENGINE = "the machine's own engine"
    CLUSTER = "the cluster, and engines of the tests' own"
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a suite that runs, and is proven, by itself.

    `seconds`: how long its tests last took on two quiet cores, until the ledger
    knows better. `rotated`: a plain `./test` runs it only when its turn has come.
    `inputs`: a plain `./test` runs it when a file below these paths has changed
    since it was last proven, or when that was long ago.
    """

    name: str = ""
    seconds: float = 60
    options: tuple[str, ...] = ()
    rotated: bool = False
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite of tests.

    `needs` are met in their order before it runs; with `optional_needs` some of
    it runs without them. `each_run`: so many of its rotated parts run each time.
    `on_request`: it runs only if it is named, or with --all.
    """

    name: str
    about: str
    run: Callable[[Job, Sequence[str]], Outcome]
    lane: Lane = Lane.ENGINE
    parts: tuple[Part, ...] = (Part(),)
    needs: tuple[Need, ...] = ()
    optional_needs: bool = False
    each_run: int = 0
    on_request: bool = False

    @property
    def jobs(self) -> list[Job]:
        """Return the suite's parts as jobs."""
        return [Job(self, part) for part in self.parts]


@dataclass(frozen=True, slots=True)
class Job:
    """A part of a suite, to be run."""

    suite: Suite
    part: Part

    @property
    def name(self) -> str:
        """Name of the job on the command line and in the ledger: SUITE or SUITE/PART."""
        return f"{self.suite.name}/{self.part.name}" if self.part.name else self.suite.name


def numbered(name: str, count: int, seconds: float, *options: str) -> tuple[Part, ...]:
    """Split tests into rotated parts of about the same size; harness/partition.py selects them."""
    return tuple(
        Part(f"{name}{number}", seconds, (*options, f"--partition={number}/{count}"), rotated=True)
        for number in range(1, count + 1)
    )
