"""Follows a running server through the backend's changes, so that the hub acts on its end without a poll."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.app import JupyterHub

from stateroom.backends.base import Life


class ServerWatch:
    """The watch of one spawner's server. It begins and ends with the hub's own polling."""

    def __init__(self, spawner: Any) -> None:
        self._spawner = spawner
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Watch the server from now on."""
        self._task = asyncio.ensure_future(self._follow())

    def end(self) -> None:
        """End the watch. It may be the watch itself that calls this, when it has noticed the server's end."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._task = None

    @property
    def is_missing(self) -> bool:
        """Whether the hub takes the server for running, and would not hear of its end."""
        return bool(self._spawner.ready) and (self._task is None or self._task.done())

    async def resume(self, ended: Callable[[], Awaitable[None]]) -> None:
        """Watch and poll the server again, and look at it now; `ended` is for the hub to act on its end."""
        self._spawner._callbacks = []  # noqa: SLF001 - the hub's own, of which those of an interrupted stop are left
        self._spawner.add_poll_callback(ended)
        self._spawner.start_polling()
        await self._spawner.poll_and_notify()

    async def _follow(self) -> None:
        spawner = self._spawner
        state = await spawner.runtime.backend.servers.changed(spawner.ref, None)
        while state.life is Life.RUNNING:
            if state.out_of_memory:
                spawner.note_out_of_memory()
            await self._route_to(state.address)
            state = await spawner.runtime.backend.servers.changed(spawner.ref, state)
        await spawner.poll_and_notify()

    async def _route_to(self, address: str) -> None:
        """Update hub and proxy if the server has moved: a container may come back on another address."""
        spawner, parts = self._spawner, urlsplit(address)
        if not address or (parts.hostname, parts.port) == (spawner.server.ip, spawner.server.port):
            return
        spawner.log.warning("%s is at %s now.", spawner._log_name, address)  # noqa: SLF001 - as the hub's own lines
        spawner.server.ip, spawner.server.port = parts.hostname, parts.port
        spawner.user.db.commit()
        await JupyterHub.instance().proxy.add_user(spawner.user, spawner.name)
