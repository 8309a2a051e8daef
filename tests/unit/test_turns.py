"""The engine works on a few starts at once; the others wait in order, and hear how many are before them."""

from __future__ import annotations

import asyncio
import contextlib

from hypothesis import given
from hypothesis import strategies as st

from stateroom.backends.docker.containers import Turns


class Crowd:
    """Starts that take a turn, by the number of each."""

    def __init__(self, at_once: int) -> None:
        self.turns = Turns(at_once)
        self.at_work: list[int] = []
        self.most = 0
        self.finished: list[int] = []
        self.told: dict[int, list[int]] = {}

    def start(self, number: int, end: asyncio.Event) -> asyncio.Task[None]:
        async def work() -> None:
            async with self.turns.turn(self.told.setdefault(number, []).append):
                self.at_work.append(number)
                self.most = max(self.most, len(self.at_work))
                try:
                    await asyncio.wait_for(end.wait(), 30)
                finally:
                    self.at_work.remove(number)
                self.finished.append(number)

        return asyncio.create_task(work())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_work_at_once_and_the_others_in_their_order() -> None:
    crowd, ends = Crowd(2), [asyncio.Event() for _ in range(5)]
    tasks = [crowd.start(number, end) for number, end in enumerate(ends)]
    await settle()
    assert crowd.at_work == [0, 1]
    for number, end in enumerate(ends):
        end.set()
        await settle()
        assert crowd.finished == list(range(number + 1))
    await asyncio.gather(*tasks)
    assert crowd.most == 2
    assert crowd.told == {0: [], 1: [], 2: [0], 3: [1, 0], 4: [2, 1, 0]}


async def test_of_many_that_wait_those_far_back_hear_of_every_tenth_place() -> None:
    crowd, ends = Crowd(1), [asyncio.Event() for _ in range(40)]
    tasks = [crowd.start(number, end) for number, end in enumerate(ends)]
    for end in ends:
        await settle()
        end.set()
    await asyncio.gather(*tasks)
    assert crowd.told[39] == [38, 30, 20, *range(10, -1, -1)]


async def test_who_gives_up_is_passed_over() -> None:
    crowd, end = Crowd(1), asyncio.Event()
    tasks = [crowd.start(number, end) for number in range(4)]
    await settle()
    tasks[1].cancel()
    end.set()  # at the same moment
    await asyncio.gather(*tasks, return_exceptions=True)
    assert crowd.finished == [0, 2, 3]


@given(
    at_once=st.integers(1, 3),
    steps=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["end", "cancel", "settle"])), max_size=40),
)
def test_whoever_ends_or_gives_up_no_turn_is_lost_and_none_is_given_twice(
    at_once: int, steps: list[tuple[int, str]]
) -> None:
    async def everything() -> None:
        crowd, ends = Crowd(at_once), [asyncio.Event() for _ in range(10)]
        tasks = [crowd.start(number, end) for number, end in enumerate(ends)]
        await settle()
        for number, step in steps:
            if step == "settle":
                await settle()
            elif step == "end":
                ends[number].set()
            else:
                tasks[number].cancel()
        for end in ends:
            end.set()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 30)
        assert crowd.most <= at_once
        assert crowd.turns._free == at_once
        assert not crowd.turns._waiting

    asyncio.run(everything())
