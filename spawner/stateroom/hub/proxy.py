"""The proxies: one that the hub does not start, and the one of `stateroom up`.

The first may restart on its own, and gets its routes back in a second. A
configurable-http-proxy that restarts knows no routes. JupyterHub (6.1) restores
them when it next reads everybody's activity from the proxy, which it does every
five minutes. Here the hub asks for its own route alone, once a second. If that is
missing, the others are too.

While the proxy is away, JupyterHub delays a start or a stop by 30 s; then it
stops the server that was started, and gives up the stop. Here both go on, and the
proxy's routes are updated once it is back.
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

from stateroom.hub.accounts.authenticator import AccountsAuthenticator

_PAUSE = 1.0
_AT_ONCE = 50
# No connection is reused: a kept one may lead to a proxy that has restarted.
_TIMEOUT = aiohttp.ClientTimeout(total=5, sock_connect=1)


_OWN_ADDRESS = "127.0.0.1"


class LocalProxy(ConfigurableHTTPProxy):
    """As JupyterHub's own, with each user's servers at the machine's own address as well.

    There they are for programs that cannot resolve host names below `localhost`, and that have an API token. No
    browser is logged in there: our login page leads to the hub's own name. With another login there are no such routes.
    """

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        """Add a route, and its twin at the machine's own address."""
        await super().add_route(routespec, target, data)
        if twin := self._twin(routespec):
            await super().add_route(twin, target, data)

    async def delete_route(self, routespec: str) -> None:
        """Delete a route and its twin."""
        await super().delete_route(routespec)
        if twin := self._twin(routespec):
            await super().delete_route(twin)

    async def get_all_routes(self) -> Any:
        """Return the routes that the hub knows of, without their twins."""
        routes = await super().get_all_routes()
        return {spec: route for spec, route in routes.items() if not spec.startswith(f"{_OWN_ADDRESS}/")}

    def _twin(self, routespec: str) -> str:
        host, _, path = routespec.partition("/")
        is_users = f"/{path}".startswith(f"{self.app.base_url}user/")
        leads_away = isinstance(self.app.authenticator, AccountsAuthenticator)
        return f"{_OWN_ADDRESS}/{path}" if host.endswith(".localhost") and is_users and leads_away else ""


class StateroomProxy(ConfigurableHTTPProxy):
    """As JupyterHub's own, for `should_start = False`."""

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._watch: asyncio.Task[None] | None = None
        self._answers = asyncio.Event()
        self._answers.set()
        self._is_outdated = False  # whether a route may be missing, or one too many
        self._added = 0

    async def check_routes(self, user_dict: Any, service_dict: Any, routes: Any = None) -> None:
        """Check as the hub does. The first check, at the hub's start, begins the watch, which ends with the hub."""
        await super().check_routes(user_dict, service_dict, routes)
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._keep_routes(user_dict, service_dict))

    async def get_all_routes(self) -> Any:
        """Wait for a proxy that is away."""
        await self._answers.wait()
        return await super().get_all_routes()

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        """Add a route now, or once the proxy is back."""
        with self._or_later():
            if self._answers.is_set():
                await super().add_route(routespec, target, data)
                self._added += 1

    async def delete_route(self, routespec: str) -> None:
        """Delete a route now, or once the proxy is back."""
        with self._or_later():
            if self._answers.is_set():
                await super().delete_route(routespec)

    @contextmanager
    def _or_later(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # JupyterHub 6's TimeoutError when it has tried for 30 s; 5 may refuse at once
            self._is_outdated = True

    async def _keep_routes(self, users: Any, services: Any) -> None:
        context = make_ssl_context(
            self.app.internal_ssl_key, self.app.internal_ssl_cert, cafile=self.app.internal_ssl_ca
        )
        connector = aiohttp.TCPConnector(ssl=context or True, force_close=True)
        async with aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT) as session:
            while True:
                await asyncio.sleep(_PAUSE)
                await self._check(session, users, services)

    async def _check(self, session: aiohttp.ClientSession, users: Any, services: Any) -> None:
        try:
            complete = await self._has_hub_route(session)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._went_away(error)
            return
        if not complete or self._is_outdated:
            await self._update(users, services)

    async def _has_hub_route(self, session: aiohttp.ClientSession) -> bool:
        """Return whether the hub's route is there and is the hub's: `--default-target` makes one without its data."""
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
            self.log.warning("The proxy does not answer; it is asked again every second. %s", error or "It is silent.")
        self._answers.clear()
        self._is_outdated = True

    async def _update(self, users: Any, services: Any) -> None:
        """Bring the proxy's table up to date. If that fails, it is tried again in a second."""
        self._answers.set()
        self._is_outdated, before = False, self._added
        try:
            await self._add_servers(users)
            await self.check_routes(users, services)
        except Exception as error:  # noqa: BLE001 - whatever it was, the watch goes on
            self._is_outdated = True
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
