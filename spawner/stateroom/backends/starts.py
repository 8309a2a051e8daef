"""The starts under way, so that a stop can end them at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from stateroom.errors import EngineRefused, ServerEnded
from stateroom.names import ServerRef


class Starts:
    """One task for each server that is being started."""

    def __init__(self) -> None:
        self._tasks: dict[ServerRef, asyncio.Task[str]] = {}

    async def run(self, ref: ServerRef, body: Coroutine[None, None, str]) -> str:
        """Run `body`, the start itself; it cleans up after itself when cancelled.

        Raises ServerEnded when `cancel` ends it, EngineRefused when the server
        is being started already.
        """
        if ref in self._tasks:
            body.close()
            raise EngineRefused("This server is being started already. Wait for it, or stop it first.")
        task = self._tasks[ref] = asyncio.create_task(body)
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
            raise ServerEnded("The server was stopped while it was starting.") from None
        finally:
            del self._tasks[ref]

    def has_sibling_of(self, ref: ServerRef) -> bool:
        """Whether another server of the same user is being started."""
        return any(ref.is_sibling_of(other) for other in self._tasks)

    async def cancel(self, ref: ServerRef) -> None:
        """End the server's start, if there is one, and wait until it has cleaned up."""
        task = self._tasks.get(ref)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
