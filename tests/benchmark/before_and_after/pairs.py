"""The ratio of two commits' figures that were measured in pairs, and how far chance may have moved it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf
from statistics import median

LIMIT = 1.05  # the 95 % interval of a ratio must reach below it
FEWEST = 6  # pairs that a 95 % interval of a median takes
_RESAMPLES = 10_000
_OUTSIDE = 0.025  # the share of resamples on either side of the interval
_SEED = 20261130  # the same figures always give the same interval


@dataclass(frozen=True, slots=True)
class Pair:
    """One figure of each commit, measured right after each other."""

    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both medians, the ratio of the later to the earlier, and the 95 % interval of that ratio."""

    pairs: int
    before: float
    after: float
    ratio: float
    low: float
    high: float

    @property
    def met(self) -> bool | None:
        """Return whether the interval reaches below the limit, or None where there are too few pairs to know."""
        return self.low < LIMIT if self.pairs >= FEWEST else None


def compare(pairs: Sequence[Pair]) -> Comparison:
    """Compare the medians. The interval is a percentile bootstrap that draws whole pairs, so their bond is kept."""
    dice = random.Random(_SEED)
    ratios = sorted(_ratio_of_medians(dice.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLES))
    return Comparison(
        pairs=len(pairs),
        before=median(pair.before for pair in pairs),
        after=median(pair.after for pair in pairs),
        ratio=_ratio_of_medians(pairs),
        low=ratios[int(_RESAMPLES * _OUTSIDE)],
        high=ratios[ceil(_RESAMPLES * (1 - _OUTSIDE)) - 1],
    )


def _ratio_of_medians(pairs: Sequence[Pair]) -> float:
    before, after = median(pair.before for pair in pairs), median(pair.after for pair in pairs)
    if before == 0:
        return 1.0 if after == 0 else inf
    return after / before
