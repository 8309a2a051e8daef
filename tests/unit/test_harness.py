"""Tools of the tests themselves."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from harness.partition import pytest_collection_modifyitems

PATIENCE = 30


@pytest.mark.parametrize("count", [1, 3, 14])
def test_partitions_run_each_test_once(count: int) -> None:
    tests = [f"test {number}" for number in range(40)]
    ran: list[str] = []
    for number in range(1, count + 1):
        items, left_out = list(tests), []
        hook = SimpleNamespace(pytest_deselected=lambda items, into=left_out: into.extend(items))
        config = SimpleNamespace(getoption=lambda _, number=number: f"{number}/{count}", hook=hook)
        pytest_collection_modifyitems(config, items)
        assert sorted(items + left_out) == sorted(tests)
        assert len(items) in {len(tests) // count, len(tests) // count + 1}
        ran += items
    assert sorted(ran) == sorted(tests)


def test_without_a_partition_all_tests_run() -> None:
    items = ["a", "b"]
    pytest_collection_modifyitems(SimpleNamespace(getoption=lambda _: None), items)
    assert items == ["a", "b"]


@pytest.mark.usefixtures("loop_clock")
@pytest.mark.timeout(PATIENCE)
async def test_time_passes_at_once_and_in_its_order() -> None:
    began, woken = time.monotonic(), []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((seconds, time.monotonic() - began))

    await asyncio.gather(sleep(3600), sleep(60), sleep(7200))
    assert [seconds for seconds, _ in woken] == [60, 3600, 7200]
    assert [passed for _, passed in woken] == pytest.approx([60, 3600, 7200], abs=0.1)


@pytest.mark.usefixtures("loop_clock")
async def test_something_outside_of_the_loop_is_waited_for() -> None:
    loop, happened = asyncio.get_running_loop(), asyncio.Event()
    await loop.run_in_executor(None, lambda: loop.call_soon_threadsafe(happened.set))
    await asyncio.wait_for(happened.wait(), PATIENCE)
