"""A run ends in time, and what it does not reach is postponed."""

from __future__ import annotations

import pytest

from running.budget import GRACE_SECONDS, Budget


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_job_that_would_end_in_time_is_not_postponed(clock: Clock) -> None:
    budget = Budget(600, clock)
    assert budget.reason_to_postpone(600) == ""
    clock.now += 301
    assert budget.reason_to_postpone(300) == "it takes about 300 s here, and 299 s are left of the budget"
    assert budget.reason_to_postpone(299) == ""


def test_without_a_budget_nothing_is_postponed(clock: Clock) -> None:
    budget = Budget(None, clock)
    clock.now += 10**9
    assert budget.reason_to_postpone(10**9) == ""
    assert budget.until_cut == float("inf")


def test_a_slow_machine_takes_longer_for_what_is_to_come(clock: Clock) -> None:
    budget = Budget(600, clock)
    budget.pace.record(100, 250)
    assert budget.estimate(200) == 500
    budget.pace.record(100, 150)
    assert budget.estimate(200) == 400
    assert budget.reason_to_postpone(301)


def test_the_summary_says_how_long_it_took_and_how_fast_the_machine_was(clock: Clock) -> None:
    budget = Budget(3600, clock)
    budget.pace.record(100, 125)
    clock.now += 90
    assert budget.summary == "1.5 minutes of a budget of 60; jobs took 1.25 times as long as on record"
    assert Budget(None, clock).summary == "0.0 minutes; jobs took 1.00 times as long as on record"


def test_short_jobs_do_not_tell_how_fast_the_machine_is(clock: Clock) -> None:
    budget = Budget(600, clock)
    budget.pace.record(5, 50)
    assert budget.estimate(100) == 100


def test_what_still_runs_is_cut_off_some_minutes_after_the_end(clock: Clock) -> None:
    budget = Budget(600, clock)
    clock.now += 600
    assert (budget.left, budget.until_cut) == (0, GRACE_SECONDS)


def test_a_job_that_takes_many_times_as_long_as_usual_hangs(clock: Clock) -> None:
    budget = Budget(600, clock)
    assert not budget.is_hung(100, 299)
    assert budget.is_hung(100, 301)
    budget.pace.record(100, 200)
    assert not budget.is_hung(100, 599)
