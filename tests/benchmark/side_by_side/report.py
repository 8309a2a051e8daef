"""What every comparison tells: the lines of a table, and a plot of a burst.

Figures go by side, in the order of the table's columns: ours, theirs, and the
bare engine where it takes part.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from statistics import median

_COLOURS = ("#0969da", "#cf222e", "#6e7781")


@dataclass(slots=True)
class Single:
    """Starts and stops one at a time, in seconds; how often a stopped server was still there."""

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
class Row:
    """A line of the table; `met` is None where nothing was promised."""

    what: str
    ours: str
    theirs: str = ""
    bare: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        verdict = {None: "", True: "met", False: "**not met**"}[self.met]
        cells = (self.what, self.ours, self.theirs, self.bare, self.ratio, self.target, verdict)
        return f"| {' | '.join(cells)} |"


def machine(engine: str, peer: str, package: str) -> str:
    """What the figures come from, without names of hosts."""
    return surroundings(engine, f"JupyterHub {version('jupyterhub')}", f"{peer} {version(package)}")


def surroundings(*programs: str) -> str:
    """Describe the day, the machine and the programs of a run, without names of hosts."""
    cores = f"{len(os.sched_getaffinity(0))} cores (load {os.getloadavg()[0]:.1f} before)"
    return ", ".join([f"{datetime.now(UTC):%Y-%m-%d}", cores, *programs, f"Python {platform.python_version()}"])


def left_row(single: Mapping[str, Single], thing: str) -> Row:
    """How often a stop was told too early, by the hubs."""
    ours, theirs = list(single.values())[:2]
    told = [f"{it.left} of {len(it.stops)}" for it in (ours, theirs)]
    return Row(f"stops that were told while the {thing} was there", *told, target="0", met=ours.left == 0)


def burst_rows(
    size: int,
    bursts: Mapping[str, Sequence[Burst]],
    *,
    throughput: float | None = None,
    of_bare: float | None = None,
    median_wait: float | None = None,
) -> Iterator[Row]:
    """What became of bursts of a size; the targets are for the ratios."""
    ours, _, bare = bursts
    rounds = len(bursts[ours])
    name = f"burst of {size}{f' ({rounds} rounds)' if rounds > 1 else ''}"
    speed = {side: median(burst.throughput for burst in rounds) for side, rounds in bursts.items()}
    middle = {side: median(median(burst.waits) for burst in rounds) for side, rounds in bursts.items()}
    last = {side: median(burst.waits[-1] for burst in rounds) for side, rounds in bursts.items()}
    cpu = {
        side: median(burst.cpu_per_start * 1000 for burst in rounds) for side, rounds in bursts.items() if side != bare
    }
    yield compared(f"{name}: servers a second", speed, unit="/s", at_least=throughput)
    share = speed[ours] / speed[bare]
    promised = () if of_bare is None else (f"≥ {of_bare}", share >= of_bare)
    yield Row(f"{name}: of the {bare}'s", "", "", "", f"{share:.2f}", *promised)
    yield compared(f"{name}: median wait", middle, at_most=median_wait)
    yield compared(f"{name}: last wait", last)
    yield compared(f"{name}: the hub's CPU for a start", cpu, unit=" ms")


def compared(
    what: str,
    figures: Mapping[str, float],
    *,
    unit: str = " s",
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """A figure of each side, and Stateroom's as a multiple of the other spawner's."""
    ours, theirs, *_ = figures.values()
    ratio = ours / theirs if theirs else 0.0
    decimals = {" ms": 0, " ms/s": 1}.get(unit, 2)
    shown = [f"{figure:.{decimals}f}{unit}" for figure in figures.values()]
    cells = [what, *shown, *[""] * (3 - len(shown)), f"{ratio:.2f}"]
    if at_most is not None:
        return Row(*cells, f"≤ {at_most}", ratio <= at_most)
    if at_least is not None:
        return Row(*cells, f"≥ {at_least}", ratio >= at_least)
    return Row(*cells)


def counted(requests: Sequence[str], kind: Callable[[str], str]) -> str:
    """How many requests there were, and of what kinds."""
    kinds = Counter(map(kind, requests))
    return f"{len(requests)}: " + ", ".join(f"{number} `{it}`" for it, number in kinds.most_common())


def percentile_95(figures: Sequence[float]) -> float:
    """What 95 of a hundred do not exceed: one of the figures, none in between."""
    return sorted(figures)[ceil(len(figures) * 0.95) - 1]


def table(told: str, sides: Sequence[str], rows: Sequence[Row]) -> str:
    """The lines in Markdown, below what the figures come from."""
    head = Row("", *sides, "ratio", "target")
    return "\n".join([f"{told}.\n", str(head), "|---" * 7 + "|", *map(str, rows)]) + "\n"


def write(readme: Path, marks: str, text: str, plot: str, waits: Mapping[str, Sequence[float]]) -> None:
    """Put the table between its marks in the README, and the plot beside it."""
    number = len(next(iter(waits.values())))
    readme.with_name(plot).write_text(as_svg(waits))
    picture = f"![How many of {number} servers were ready, by the seconds since all were asked for]({plot})\n"
    put(readme, marks, f"{text}\n{picture}")


def put(readme: Path, marks: str, text: str) -> None:
    """Put text between its marks in the README."""
    begin, end = f"<!-- {marks} -->\n", f"<!-- end of {marks} -->\n"
    before, _, rest = readme.read_text().partition(begin)
    _, _, after = rest.partition(end)
    readme.write_text(f"{before}{begin}{text}{end}{after}")


def as_svg(waits: Mapping[str, Sequence[float]]) -> str:
    """How many of a burst were ready after how many seconds, by side."""
    number = len(next(iter(waits.values())))
    longest = max(values[-1] for values in waits.values()) * 1.05
    width, height, left, top = 560, 260, 50, 20

    def x(seconds: float) -> float:
        return round(left + seconds / longest * width, 1)

    def y(ready: int) -> float:
        return round(top + height - ready / number * height, 1)

    def text(x: float, y: float, words: object, more: str) -> str:
        return f'<text x="{x}" y="{y}" {more}>{words}</text>'

    centred, right = 'text-anchor="middle"', 'text-anchor="end"'
    caption = f"seconds since {number} servers were asked for; upwards: how many are ready"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {top + height + 50}"',
        'font-family="sans-serif" font-size="12" fill="#1f2328">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<path d="M{left},{top} V{y(0)} H{left + width}" fill="none" stroke="#1f2328"/>',
        *(text(left - 8, y(ready) + 4, ready, right) for ready in range(0, number + 1, 10)),
        *(text(x(second), y(0) + 18, second, centred) for second in range(int(longest) + 1)),
        text(left + width / 2, y(0) + 38, caption, centred),
    ]
    for place, (side, values) in enumerate(waits.items()):
        steps = " ".join(f"H{x(wait)} V{y(ready)}" for ready, wait in enumerate(values, 1))
        colour = _COLOURS[place]
        parts += [
            f'<path d="M{left},{y(0)} {steps}" fill="none" stroke="{colour}" stroke-width="2"/>',
            text(left + 14, top + 16 + 18 * place, side, f'fill="{colour}"'),
        ]
    return "\n".join([*parts, "</svg>\n"])


def middle_rounds(bursts: Mapping[str, Sequence[Burst]]) -> dict[str, Sequence[float]]:
    """The waits of the middle round of each side."""
    return {
        side: sorted(rounds, key=lambda burst: burst.waits[-1])[len(rounds) // 2].waits
        for side, rounds in bursts.items()
    }
