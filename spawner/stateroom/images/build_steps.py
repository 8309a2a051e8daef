"""The steps of an image build in our own words: what runs, about how long is left, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from stateroom.common.text import clipped

TAIL = 30  # lines in which the cause of a failure is looked for

# What the long steps are called for the person who waits.
SENDING = "Sending the files to Docker"
STORING = "Storing the image"
_DEBIAN, _TOGETHER = "Installing Debian packages", "Putting the image together"
_TITLES = (("apt-get install", _DEBIAN), ("install.sh", _DEBIAN), ("COPY --from", _TOGETHER))

# The share of a build's time that has passed when a step begins; of others, that of the installations.
_PASSED = {SENDING: 0.0, _DEBIAN: 0.0, _TOGETHER: 0.8, STORING: 0.9}
_PASSED_WHEN_INSTALLING = 0.3
_BASE_SECONDS = 15  # that mmdebstrap takes


@dataclass(frozen=True, slots=True)
class BuildStep:
    """Where a build stands: step `number` of `total`, what it does, the last line it wrote.

    `left` is about how many seconds of the build were left when the step began, 0 where that is not known.
    """

    number: int
    total: int
    title: str
    line: str = ""
    left: float = 0.0


Report = Callable[[BuildStep], None]


def timed(report: Report, usual: float, clock: Callable[[], float] = time.monotonic) -> Report:
    """Report each step with the time that is left, where the whole build takes `usual` seconds on a usual machine.

    How fast this one is shows as soon as some of the work is done.
    """
    began, title, left = clock(), "", 0.0

    def reported(step: BuildStep) -> None:
        nonlocal began, title, left
        if step.title == SENDING:
            began = clock()  # what came before, the base, is no part of the shares
        if step.title != title:
            title, left = step.title, seconds_left(step.title, clock() - began, usual)
        report(replace(step, left=left))

    return reported


def seconds_left(title: str, elapsed: float, usual: float) -> float:
    """Estimate how many seconds of a build are left when a step begins, `elapsed` seconds after the files were sent."""
    if title.startswith(("Asking", "No registry")):
        return usual + _BASE_SECONDS
    passed = _PASSED.get(title, _PASSED_WHEN_INSTALLING)
    whole = elapsed / passed if passed else usual
    # A machine that is fast with the first packages need not be so with the rest.
    return (max(whole, usual) if passed <= _PASSED_WHEN_INSTALLING else whole) * (1 - passed)


def title_of(instruction: str, before: str, installs: str) -> str:
    """Name an instruction; the quick ones pass under the title of the one `before`."""
    if "pip install" in instruction and "apt-get install" not in instruction and "install.sh" not in instruction:
        return f"Installing {installs}"
    return next((title for part, title in _TITLES if part in instruction), before)


def failure(work: str, tail: Iterable[str], error: str) -> str:
    """Describe in one sentence why some work failed, from the last lines that it wrote."""
    words = [line for line in tail if line]
    if any("no space left on device" in line.lower() for line in (*words, error)):
        return "the disk is full; the build needs about 4 GB where Docker keeps its images."
    marked = [line for line in words if line.startswith(("ERROR:", "E:", "fatal:", "error:"))]
    reason = (marked or words or [error])[-1]
    return f'{work} failed with "{clipped(reason)}".'
