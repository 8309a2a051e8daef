"""The proxy of a hub that does not start it: it may restart on its own, and has its routes back in a second.

A configurable-http-proxy that restarts knows no routes. JupyterHub (6.1) gives
them back when it next reads everybody's activity from the proxy, which it does
every five minutes. Here the hub asks each second for its own route alone. Where
that is missing, the others are too.

While the proxy is away, JupyterHub holds a start or a stop up for 30 s; then it
stops the server that was started, and gives up the stop. Here both go on: what a
proxy that is away is not told, it is told when it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub.utils import make_ssl_context, url_path_join

_PAUSE = 1.0
_AT_ONCE = 50
# A connection for each question: one that was kept would be to a proxy that is no more.
_PATIENCE = aiohttp.ClientTimeout(total=5, sock_connect=1)


class StateroomProxy(ConfigurableHTTPProxy):
    """As JupyterHub's own, for `should_start = False`."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._watch: asyncio.Task[None] | None = None
        self._answers = asyncio.Event()
        self._answers.set()
        self._untold = False  # whether a route may be missing, or one too many
        self._added = 0

    async def check_routes(self, user_dict: Any, service_dict: Any, routes: Any = None) -> None:
        """As the hub's own. With the first, at the hub's start, the watch begins; the hub cancels it at its end."""
        await super().check_routes(user_dict, service_dict, routes)
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._keep_routes(user_dict, service_dict))

    async def get_all_routes(self) -> Any:
        """Wait for a proxy that is away."""
        await self._answers.wait()
        return await super().get_all_routes()

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        """Add a route, or leave that for later."""
        with self._or_later():
            if self._answers.is_set():
                await super().add_route(routespec, target, data)
                self._added += 1

    async def delete_route(self, routespec: str) -> None:
        """Delete a route, or leave that for later."""
        with self._or_later():
            if self._answers.is_set():
                await super().delete_route(routespec)

    @contextmanager
    def _or_later(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # JupyterHub 6's TimeoutError when it has tried for 30 s; 5 may refuse at once
            self._untold = True

    async def _keep_routes(self, users: Any, services: Any) -> None:
        context = make_ssl_context(
            self.app.internal_ssl_key, self.app.internal_ssl_cert, cafile=self.app.internal_ssl_ca
        )
        connector = aiohttp.TCPConnector(ssl=context or True, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=_PATIENCE) as session:
            while True:
                await asyncio.sleep(_PAUSE)
                await self._look(session, users, services)

    async def _look(self, session: aiohttp.ClientSession, users: Any, services: Any) -> None:
        try:
            complete = await self._has_hub_route(session)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._went_away(error)
            return
        if not complete or self._untold:
            await self._tell(users, services)

    async def _has_hub_route(self, session: aiohttp.ClientSession) -> bool:
        """Whether the hub's route is there, and is the hub's: `--default-target` makes one that says no more."""
        path = self._routespec_to_chp_path(self.hub.routespec)
        # `api/routes/` is the whole table, and `api/routes//` the route "/" alone.
        url = url_path_join(self.api_url, "api/routes") + ("//" if path == "/" else path)
        async with session.get(url, headers={"Authorization": f"token {self.auth_token}"}) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return False
            answer.raise_for_status()
            return "hub" in await answer.json()

    def _went_away(self, error: Exception) -> None:
        if self._answers.is_set():
            self.log.warning("The proxy does not answer; it is asked again each second. %s", error or "It is silent.")
        self._answers.clear()
        self._untold = True

    async def _tell(self, users: Any, services: Any) -> None:
        """Bring the proxy's table up to date. What fails on the way is tried again in a second."""
        self._answers.set()
        self._untold, before = False, self._added
        try:
            await self._add_servers(users)
            await self.check_routes(users, services)
        except Exception as error:  # noqa: BLE001 - whatever it was, the watch goes on
            self._untold = True
            self.log.warning("The proxy could not be given its routes: %s", error)
            return
        self.log.warning("The proxy answers, and was given the %i routes that it lacked.", self._added - before)

    async def _add_servers(self, users: Any) -> None:
        """Add what runs, a few at a time: ten thousand at once, as in `check_routes`, hold the loop up a second."""
        known = await self.get_all_routes()
        servers = [(user, name, spawner) for user in users.values() for name, spawner in list(user.spawners.items())]
        missing = [server for server in servers if server[2].ready and server[2].proxy_spec not in known]
        for first in range(0, len(missing), _AT_ONCE):
            few = missing[first : first + _AT_ONCE]
            # Some may have ended meanwhile.
            await asyncio.gather(*(self.add_user(user, name) for user, name, spawner in few if spawner.ready))
