"""Waiting for a server that takes connections before it answers any."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from stateroom.backends import readiness
from stateroom.backends.readiness import wait_until_answers
from stateroom.common.quantity import MiB

SILENCE = b"silence"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
FAILING = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def server(*answers: bytes) -> AsyncIterator[tuple[str, list[str]]]:
    """Gives one answer after another, each to a connection of its own; the paths it was asked for."""
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1].decode())
        if answers[min(len(asked), len(answers)) - 1] is SILENCE:
            await reader.read()  # until the other side gives up
        writer.write(answers[min(len(asked), len(answers)) - 1])
        await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", asked


async def test_a_server_that_hangs_up_or_fails_is_asked_again_until_it_answers() -> None:
    async with server(b"", b"HTTP/1.1", FAILING, b"no HTTP", OK) as (address, asked):
        await asyncio.wait_for(wait_until_answers(address, "/user/ada/"), 30)
        assert asked == ["/user/ada/api"] * 5


async def test_any_answer_that_is_no_failure_will_do_and_no_redirect_is_followed() -> None:
    async with server(REDIRECT) as (address, asked):
        await asyncio.wait_for(wait_until_answers(address, "/"), 30)
        assert asked == ["/api"]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 99614720\r\n\r\n" + b"x" * MiB,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3 * MiB,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n" % (3 * MiB, b"x" * 3 * MiB),
        b"HTTP/1.1 200 OK\r\nX-Huge: " + b"x" * MiB + b"\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: x\r\n" % number for number in range(100_000)) + b"\r\n",
        b"HTTP/1.1 two OK\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
    ],
    ids=["long", "endless", "chunked", "header", "headers", "status", "bytes"],
)
async def test_an_answer_beyond_all_bounds_is_none(answer: bytes) -> None:
    async with server(answer, OK) as (address, asked):
        await asyncio.wait_for(wait_until_answers(address, "/"), 30)
        assert len(asked) == 2


async def test_a_request_that_takes_too_long_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_LONGEST_REQUEST", 0.1)
    async with server(SILENCE, OK) as (address, asked):
        await asyncio.wait_for(wait_until_answers(address, "/"), 30)
        assert len(asked) == 2
