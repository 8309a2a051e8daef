"""What was measured on Docker, against what was promised."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmark.side_by_side import report
from benchmark.side_by_side.report import Burst, Crowd, Row, Single, burst_rows, compared, left_row, middle_rounds

S, D, BARE = "Stateroom", "DockerSpawner", "bare engine"
PLOTTED = 30  # the burst of the plot, and of the targets

_PING_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Disturbance:
    """How long others waited for their servers, without and with somebody's trouble."""

    without: Sequence[float]
    during: Sequence[float]

    @property
    def delay(self) -> float:
        """By how much the trouble delays the middle one of them."""
        return median(self.during) - median(self.without)

    @property
    def worst(self) -> float:
        """By how much the one that waited longest."""
        return max(self.during) - median(self.without)


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of a run, each by the name of the side."""

    machine: str
    single: Mapping[str, Single]
    bursts: Mapping[int, Mapping[str, Sequence[Burst]]]
    stuck_stop: Mapping[str, Disturbance]
    slow_pull: Mapping[str, Disturbance]
    crowd: Mapping[str, Crowd]


def rows(results: Results) -> list[Row]:
    """The table's lines."""
    return [
        *_single_rows(results.single),
        *(row for size, bursts in results.bursts.items() for row in _burst_rows(size, bursts)),
        *_disturbance_rows("one user's stop is stuck", results.stuck_stop),
        *_disturbance_rows("one user's pull is slow", results.slow_pull),
        *_crowd_rows(results.crowd),
    ]


def _single_rows(single: Mapping[str, Single]) -> Iterator[Row]:
    number = len(single[S].starts)
    yield compared(
        f"one start, median of {number}", {side: median(it.starts) for side, it in single.items()}, at_most=1.05
    )
    yield compared(
        f"one stop until the container is gone, median of {number}",
        {side: median(it.stops) for side, it in single.items()},
    )
    yield left_row(single, "container")


def _burst_rows(size: int, bursts: Mapping[str, Sequence[Burst]]) -> Iterator[Row]:
    if size == PLOTTED:
        return burst_rows(size, bursts, throughput=1.6, of_bare=0.8, median_wait=0.5)
    return burst_rows(size, bursts)


def _disturbance_rows(what: str, sides: Mapping[str, Disturbance]) -> Iterator[Row]:
    delays = {side: it.delay * 1000 for side, it in sides.items()}
    told = [f"{delays[side]:+.0f} ms (longest {sides[side].worst * 1000:+.0f})" for side in (S, D)]
    number = len(sides[S].during)
    yield Row(f"{what}: median delay of {number} others", *told, target="< 100 ms", met=delays[S] < 100)


def _crowd_rows(crowd: Mapping[str, Crowd]) -> Iterator[Row]:
    ours, theirs = crowd[S], crowd[D]
    seconds = ours.idle_seconds
    pings = sum(request.endswith("/_ping") for request in ours.idle_requests)
    quiet = pings == len(ours.idle_requests) and pings <= seconds / _PING_SECONDS + 1
    yield Row(
        f"{ours.servers} idle servers: the engine is asked in {seconds:.0f} s",
        *(_counted(it.idle_requests) for it in (ours, theirs)),
        target="one ping in 10 s",
        met=quiet,
    )
    yield compared(
        f"{ours.servers} idle servers: the hub's CPU",
        {side: it.idle_cpu / it.idle_seconds * 1000 for side, it in crowd.items()},
        unit=" ms/s",
    )
    yield compared(
        f"hub killed and started with {ours.servers} running: all ready",
        {side: it.restart_seconds for side, it in crowd.items()},
    )
    asked = Counter(map(_kind, ours.restart_requests))
    about_all, about_one = asked["GET /containers/json"], asked["GET /containers/*/json"]
    yield Row(
        "… and the engine is asked",
        *(_counted(it.restart_requests) for it in (ours, theirs)),
        target="one list",
        met=about_all == 1 and about_one == 0,
    )
    yield Row("one start asks the engine", *(_counted(it.start_requests) for it in (ours, theirs)))
    yield Row("one stop asks the engine", *(_counted(it.stop_requests) for it in (ours, theirs)))


def _counted(requests: Sequence[str]) -> str:
    return report.counted(requests, _kind)


def _kind(request: str) -> str:
    verb, path = request.partition("?")[0].split(" ", 1)
    path = re.sub(r"^/(containers|volumes|networks)/(?!create$|json$)[^/]+", r"/\1/*", path)
    return f"{verb} {re.sub('^/images/.+/json$', '/images/*/json', path)}"


def as_text(results: Results) -> str:
    """The table in Markdown."""
    return report.table(results.machine, (S, D, BARE), rows(results))


def write(results: Results, readme: Path) -> None:
    """Put the table into the README, and the plot beside it."""
    report.write(readme, "figures", as_text(results), "burst.svg", middle_rounds(results.bursts[PLOTTED]))
