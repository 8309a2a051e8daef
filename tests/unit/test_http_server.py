"""Bounds on what one server takes of the hub's HTTP server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from stateroom.hub import http_server
from stateroom.workloads.server import CONNECTIONS_TO_HUB

PATIENCE = 30
HALF = b"GET / HTTP/1.1\r\nHost: hub\r\n"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Hello(RequestHandler):
    def get(self) -> None:
        self.write("hello")

    post = get


@dataclass
class Hub:
    port: int
    servers: set[str]

    async def connect(self, *, sends: bytes = HALF) -> Connection:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sends)
        return reader, writer

    async def ask(self) -> bytes:
        reader, writer = await self.connect(sends=HALF + b"Connection: close\r\n\r\n")
        try:
            return await asyncio.wait_for(reader.read(), PATIENCE)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def running() -> AsyncIterator[Hub]:
    """A bounded server, for which this machine is one of the hub's servers."""
    servers = {"127.0.0.1"}
    http_server.bound_connections(servers.__contains__)
    http_server.bound_connections(servers.__contains__)
    server = HTTPServer(Application([("/", Hello)]), xheaders=True)
    HTTPServer.configure(None)
    [socket] = bind_sockets(0, "127.0.0.1")
    server.add_socket(socket)
    yield Hub(socket.getsockname()[1], servers)
    server.stop()
    await asyncio.wait_for(server.close_all_connections(), PATIENCE)


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    async with running() as hub:
        yield hub


async def closed(connection: Connection) -> None:
    with contextlib.suppress(ConnectionResetError):
        await asyncio.wait_for(connection[0].read(), PATIENCE)
    connection[1].close()


async def test_a_servers_surplus_connections_are_closed_and_others_places_are_given_again(hub: Hub) -> None:
    held = [await hub.connect() for _ in range(CONNECTIONS_TO_HUB)]
    await closed(await hub.connect())
    assert await hub.ask() == b""
    held.pop()[1].close()
    for _ in range(300):
        if await hub.ask():
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("the place is not given again")
    assert all(not reader.at_eof() for reader, _ in held)
    for _, writer in held:
        writer.close()


async def test_whoever_is_no_server_has_as_many_as_they_want(hub: Hub) -> None:
    hub.servers.clear()  # as the proxy, through which everybody comes
    held = [await hub.connect() for _ in range(2 * CONNECTIONS_TO_HUB)]
    assert b"hello" in await hub.ask()
    for _, writer in held:
        writer.close()


@pytest.mark.parametrize("sent", [HALF, b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: 9\r\n\r\nhalf"])
async def test_a_connection_that_stalls_is_closed(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http_server, "_IDLE_SECONDS", 0.1)
    monkeypatch.setattr(http_server, "_BODY_SECONDS", 0.1)
    async with running() as hub:
        await closed(await hub.connect(sends=sent))


async def test_a_body_that_is_too_large_is_refused_unread(hub: Hub) -> None:
    reader, writer = await hub.connect(sends=HALF.replace(b"GET", b"POST") + b"Content-Length: 99999999\r\n\r\n")
    assert b"400" in await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
