"""Running one job: its needs, its tests, its time, and what happens when the budget is used up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from running.budget import Budget
from running.outcome import MissingRequirement, Outcome
from running.output import announce, logged, say
from running.runners import file_of_results, write_outcome
from running.suite import Job


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs jobs within a budget. `live`: their output appears at once, since no other job runs beside them."""

    budget: Budget
    options: Sequence[str]
    seconds: Callable[[Job], float]  # how long a job's tests took last time
    live: bool

    def run(self, job: Job) -> Outcome:
        """Run a job, unless it would not end in time."""
        if reason := self.budget.reason_to_postpone(self.seconds(job)):
            announce(f"-- {job.name} is postponed: {reason}")
            return Outcome(job.name, postponed=reason)
        if not self.live:
            announce(f"-- {job.name} begins")
        with logged(file_of_results(job.name, ".log"), live=self.live):
            say(f"\n== {job.name}: {job.suite.about}")
            outcome = self._judged(job, run_job(job, self.options))
        write_outcome(outcome)
        if not self.live:
            announce(f"-- {job.name} has ended: {_counts(outcome)}")
        return outcome

    def _judged(self, job: Job, outcome: Outcome) -> Outcome:
        """Tell a job that the end of the budget cut off from one that hung; teach the pace from the others."""
        recorded = self.seconds(job)
        if self.budget.until_cut > 0:
            if outcome.proves and not self.options:
                self.budget.pace.record(recorded, outcome.test_seconds)
            return outcome
        if outcome.proves:
            return outcome
        taken = outcome.test_seconds
        if self.budget.is_hung(recorded, taken):
            outcome.failed.append(
                f"not ended after {taken:.0f} s, where {self.budget.estimate(recorded):.0f} s are usual"
            )
            return outcome
        outcome.failed = [failure for failure in outcome.failed if "::" in failure]  # of tests, not of the cut
        outcome.skipped = []
        outcome.postponed = f"it was cut off, unfinished, after {taken:.0f} s, some minutes after the budget's end"
        return outcome


def run_job(job: Job, options: Sequence[str]) -> Outcome:
    """Meet the job's needs, run its tests, and take the time of both."""
    began = time.monotonic()
    try:
        meet_needs(job)
    except MissingRequirement as reason:
        say(f"skipped: {reason}")
        return Outcome(job.name, skipped=[f"all of it: {reason}"], setup_seconds=time.monotonic() - began)
    ready = time.monotonic()
    outcome = job.suite.run(job, options)
    outcome.setup_seconds = ready - began
    outcome.test_seconds = time.monotonic() - ready
    return outcome


def meet_needs(job: Job) -> None:
    """Meet the needs in their order. Raises MissingRequirement, unless part of the suite runs without them."""
    try:
        for need in job.suite.needs:
            need()
    except MissingRequirement as reason:
        if not job.suite.optional_needs:
            raise
        say(f"Some of its needs are missing: {reason}")


def _counts(outcome: Outcome) -> str:
    words = f"{outcome.passed} passed, {len(outcome.failed)} failed, {len(outcome.skipped)} skipped"
    return f"{words} in {outcome.setup_seconds + outcome.test_seconds:.0f} s"
