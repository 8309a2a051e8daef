"""How long a loop does not turn, and what of that its own code computes."""

from __future__ import annotations

import asyncio
import faulthandler
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

_EVERY = 0.005
LONGEST = 0.05  # seconds that a hub's loop may stand still


@dataclass(slots=True)
class Stalls:
    """Seconds. What a loop's thread did not compute in a stall, the machine took for something else."""

    longest: float = 0.0
    longest_computed: float = 0.0
    over: int = 0  # how many were computed for longer than they may be

    def take(self, late: float, computed: float) -> None:
        """Take one beat into account."""
        self.longest = max(self.longest, late)
        self.longest_computed = max(self.longest_computed, min(late, computed))
        self.over += min(late, computed) > LONGEST


class Heartbeat:
    """Beats on the running loop. With `why`, what runs in a long stall is written to stderr."""

    def __init__(self, *, why: bool = False) -> None:
        self._why = why
        self._stalls = Stalls()
        self._task = asyncio.create_task(self._beat())

    def stalls(self) -> dict[str, float]:
        """Those since the last question."""
        found, self._stalls = self._stalls, Stalls()
        return asdict(found)

    @contextmanager
    def counted(self, into: dict[str, dict[str, float]], what: str) -> Iterator[None]:
        """Put the stalls of the body under a name."""
        self.stalls()
        yield
        into[what] = self.stalls()

    async def end(self) -> None:
        """Beat no more."""
        self._task.cancel()
        await asyncio.wait([self._task])
        faulthandler.cancel_dump_traceback_later()

    async def _beat(self) -> None:
        while True:
            if self._why:
                faulthandler.dump_traceback_later(LONGEST)
            wall, computed = time.perf_counter(), time.thread_time()
            await asyncio.sleep(_EVERY)
            self._stalls.take(time.perf_counter() - wall - _EVERY, time.thread_time() - computed)
