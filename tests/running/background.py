"""Meeting the needs of later jobs while earlier ones run."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

from running import needs
from running.outcome import MissingRequirement
from running.output import logged
from running.runners import file_of_results
from running.suite import Job, Need

_SLOW = (needs.need_image,)  # has a thread of its own, so that packages and the cluster do not wait for it


def set_up_in_background(jobs: Sequence[Job]) -> None:
    """Meet the jobs' needs, in the order in which they come up. What is missing, each job reports by itself."""
    wanted = list(dict.fromkeys(need for job in jobs for need in job.suite.needs))
    slow = [need for need in wanted if need in _SLOW]
    others = [need for need in wanted if need not in slow]
    for name, part in (("set-up", others), ("set-up-image", [needs.need_engine, *slow] if slow else [])):
        threading.Thread(target=_meet, args=(name, part), daemon=True).start()


def _meet(name: str, wanted: Sequence[Need]) -> None:
    with logged(file_of_results(name, ".log"), live=False):
        for need in wanted:
            with contextlib.suppress(MissingRequirement, KeyboardInterrupt):
                need()
