"""Waiting for a server that takes connections before it answers any."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stateroom import readiness
from stateroom.readiness import wait_until_answers


@asynccontextmanager
async def server(silence: float) -> AsyncIterator[str]:
    """A server that closes its first connection after this many seconds, and answers the next."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        if connections == 1:
            await asyncio.sleep(silence)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield "http://{}:{}".format(*listening.sockets[0].getsockname())


async def test_a_connection_that_is_closed_without_an_answer_is_no_failure() -> None:
    async with server(silence=0) as address:
        await wait_until_answers(address, "/user/ada/")


async def test_a_request_that_takes_too_long_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_LONGEST_REQUEST", 0.1)
    async with server(silence=1) as address:
        await wait_until_answers(address, "/user/ada/")
