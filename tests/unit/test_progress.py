from __future__ import annotations

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from stateroom.workloads.progress import Phase, Progress, ProgressLog

reports = st.builds(Progress, st.sampled_from(Phase), st.text(max_size=3), st.floats())


def test_phases_follow_one_another_without_a_gap() -> None:
    for earlier, later in itertools.pairwise(Phase):
        assert earlier.value[1] == later.value[0]


def test_the_bar_starts_at_nothing_and_leaves_the_last_step_to_the_hub() -> None:
    assert Progress(Phase.PREPARING, "").percent == 0
    assert Progress(Phase.ANSWERING, "", 1.0).percent == 95


@given(reports)
def test_the_bar_stays_within_its_phase_whatever_is_reported(progress: Progress) -> None:
    first, last = progress.phase.value
    assert first <= progress.percent <= last


@given(st.lists(reports, max_size=20))
def test_the_bar_never_goes_back(entries: list[Progress]) -> None:
    log = ProgressLog()
    for entry in entries:
        log.report(entry)
    log.close()
    seen = [percent for percent, _ in asyncio.run(read(log))]
    assert seen == sorted(seen)


async def test_a_step_back_keeps_the_bar_and_shows_the_sentence() -> None:
    log = ProgressLog()
    log.report(Progress(Phase.STARTING, "Starting"))
    log.report(Progress(Phase.PULLING, "Pulling again"))
    log.close()
    assert await read(log) == [(70, "Starting"), (70, "Pulling again")]


async def test_a_repetition_is_told_once() -> None:
    log = ProgressLog()
    for _ in range(3):
        log.report(Progress(Phase.STARTING, "Starting"))
    log.close()
    assert await read(log) == [(70, "Starting")]


async def test_a_late_reader_hears_everything() -> None:
    log = ProgressLog()
    log.report(Progress(Phase.PREPARING, "one"))
    log.close()
    assert await read(log) == await read(log) == [(0, "one")]


async def test_readers_hear_each_entry_as_it_comes() -> None:
    log = ProgressLog()
    readers = [asyncio.create_task(read(log)) for _ in range(3)]
    for number in range(5):
        await asyncio.sleep(0)
        log.report(Progress(Phase.PULLING, f"{number}", number / 5))
    await asyncio.sleep(0)
    assert not any(reader.done() for reader in readers)
    log.close()
    heard = await asyncio.gather(*readers)
    assert heard[0] == heard[1] == heard[2]
    assert [message for _, message in heard[0]] == ["0", "1", "2", "3", "4"]


async def test_a_reader_that_leaves_disturbs_nobody() -> None:
    log = ProgressLog()
    leaving, staying = asyncio.create_task(read(log)), asyncio.create_task(read(log))
    await asyncio.sleep(0)
    leaving.cancel()
    log.report(Progress(Phase.STARTING, "Starting"))
    log.close()
    assert await staying == [(70, "Starting")]


async def read(log: ProgressLog) -> list[tuple[int, str]]:
    return [entry async for entry in log.follow()]
