"""Values that no form sends and anybody may."""

from __future__ import annotations

from typing import Any

# Each as it may come out of JSON, a form or YAML, none of it an amount or an id.
HOSTILE: tuple[Any, ...] = (
    None, True, False, "", " ", ".", "-", -1, "-1", 10**400, -(10**400), 1e999, -1e999, float("nan"),
    "nan", "NaN", "inf", "Infinity", "1e3", "1e999", "+1", "0x10", "1_000", "1,5", "1 2", "1..2", "1.2.3",
    [], [1], [[]], ["unified"], {}, {"cpu": 1}, {"id": "unified"},
    "x" * 1_000_000, "1" * 100_000, "9" * 33, "\u0661", "\uff11", "²", "½", "\x00", "1\x00", "\x1b[31m1", "\n",
    "\ud800", "\u202e1", "\u2028", "unified ", "Unified", "unified\n", "../unified", "one", "None",
    "<script>alert(1)</script>", "${CPU}", "{0.__class__}", "%s", "' OR 1=1 --",
)  # fmt: skip


def shown(value: object) -> str:
    """A short name for a test's id."""
    return ascii(value)[:24]
