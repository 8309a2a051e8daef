"""What was measured, against what was promised: a table, and a plot of a burst."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

S, D, BARE = "Stateroom", "DockerSpawner", "bare engine"
PLOTTED = 30  # the burst of the plot, and of the targets

_BEGIN, _END = "<!-- figures -->\n", "<!-- end of figures -->\n"
_COLOURS = {S: "#0969da", D: "#cf222e", BARE: "#6e7781"}
_PING_SECONDS = 10


@dataclass(slots=True)
class Single:
    """Starts and stops one at a time, in seconds; how often a stopped server's container was still there."""

    starts: list[float]
    stops: list[float]
    left: int = 0


@dataclass(frozen=True, slots=True)
class Burst:
    """One burst: how long each waited, the shortest first, and what the hub computed for a start."""

    waits: Sequence[float]
    cpu_per_start: float

    @property
    def throughput(self) -> float:
        """Servers a second, up to the last."""
        return len(self.waits) / self.waits[-1]


@dataclass(frozen=True, slots=True)
class Crowd:
    """A hub with many servers running: what it asks of the engine while idle, when restarted, and for one more."""

    servers: int
    idle_seconds: float
    idle_cpu: float
    idle_requests: Sequence[str]
    restart_seconds: float
    restart_requests: Sequence[str]
    start_requests: Sequence[str]
    stop_requests: Sequence[str]


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


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `met` is None where nothing was promised."""

    what: str
    stateroom: str
    dockerspawner: str = ""
    bare: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: "met", False: "**not met**"}[self.met]
        cells = (self.what, self.stateroom, self.dockerspawner, self.bare, self.ratio, self.target, verdict)
        return f"| {' | '.join(cells)} |"


def machine(engine: Mapping[str, Any]) -> str:
    """What the figures come from, without names of hosts."""
    hubs = ", ".join(f"{name} {version(name.lower())}" for name in ("JupyterHub", "DockerSpawner"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {len(os.sched_getaffinity(0))} cores (load {os.getloadavg()[0]:.1f} before), "
        f"Docker {engine['Version']}, {hubs}, Python {platform.python_version()}"
    )


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
    yield _compared(
        f"one start, median of {number}", {side: median(it.starts) for side, it in single.items()}, at_most=1.05
    )
    yield _compared(
        f"one stop until the container is gone, median of {number}",
        {side: median(it.stops) for side, it in single.items()},
    )
    told = [f"{single[side].left} of {number}" for side in (S, D)]
    yield Row("stops that were told while the container was there", *told, target="0", met=single[S].left == 0)


def _burst_rows(size: int, bursts: Mapping[str, Sequence[Burst]]) -> Iterator[Row]:
    throughput = {side: median(burst.throughput for burst in rounds) for side, rounds in bursts.items()}
    middle = {side: median(median(burst.waits) for burst in rounds) for side, rounds in bursts.items()}
    last = {side: median(burst.waits[-1] for burst in rounds) for side, rounds in bursts.items()}
    cpu = {
        side: median(burst.cpu_per_start * 1000 for burst in rounds) for side, rounds in bursts.items() if side != BARE
    }
    promised = size == PLOTTED
    rounds = len(bursts[S])
    name = f"burst of {size}{f' ({rounds} rounds)' if rounds > 1 else ''}"
    yield _compared(f"{name}: servers a second", throughput, unit="/s", at_least=1.6 if promised else None)
    share = throughput[S] / throughput[BARE]
    yield Row(
        f"{name}: of the bare engine's",
        *("", "", ""),
        f"{share:.2f}",
        *(("≥ 0.8", share >= 0.8) if promised else ()),
    )
    yield _compared(f"{name}: median wait", middle, at_most=0.5 if promised else None)
    yield _compared(f"{name}: last wait", last)
    yield _compared(f"{name}: the hub's CPU for a start", cpu, unit=" ms")


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
    yield _compared(
        f"{ours.servers} idle servers: the hub's CPU",
        {side: it.idle_cpu / it.idle_seconds * 1000 for side, it in crowd.items()},
        unit=" ms/s",
    )
    yield _compared(
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


def _compared(
    what: str,
    figures: Mapping[str, float],
    *,
    unit: str = " s",
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """A figure of each side, and Stateroom's as a multiple of DockerSpawner's."""
    ratio = figures[S] / figures[D] if figures[D] else 0.0
    decimals = {" ms": 0, " ms/s": 1}.get(unit, 2)
    shown = [f"{figures[side]:.{decimals}f}{unit}" if side in figures else "" for side in (S, D, BARE)]
    if at_most is not None:
        return Row(what, *shown, f"{ratio:.2f}", f"≤ {at_most}", ratio <= at_most)
    if at_least is not None:
        return Row(what, *shown, f"{ratio:.2f}", f"≥ {at_least}", ratio >= at_least)
    return Row(what, *shown, f"{ratio:.2f}")


def _counted(requests: Sequence[str]) -> str:
    kinds = Counter(map(_kind, requests))
    return f"{len(requests)}: " + ", ".join(f"{number} `{kind}`" for kind, number in kinds.most_common())


def _kind(request: str) -> str:
    verb, path = request.partition("?")[0].split(" ", 1)
    path = re.sub(r"^/(containers|volumes|networks)/(?!create$|json$)[^/]+", r"/\1/*", path)
    return f"{verb} {re.sub('^/images/.+/json$', '/images/*/json', path)}"


def as_text(results: Results) -> str:
    """The table in Markdown."""
    head = Row("", S, D, BARE, "ratio", "target")
    return "\n".join([f"{results.machine}.\n", str(head), "|---" * 7 + "|", *map(str, rows(results))]) + "\n"


def write(results: Results, readme: Path) -> None:
    """Put the table between the marks in the README, and the plot beside it."""
    before, _, rest = readme.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    plot = readme.with_name("burst.svg")
    plot.write_text(as_svg(results))
    picture = f"![How many of {PLOTTED} servers were ready, by the seconds since all were asked for]({plot.name})\n"
    readme.write_text(f"{before}{_BEGIN}{as_text(results)}\n{picture}{_END}{after}")


def as_svg(results: Results) -> str:
    """How many of a burst were ready after how many seconds: the middle round of each side."""
    waits = {side: _middle_round(bursts).waits for side, bursts in results.bursts[PLOTTED].items()}
    longest = max(values[-1] for values in waits.values()) * 1.05
    width, height, left, top = 560, 260, 50, 20

    def x(seconds: float) -> float:
        return round(left + seconds / longest * width, 1)

    def y(ready: int) -> float:
        return round(top + height - ready / PLOTTED * height, 1)

    def text(x: float, y: float, words: object, more: str) -> str:
        return f'<text x="{x}" y="{y}" {more}>{words}</text>'

    centred, right = 'text-anchor="middle"', 'text-anchor="end"'
    caption = f"seconds since {PLOTTED} servers were asked for; upwards: how many are ready"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {top + height + 50}"',
        'font-family="sans-serif" font-size="12" fill="#1f2328">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<path d="M{left},{top} V{y(0)} H{left + width}" fill="none" stroke="#1f2328"/>',
        *(text(left - 8, y(ready) + 4, ready, right) for ready in range(0, PLOTTED + 1, 10)),
        *(text(x(second), y(0) + 18, second, centred) for second in range(int(longest) + 1)),
        text(left + width / 2, y(0) + 38, caption, centred),
    ]
    for place, (side, values) in enumerate(waits.items()):
        steps = " ".join(f"H{x(wait)} V{y(ready)}" for ready, wait in enumerate(values, 1))
        colour = _COLOURS[side]
        parts += [
            f'<path d="M{left},{y(0)} {steps}" fill="none" stroke="{colour}" stroke-width="2"/>',
            text(left + 14, top + 16 + 18 * place, side, f'fill="{colour}"'),
        ]
    return "\n".join([*parts, "</svg>\n"])


def _middle_round(rounds: Sequence[Burst]) -> Burst:
    return sorted(rounds, key=lambda burst: burst.waits[-1])[len(rounds) // 2]
