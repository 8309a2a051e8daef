"""The table of a comparison of two commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.before_and_after.pairs import LIMIT, Pair, compare
from benchmark.side_by_side.report import Row, table

_DECIMALS = {"s": 2, "ms": 1, "MiB": 1}


@dataclass(frozen=True, slots=True)
class Measure:
    """What was measured, in pairs. Less is better."""

    what: str
    pairs: Sequence[Pair]
    unit: str = "s"


def rows(measures: Sequence[Measure]) -> list[Row]:
    """Return a line of the table for each measure."""
    return [_row(measure) for measure in measures]


def as_text(told: str, measures: Sequence[Measure]) -> str:
    """Return the table in Markdown."""
    return table(told, ("before", "after", "pairs"), rows(measures))


def shown(pair: Pair, unit: str = "s") -> str:
    """Return both figures of a pair, for a line of progress."""
    return f"before {_figure(pair.before, unit)}, after {_figure(pair.after, unit)}"


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the packages whose versions differ between the virtual environments, each with both versions."""
    names = sorted({*before, *after} - {"stateroom"})
    return [
        f"{name} {before.get(name, 'none')} and {after.get(name, 'none')}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _row(measure: Measure) -> Row:
    found = compare(measure.pairs)
    return Row(
        measure.what,
        _figure(found.before, measure.unit),
        _figure(found.after, measure.unit),
        str(found.pairs),
        f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f})",
        f"reaches below {LIMIT}",
        found.met,
    )


def _figure(figure: float, unit: str) -> str:
    return f"{figure:.{_DECIMALS[unit]}f} {unit}"
