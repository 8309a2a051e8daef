"""What is owed: removals that could not be done at once."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable

from stateroom.errors import BackendError
from stateroom.names import ServerRef

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 10.0
_AFTERMATH = 60.0  # seconds in which an engine that answers again may still do what it was asked for before


class Removals:
    """One task for each server of which something may be left.

    `remove` removes it, and says whether there was anything.
    """

    def __init__(self, remove: Callable[[ServerRef], Awaitable[bool]]) -> None:
        self._remove = remove
        self._tasks: dict[ServerRef, asyncio.Task[None]] = {}

    def later(self, ref: ServerRef) -> None:
        """Remove it once the engine answers, also what the engine makes only then."""
        if ref not in self._tasks:
            self._tasks[ref] = asyncio.create_task(self._keep_removing(ref))
            self._tasks[ref].add_done_callback(lambda _: self._tasks.pop(ref, None))

    async def end(self, ref: ServerRef) -> None:
        """Leave it alone: what is left of the server is now the business of a start."""
        if task := self._tasks.pop(ref, None):
            task.cancel()
            await asyncio.wait([task])

    def close(self) -> None:
        """Leave all alone."""
        for task in self._tasks.values():
            task.cancel()

    async def _keep_removing(self, ref: ServerRef) -> None:
        pause, until = _FIRST_PAUSE, math.inf
        while time.monotonic() < until:
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            with contextlib.suppress(BackendError):
                if await self._remove(ref):
                    return
                until = min(until, time.monotonic() + _AFTERMATH)
