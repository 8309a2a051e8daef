"""Those who wait for a change of something that has a name."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator


class Waiters:
    """Any number of them for each name, on one loop. It iterates over the names for which anybody waits."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def __iter__(self) -> Iterator[str]:
        return iter(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    async def until_woken(self, name: str) -> None:
        """Wait for the next `wake` of the name."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[name].add(waiter)
        try:
            await waiter
        finally:
            self._waiting[name].discard(waiter)
            if not self._waiting[name]:
                del self._waiting[name]

    def wake(self, name: str) -> None:
        """Wake all who wait for a change of the name now."""
        for waiter in self._waiting.get(name, ()):
            if not waiter.done():
                waiter.set_result(None)
