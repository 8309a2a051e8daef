"""One time budget, handed down through a start or a stop.

Nothing below the top chooses a time-out of its own: it asks what is left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stateroom.common.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time on the monotonic clock, with the words for what runs until then."""

    at: float
    purpose: str

    @classmethod
    def after(cls, seconds: float, purpose: str) -> Deadline:
        """`purpose` completes "Gave up ...", such as "waiting for the server to answer"."""
        return cls(time.monotonic() + seconds, purpose)

    def left(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    def later(self, seconds: float) -> Deadline:
        """The same, put off."""
        return Deadline(self.at + seconds, self.purpose)

    @asynccontextmanager
    async def enforced(self) -> AsyncIterator[None]:
        """Cancel the body when the time is over and raise DeadlineExceeded instead."""
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self.left()) as scope:
                yield
        except TimeoutError as error:
            if not scope.expired():
                raise
            raise DeadlineExceeded(f"Gave up {self.purpose}: the time allowed is over.") from error
