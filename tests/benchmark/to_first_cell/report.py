"""What the way to the first cell took, side by side and phase by phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmark.side_by_side import report
from benchmark.side_by_side.report import Row

UNIFIED, PLAIN, PEER = "Stateroom, unified", "Stateroom, plain Lab", "DockerSpawner, plain Lab"

_FIRST_CELL_TARGET = 0.65
_SERVER_TARGET = 0.45


@dataclass(frozen=True, slots=True)
class Loading:
    """What a page did between its HTML and the launcher; seconds, and bytes as they came over the wire."""

    requests: int
    size: int
    waiting: float  # while at least one request waited for its first byte
    receiving: float  # while at least one answer came in
    scripts: float  # the page's thread in JavaScript
    tasks: float  # the page's thread in all


@dataclass(frozen=True, slots=True)
class Journey:
    """One walk: the moments, in seconds of the machine's clock."""

    clicked: float
    container_runs: float
    server_answers: float
    lab_html: float
    launcher: float
    idle: float
    result: float
    loading: Loading

    @property
    def total(self) -> float:
        """What a person waited."""
        return self.result - self.clicked

    @property
    def phases(self) -> dict[str, float]:
        """The parts of it, in their order."""
        moments = {
            "hub and engine, until the container runs": self.container_runs,
            "server, until it answers": self.server_answers,
            "hub, redirects and OAuth, until Lab's HTML is there": self.lab_html,
            "page, until the launcher can be clicked": self.launcher,
            "kernel, from that click until it is idle": self.idle,
            "cell, until its result is there": self.result,
        }
        ends = [self.clicked, *moments.values()]
        return {name: end - begin for name, begin, end in zip(moments, ends, ends[1:], strict=False)}


@dataclass(frozen=True, slots=True)
class ServerStart:
    """Seconds until a server's first answer: since the engine was asked to start it, and since it says that it has."""

    since_asked: float
    since_started: float


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the browser; the moments in seconds of the machine's clock."""

    url: str
    method: str
    status: int
    start: float
    first_byte: float
    end: float
    size: int


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of a run, each by the name of the side, in the order of the table's columns."""

    machine: str
    first: Mapping[str, Sequence[Journey]]
    returning: Mapping[str, Sequence[Journey]]
    servers: Mapping[str, Sequence[ServerStart]]


def rows(results: Results) -> Iterator[Row]:
    """The table's lines."""
    yield _total("Start to the first cell's result", results.first, promised=True)
    yield _total("… in a browser that was here before", results.returning, promised=False)
    yield from _server_rows(results.servers)
    for phase in next(iter(results.first.values()))[0].phases:
        yield _seconds(phase, results.first, lambda it, phase=phase: it.phases[phase])  # type: ignore[misc]
    yield from _loading_rows(results.first)


def _total(what: str, journeys: Mapping[str, Sequence[Journey]], *, promised: bool) -> Row:
    number = len(journeys[UNIFIED])
    row = _seconds(f"**{what}**, median of {number}", journeys, lambda it: it.total)
    if not promised:
        return row
    middle = {side: median(it.total for it in them) for side, them in journeys.items()}
    met = all(middle[UNIFIED] <= _FIRST_CELL_TARGET * middle[other] for other in (PLAIN, PEER))
    return Row(row.what, row.ours, row.theirs, row.bare, row.ratio, f"≤ {_FIRST_CELL_TARGET} each", met)


def _server_rows(servers: Mapping[str, Sequence[ServerStart]]) -> Iterator[Row]:
    asked = {side: median(it.since_asked for it in them) for side, them in servers.items()}
    yield report.compared(
        f"**A server alone**, from its start to its first answer, median of {len(servers[UNIFIED])}",
        asked,
        at_most=_SERVER_TARGET,
    )
    yield report.compared(
        "… since its container runs", {side: median(it.since_started for it in them) for side, them in servers.items()}
    )


def _loading_rows(journeys: Mapping[str, Sequence[Journey]]) -> Iterator[Row]:
    yield _shown("the page's requests", journeys, lambda it: it.loading.requests, "{:.0f}")
    yield _shown("… and what came over the wire", journeys, lambda it: it.loading.size / 1e6, "{:.1f} MB")
    yield _seconds("… time in which one waits for its first byte", journeys, lambda it: it.loading.waiting)
    yield _seconds("… time in which one's answer comes in", journeys, lambda it: it.loading.receiving)
    yield _seconds("the page's thread at work", journeys, lambda it: it.loading.tasks)
    yield _seconds("… of that in JavaScript", journeys, lambda it: it.loading.scripts)


def _seconds(what: str, journeys: Mapping[str, Sequence[Journey]], figure: Callable[[Journey], float]) -> Row:
    return _shown(what, journeys, figure, "{:.2f} s")


def _shown(what: str, journeys: Mapping[str, Sequence[Journey]], figure: Callable[[Journey], float], how: str) -> Row:
    """The middle figure of each side, and the first side's as a multiple of each other's."""
    middle = {side: median(map(figure, them)) for side, them in journeys.items()}
    ratios = [f"{middle[UNIFIED] / middle[other]:.2f}" for other in (PLAIN, PEER) if middle[other]]
    return Row(what, *(how.format(middle[side]) for side in (UNIFIED, PLAIN, PEER)), ratio=", ".join(ratios))


def as_text(results: Results) -> str:
    """The table in Markdown."""
    return report.table(results.machine, (UNIFIED, PLAIN, PEER), list(rows(results)))


def write(results: Results, readme: Path) -> None:
    """Put the table into the README."""
    report.put(readme, "the first cell", as_text(results))


def one_walk(journey: Journey, requests: Sequence[Request]) -> str:
    """Every request of one walk, and its phases."""
    lines = [f"{'start':>8}{'first byte':>14}{'in all':>12}{'bytes':>10}"]
    lines += [
        f"{it.start - journey.clicked:6.3f} s{(it.first_byte - it.start) * 1000:11.0f} ms"
        f"{(it.end - it.start) * 1000:9.0f} ms{it.size:10}  {it.status or 'cancelled'} {it.method} {_path(it.url)}"
        for it in requests
    ]
    lines += [f"{seconds:6.3f} s  {name}" for name, seconds in journey.phases.items()]
    it = journey.loading
    lines.append(f"{journey.total:6.3f} s  in all")
    lines.append(
        f"The page: {it.requests} requests, {it.size / 1e6:.1f} MB; {it.waiting:.3f} s waiting, {it.receiving:.3f} s "
        f"receiving; its thread {it.tasks:.3f} s at work, {it.scripts:.3f} s of that in JavaScript"
    )
    return "\n".join(lines)


def _path(url: str) -> str:
    return "/" + url.split("/", 3)[3].partition("?")[0]
