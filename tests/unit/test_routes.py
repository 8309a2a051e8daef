"""Routes come back to a proxy that lost them, against a small server that answers as configurable-http-proxy does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.proxy import ConfigurableHTTPProxy

from harness.hub import free_port
from stateroom.hub import proxy as routes
from stateroom.hub.accounts.authenticator import AccountsAuthenticator
from stateroom.hub.proxy import LocalProxy, StateroomProxy

HUB = "http://10.0.0.1:8081"
PAUSE = 0.05


class Api:
    """The proxy's API, which can go away and come back without its routes."""

    def __init__(self) -> None:
        self.port = free_port()
        self.table: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.refused = 0
        self._runner: web.AppRunner | None = None

    async def up(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/api/routes{path:.*}", self._handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.table.clear()

    async def _handle(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        self.asked.append(f"{request.method} {path}")
        if request.headers["Authorization"] != "token secret":
            return web.Response(status=403)
        name = path if path == "/" else "/" + path.strip("/")
        if request.method == "POST":
            if self.refused and name != "/":
                self.refused -= 1
                return web.Response(status=400)
            self.table[name] = await request.json()
            return web.Response(status=201)
        if request.method == "DELETE":
            return web.Response(status=204 if self.table.pop(name, None) else 404)
        if path in {"", "/"}:
            return web.json_response(self.table)
        return web.json_response(self.table[name]) if name in self.table else web.Response(status=404)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    await api.up()
    yield api
    await api.down()


def person(name: str) -> SimpleNamespace:
    """A user whose server runs."""
    spec = f"/user/{name}/"
    server = SimpleNamespace(host=f"http://10.0.1.1:8888/{name}")
    spawner = SimpleNamespace(ready=True, pending=None, proxy_spec=spec, server=server, _log_name=name)
    return SimpleNamespace(name=name, proxy_spec=spec, spawners={"": spawner})


@pytest.fixture
def users() -> dict[str, SimpleNamespace]:
    return {name: person(name) for name in ("ada", "bob")}


class Log(logging.Handler):
    """What the proxy class logs. Not `caplog`, which is deaf once a test has configured a hub's application."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def text(self) -> str:
        return "\n".join(record.getMessage() for record in self.records)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def proxy(
    api: Api, users: dict[str, SimpleNamespace], monkeypatch: pytest.MonkeyPatch, log: Log
) -> AsyncIterator[StateroomProxy]:
    """A proxy class as a hub that has started has it."""
    monkeypatch.setattr(routes, "_PAUSE", PAUSE)
    hub = SimpleNamespace(routespec="/", host=HUB)
    app = SimpleNamespace(hub=hub, internal_ssl_key="", internal_ssl_cert="", internal_ssl_ca="")
    url = f"http://127.0.0.1:{api.port}"
    logger = logging.Logger("proxy")  # no other test's, and nobody's child
    logger.addHandler(log)
    proxy = StateroomProxy(app=app, hub=hub, should_start=False, auth_token="secret", api_url=url, log=logger)
    await proxy.check_routes(users, {})
    yield proxy
    assert proxy._watch is not None
    assert not proxy._watch.done()
    proxy._watch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await proxy._watch
    await close_the_hubs_client()


async def close_the_hubs_client() -> None:
    """As the hub does at its end; JupyterHub 5 has none to close."""
    with contextlib.suppress(ImportError):
        from jupyterhub.httpclient import JupyterHubHTTPClient

        await JupyterHubHTTPClient.loop_instance().close()


async def wait_for(look: Callable[[], object], what: str, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < until, f"waited in vain for {what}"
        await asyncio.sleep(0.01)


ALL = {"/", "/user/ada", "/user/bob"}


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize("default", [False, True])
async def test_a_proxy_that_lost_its_routes_has_them_again(api: Api, log: Log, *, default: bool) -> None:
    assert set(api.table) == ALL
    api.table.clear()
    if default:  # what a proxy with `--default-target` starts with
        api.table["/"] = {"target": HUB, "last_activity": "2026-01-01T00:00:00.000Z"}
    await wait_for(lambda: set(api.table) == ALL and "hub" in api.table["/"], "the routes")
    await wait_for(lambda: words(log) == ["The proxy answers, and was given the 3 routes that it lacked."], "a word")


@pytest.mark.usefixtures("proxy")
async def test_what_a_proxy_knows_is_asked_by_one_small_question(api: Api) -> None:
    api.asked.clear()
    await wait_for(lambda: len(api.asked) >= 4, "questions")
    assert set(api.asked) == {"GET //"}


async def test_the_hubs_route_is_asked_for_where_it_is(api: Api, proxy: StateroomProxy) -> None:
    proxy.hub.routespec = "/jupyter/"
    api.table["/jupyter"] = api.table.pop("/")
    api.asked.clear()
    await wait_for(lambda: len(api.asked) >= 3, "questions")
    assert set(api.asked[1:]) == {"GET /jupyter"}


@pytest.mark.usefixtures("proxy")
async def test_an_absence_takes_two_lines_of_the_log(api: Api, log: Log) -> None:
    await api.down()
    await wait_for(lambda: words(log), "a word of its absence")
    await asyncio.sleep(5 * PAUSE)
    await api.up()
    await wait_for(lambda: set(api.table) == ALL, "the routes")
    await wait_for(lambda: len(words(log)) == 2, "a word of its return")
    assert words(log)[0].startswith("The proxy does not answer; it is asked again every second. Cannot connect")
    assert words(log)[1] == "The proxy answers, and was given the 3 routes that it lacked."


async def test_servers_start_and_stop_while_the_proxy_is_away(
    api: Api, proxy: StateroomProxy, users: dict[str, SimpleNamespace], log: Log
) -> None:
    await api.down()
    await wait_for(lambda: words(log), "a word of its absence")
    users["eve"] = person("eve")
    async with asyncio.timeout(30):
        await proxy.add_user(users["eve"])
        await proxy.delete_user(users.pop("bob"))
    activity = asyncio.ensure_future(proxy.get_all_routes())
    await api.up()
    await wait_for(lambda: set(api.table) == {"/", "/user/ada", "/user/eve"}, "the routes")
    assert await activity is not None
    assert "api_request" not in log.text  # the hub's own trying again


@pytest.mark.parametrize("error", [TimeoutError, ConnectionRefusedError])
async def test_a_server_that_the_hub_tried_in_vain_to_add_is_added_later(
    api: Api,
    proxy: StateroomProxy,
    users: dict[str, SimpleNamespace],
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
) -> None:
    async def in_vain(*_: object) -> None:
        raise error

    users["eve"] = person("eve")
    with monkeypatch.context() as patch:
        patch.setattr(ConfigurableHTTPProxy, "add_route", in_vain)
        await proxy.add_user(users["eve"])
    await wait_for(lambda: "/user/eve" in api.table, "the route")


@pytest.mark.usefixtures("proxy")
async def test_many_servers_are_told_a_few_at_a_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "_AT_ONCE", 1)
    api.table.clear()
    api.asked.clear()
    await wait_for(lambda: set(api.table) == ALL, "the routes")
    assert [asked for asked in api.asked if "POST" in asked] == ["POST /user/ada", "POST /user/bob", "POST /"]


@pytest.mark.usefixtures("proxy")
async def test_what_could_not_be_told_is_told_again(api: Api, log: Log) -> None:
    api.refused = 2
    api.table.clear()
    await wait_for(lambda: set(api.table) == ALL, "the routes")
    assert words(log)[0].startswith("The proxy could not be given its routes: ")


def words(log: Log) -> list[str]:
    """What the watch said."""
    ours = [record for record in log.records if record.pathname == routes.__file__]
    assert all(record.levelno == logging.WARNING for record in ours)
    return [record.getMessage() for record in ours]


@pytest.mark.parametrize(
    ("authenticator", "routespec", "twin"),
    [
        (AccountsAuthenticator, "ada.hub.localhost/user/ada/", "127.0.0.1/user/ada/"),
        (AccountsAuthenticator, "x--service.hub.localhost/services/x/", ""),
        (AccountsAuthenticator, "ada.hub.example.org/user/ada/", ""),
        (AccountsAuthenticator, "/", ""),
        (DummyAuthenticator, "ada.hub.localhost/user/ada/", ""),
    ],
)
def test_only_where_no_browser_logs_in_are_servers_at_the_machines_address(
    authenticator: type, routespec: str, twin: str
) -> None:
    app = SimpleNamespace(base_url="/", authenticator=authenticator())
    assert LocalProxy._twin(SimpleNamespace(app=app), routespec) == twin
