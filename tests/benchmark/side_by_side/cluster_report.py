"""What was measured on a cluster, against what was promised."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmark.side_by_side import report
from benchmark.side_by_side.report import (
    Burst,
    Crowd,
    Row,
    Single,
    burst_rows,
    compared,
    left_row,
    middle_rounds,
    percentile_95,
)
from harness.api_proxy import request_of

S, K, BARE = "Stateroom", "KubeSpawner", "bare cluster"
PLOTTED = 30  # the burst of the plot, and of the target


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of a run, each by the name of the side."""

    machine: str
    single: Mapping[str, Single]
    bursts: Mapping[int, Mapping[str, Sequence[Burst]]]
    crowd: Mapping[str, Crowd]


def rows(results: Results) -> list[Row]:
    """The table's lines."""
    return [
        *_single_rows(results.single),
        *(
            row
            for size, bursts in results.bursts.items()
            for row in burst_rows(size, bursts, of_bare=0.8 if size == PLOTTED else None)
        ),
        *_crowd_rows(results.crowd),
    ]


def _single_rows(single: Mapping[str, Single]) -> Iterator[Row]:
    number = len(single[S].starts)
    starts = {side: it.starts for side, it in single.items()}
    stops = {side: it.stops for side, it in single.items()}
    yield compared(f"one start, median of {number}", _each(median, starts), at_most=0.7)
    yield compared("one start, 95 of 100 within", _each(percentile_95, starts), at_most=0.5)
    yield compared(f"one stop until the pod is gone, median of {number}", _each(median, stops), at_most=0.7)
    yield compared("one stop, 95 of 100 within", _each(percentile_95, stops))
    yield left_row(single, "pod")


def _each(figure: Callable[[Sequence[float]], float], sides: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {side: figure(figures) for side, figures in sides.items()}


def _crowd_rows(crowd: Mapping[str, Crowd]) -> Iterator[Row]:
    ours, theirs = crowd[S], crowd[K]
    yield Row("one start asks the API server", *(_counted(it.start_requests) for it in (ours, theirs)))
    yield Row("one stop asks the API server", *(_counted(it.stop_requests) for it in (ours, theirs)))
    yield Row(
        f"{ours.servers} idle servers: the API server is asked in {ours.idle_seconds:.0f} s",
        *(_counted(it.idle_requests) for it in (ours, theirs)),
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
    yield Row("… and the API server is asked", *(_counted(it.restart_requests) for it in (ours, theirs)))


def _counted(requests: Sequence[str]) -> str:
    return report.counted(requests, _kind)


def _kind(request: str) -> str:
    asked = request_of(*request.split(" ", 1))
    return f"{asked.verb} {asked.resource}" if asked.resource else request


def as_text(results: Results) -> str:
    """The table in Markdown."""
    return report.table(results.machine, (S, K, BARE), rows(results))


def write(results: Results, readme: Path) -> None:
    """Put the table into the README, and the plot beside it."""
    waits = middle_rounds(results.bursts[PLOTTED])
    report.write(readme, "figures of the cluster", as_text(results), "burst_cluster.svg", waits)
