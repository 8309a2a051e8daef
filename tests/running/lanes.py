"""Lanes: jobs that share nothing run side by side, each lane in its own order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from queue import Empty, SimpleQueue

from running.outcome import Outcome
from running.output import announce
from running.suite import Job, Lane

RunJob = Callable[[Job], Outcome]

_REPORT_SECONDS = 120.0


def run_lanes(jobs: Sequence[Job], run_job: RunJob, done: Callable[[Outcome], None], *, alone_first: bool) -> None:
    """Run the lanes side by side, and before or after them what must run alone."""
    alone = [job for job in jobs if job.suite.lane is Lane.ALONE]
    side_by_side = [[job for job in jobs if job.suite.lane is lane] for lane in (Lane.ENGINE, Lane.CLUSTER)]
    phases = [[alone], [lane for lane in side_by_side if lane]]
    for phase in phases if alone_first else reversed(phases):
        _run_side_by_side(phase, run_job, done)


def _run_side_by_side(lanes: Iterable[Sequence[Job]], run_job: RunJob, done: Callable[[Outcome], None]) -> None:
    """Run each lane in a thread. The first exception of a lane is raised here, at once."""
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    current: set[str] = set()

    def run(lane: Sequence[Job]) -> None:
        try:
            for job in lane:
                current.add(job.name)
                done(run_job(job))
                current.discard(job.name)
        except BaseException as failure:  # noqa: BLE001 - raised where the lanes are waited for
            ended.put(failure)
        else:
            ended.put(None)

    threads = [threading.Thread(target=run, args=(lane,), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    for _ in threads:
        if failure := _next(ended, current):
            raise failure


def _next(ended: SimpleQueue[BaseException | None], current: set[str]) -> BaseException | None:
    """Wait for the end of a lane; now and then say what runs, as each job's output comes at its end."""
    while True:
        try:
            return ended.get(timeout=_REPORT_SECONDS)
        except Empty:
            announce(f"-- running: {', '.join(sorted(current))}")
