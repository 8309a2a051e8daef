"""What is said of ten thousand servers, and how a loop's stalls are found."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from benchmark.at_scale.heartbeat import Heartbeat
from benchmark.scale_kubernetes import QUICK, Results, rows

CALM = {"longest": 0.2, "longest_computed": 0.01, "over": 0}
STALLED = {"longest": 0.2, "longest_computed": 0.06, "over": 3}
MIB = 1024**2


def test_a_loop_that_computes_for_long_is_told_from_one_that_waits_for_the_machine() -> None:
    async def stalls(work: Any) -> dict[str, float]:
        heart, found = Heartbeat(), {}
        await asyncio.sleep(0.01)
        with heart.counted(found, "it"):
            work()
            await asyncio.sleep(0.02)
        await heart.end()
        return found["it"]

    def compute() -> None:
        until = time.thread_time() + 0.08
        while time.thread_time() < until:
            pass

    computed, waited = asyncio.run(stalls(compute)), asyncio.run(stalls(lambda: time.sleep(0.08)))
    assert computed["longest_computed"] > 0.05
    assert computed["over"] == 1
    assert waited["longest"] > 0.05
    assert waited["longest_computed"] < 0.05
    assert waited["over"] == 0


def test_a_stall_that_the_machine_makes_is_told_and_misses_no_target() -> None:
    assert missed(made()) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"ours": {"idle": STALLED}}, "… 15 s idle, pods changing"),
        ({"ours": {"again": STALLED}}, "… listing them again, as for quotas"),
        ({"ours": {"servers": 499}}, "a restart knows all servers, and of each"),
        ({"many": {"one_by_one": [0.4, 0.5]}}, "20 starts one after another: median"),
        ({"many": {"at_once": [0.2, 0.2, 0.9]}}, "20 starts at once: last"),
    ],
)
def test_a_target_that_is_missed_is_marked_and_only_that(changes: dict[str, Any], what: str) -> None:
    assert missed(made(**changes)) == [what]


def test_memory_is_what_the_servers_add() -> None:
    row = next(row for row in rows(made(), QUICK) if row.what == "memory for a server")
    assert (row.ours, row.theirs) == ("2.0 KiB (80 MiB without any)", "20.0 KiB (80 MiB without any)")


def missed(results: Results) -> list[str]:
    return [row.what for row in rows(results, QUICK) if row.met is False]


def made(*, ours: dict[str, Any] | None = None, many: dict[str, Any] | None = None) -> Results:
    """Results that meet all targets, but for what is given."""
    seconds = {"listed_seconds": 1.0, "each_seconds": 0.1}
    calm = dict.fromkeys(("first", "each", "again", "idle"), CALM)
    starts = {"alone": CALM, "crowd": CALM, "stops": CALM, "one_by_one": [0.2, 0.2], "at_once": [0.2, 0.2, 0.4]}
    none = {"servers": 0, "memory": 80 * MIB}
    return Results(
        "the machine",
        nobody=none,
        ours={"servers": 500, "memory": 80 * MIB + 500 * 2048, **calm, **seconds, **(ours or {})},
        theirs_nobody=none,
        theirs={"servers": 500, "memory": 80 * MIB + 500 * 20480, **calm, **seconds},
        few=starts,
        many={**starts, **(many or {})},
    )
