"""What a run consists of: which jobs, in which order. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from running.ledger import Ledger, Proof, why_due
from running.suite import Job, Suite

ROTATION_SECONDS = 4 * 60  # so much of each run goes to rotated jobs that are due


@dataclass(frozen=True, slots=True)
class History:
    """What is known of earlier runs, and of the checkout."""

    ledger: Ledger
    now: datetime
    commit: str  # decides between rotated jobs that are equally due
    commits_since: Callable[[str], int | None]
    inputs: Callable[[Job], str] = lambda _: ""

    def why_due(self, job: Job) -> str:
        """Return why a job is due, or ""."""
        return why_due(self.ledger.last(job.name), self.now, self.commits_since, self.inputs(job))

    def seconds(self, job: Job) -> float:
        """Return how long the job's tests took last time."""
        proof = self.ledger.last(job.name)
        return proof.test_seconds if proof else job.part.seconds


def select(suites: Sequence[Suite], names: Sequence[str], *, everything: bool, history: History) -> list[Job]:
    """Choose the jobs of a run, what matters most first; what was postponed last time goes ahead of the rest."""
    if names:
        return [job for suite in suites for job in suite.jobs if {suite.name, job.name} & set(names)]
    if everything:
        return [job for suite in suites for job in suite.jobs]
    regular = [suite for suite in suites if not suite.on_request]
    each_time = [job for suite in regular for job in _each_time(suite, history)]
    chosen = each_time + _due(regular, each_time, history)
    return sorted(chosen, key=lambda job: job.name not in history.ledger.postponed)


def unknown(suites: Sequence[Suite], names: Sequence[str]) -> set[str]:
    """Return the names that no suite and no part has."""
    return set(names) - {name for suite in suites for job in suite.jobs for name in (suite.name, job.name)}


def _each_time(suite: Suite, history: History) -> list[Job]:
    rotated = [job for job in suite.jobs if job.part.rotated]
    taken = sorted(rotated, key=lambda job: _turn(job, history))[: suite.each_run]
    others = [job for job in suite.jobs if not job.part.rotated]
    return [job for job in others if not job.part.inputs or history.why_due(job)] + taken


def _due(suites: Sequence[Suite], taken: Sequence[Job], history: History) -> list[Job]:
    """Take along the rotated jobs that are due, the oldest first, as many as the time for them allows."""
    rotated = [job for suite in suites for job in suite.jobs if job.part.rotated]
    candidates = [job for job in rotated if job not in taken and history.why_due(job)]
    chosen, seconds = [], 0.0
    for job in sorted(candidates, key=lambda job: _age(job, history)):
        if seconds + history.seconds(job) <= ROTATION_SECONDS:
            chosen.append(job)
            seconds += history.seconds(job)
    return chosen


def _age(job: Job, history: History) -> tuple[bool, str, str]:
    """Order jobs: postponed ones, then the oldest proof, then by the commit."""
    last = history.ledger.last(job.name)
    return job.name not in history.ledger.postponed, _date(last), _draw(job, history)


def _turn(job: Job, history: History) -> tuple[bool, bool, str]:
    """Order jobs: postponed ones, then those due, then by the commit.

    The commit decides and not the age, since results of CI reach the ledger late
    or never, and the oldest job would then have its turn again and again.
    """
    return job.name not in history.ledger.postponed, not history.why_due(job), _draw(job, history)


def _date(proof: Proof | None) -> str:
    return proof.date if proof else ""


def _draw(job: Job, history: History) -> str:
    return hashlib.sha256(f"{history.commit} {job.name}".encode()).hexdigest()
