"""Deaths of servers, told by the engine's event stream at once.

One thread reads the stream. It reconnects for ever; what ended while it was
away is found by a list after each connection.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from stateroom.backends.docker.engine import Engine, translated
from stateroom.errors import BackendError

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0


class DeathWatch:
    """Wakes those who wait for a container's end."""

    def __init__(self, engine: Engine, hub: str) -> None:
        self._engine = engine
        self._hub = hub
        self._waiting: dict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._stream: Any = None

    async def until_changed(self, name: str) -> None:
        """Return when the container died or was removed, or may have been; the caller looks for itself."""
        self._begin()
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[name].add(waiter)
        try:
            await waiter
        finally:
            self._waiting[name].discard(waiter)
            if not self._waiting[name]:
                del self._waiting[name]

    def close(self) -> None:
        """End the thread. Waiters are left alone: their tasks end with the loop."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _begin(self) -> None:
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._follow, name="docker-events", daemon=True)
            self._thread.start()

    def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            try:
                self._stream = self._engine.follow_events(self._hub)
                # Whatever happened before this connection was missed: all look again.
                self._wake_all()
                pause = _FIRST_PAUSE
                with translated():
                    for event in self._stream:
                        self._wake([event.get("Actor", {}).get("Attributes", {}).get("name", "")])
            except BackendError as error:
                if not self._closed.is_set():
                    log.warning("The engine's event stream broke off, trying again: %s", error.detail or error)
            self._closed.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _wake_all(self) -> None:
        self._wake(None)

    def _wake(self, names: Iterable[str] | None) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resolve, names)

    def _resolve(self, names: Iterable[str] | None) -> None:
        for name in list(self._waiting) if names is None else names:
            for waiter in self._waiting.get(name, ()):
                if not waiter.done():
                    waiter.set_result(None)
