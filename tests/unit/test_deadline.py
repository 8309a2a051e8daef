from __future__ import annotations

import asyncio
import time

import pytest

from stateroom.common.deadline import Deadline
from stateroom.common.errors import DeadlineExceeded


def test_time_left_shrinks_and_never_falls_below_zero() -> None:
    assert 9 < Deadline.after(10, "waiting").left() <= 10
    assert Deadline.after(-5, "waiting").left() == 0


async def test_work_that_ends_in_time_is_left_alone() -> None:
    async with Deadline.after(10, "waiting").enforced():
        await asyncio.sleep(0)


async def test_work_that_takes_too_long_is_cancelled_with_a_sentence() -> None:
    cancelled = False
    with pytest.raises(DeadlineExceeded, match=r"^Gave up waiting for the server: the time allowed is over\.$"):
        async with Deadline.after(0.01, "waiting for the server").enforced():
            try:
                await asyncio.sleep(60)
            finally:
                cancelled = True
    assert cancelled


@pytest.mark.usefixtures("loop_clock")
async def test_work_begun_after_the_time_is_over_ends_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        async with Deadline.after(-1, "waiting").enforced():
            await asyncio.sleep(60)
    assert time.monotonic() == started


async def test_a_time_out_of_the_work_itself_stays_what_it_is() -> None:
    with pytest.raises(TimeoutError, match="of its own"):
        async with Deadline.after(10, "waiting").enforced():
            raise TimeoutError("of its own")


async def test_a_cancelled_caller_is_not_told_of_a_deadline() -> None:
    async def work() -> None:
        async with Deadline.after(60, "waiting").enforced():
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_one_budget_serves_several_steps() -> None:
    deadline = Deadline.after(0.05, "starting")
    async with deadline.enforced():
        await asyncio.sleep(0.03)
    with pytest.raises(DeadlineExceeded):
        async with deadline.enforced():
            await asyncio.sleep(0.04)
