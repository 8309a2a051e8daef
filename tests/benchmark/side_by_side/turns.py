"""The measurements: sides take turns, and who is first changes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations
from typing import Any, Protocol

from benchmark.side_by_side.hub import Hub
from benchmark.side_by_side.report import Burst, Crowd, Single
from benchmark.side_by_side.side import Contender

EXTRA = "extra"  # the user who is in trouble, or comes on top
REST = 0.3  # seconds for the machine to calm down
_SETTLING = 3.0  # seconds in which a hub that was started does what it does once


class Proxy(Protocol):
    """Stands before an engine and notes what it is asked."""

    requests: list[Any]


async def singles(
    sides: Sequence[Contender],
    user: str,
    pairs: int,
    rest: Callable[[], float] = lambda: REST,
    clearing: float = 0.0,
) -> dict[str, Single]:
    """One start and stop on each side, by turns, in all orders alike.

    `rest` is before each, `clearing` comes on top after a stop; both in seconds.
    """
    single = {side.name: Single([], []) for side in sides}
    orders = list(permutations(sides))
    for pair in range(pairs):
        for side in orders[pair % len(orders)]:
            it = single[side.name]
            await asyncio.sleep(clearing + rest())
            it.starts.append(await side.start(user))
            await asyncio.sleep(rest())
            began = time.monotonic()
            await side.stop(user)
            it.left += side.has_server(user)
            while side.has_server(user):
                await asyncio.sleep(0.005)
            it.stops.append(time.monotonic() - began)
    return single


async def burst_rounds(
    sides: Sequence[Contender], users: Sequence[str], rounds: int, rest: float = REST
) -> dict[str, list[Burst]]:
    """The same users at once on each side, by turns; who is first changes."""
    bursts: dict[str, list[Burst]] = {side.name: [] for side in sides}
    for turn in range(rounds):
        first = turn % len(sides)
        for side in [*sides[first:], *sides[:first]]:
            await asyncio.sleep(rest)
            before = side.cpu_seconds()
            waits = await side.start_all(users)
            bursts[side.name].append(Burst(waits, (side.cpu_seconds() - before) / len(users)))
            await side.stop_all(users)
    return bursts


async def crowd(hub: Hub, users: Sequence[str], idle_seconds: float, *, proxy: Proxy, engine: str, image: str) -> Crowd:
    """Many servers, and a hub whose requests to the engine are counted by the proxy, which is reached at `engine`."""
    await hub.start_all(users)
    hub.end()
    await restarted(hub, users, engine)
    await asyncio.sleep(_SETTLING)
    before = hub.cpu_seconds()
    with counted(proxy) as idle_requests:
        await asyncio.sleep(idle_seconds)
    idle_cpu = hub.cpu_seconds() - before
    await hub.start(EXTRA, image)  # the first one of a new hub asks for more
    await hub.stop(EXTRA)
    with counted(proxy) as start_requests:
        await hub.start(EXTRA, image)
        await asyncio.sleep(REST)
    with counted(proxy) as stop_requests:
        await hub.stop(EXTRA)
        await asyncio.sleep(REST)
    hub.end(signal.SIGKILL)
    with counted(proxy) as restart_requests:
        restart_seconds = await restarted(hub, users, engine)
    await hub.stop_all(users)
    return Crowd(
        servers=len(users),
        idle_seconds=idle_seconds,
        idle_cpu=idle_cpu,
        idle_requests=idle_requests,
        restart_seconds=restart_seconds,
        restart_requests=restart_requests,
        start_requests=start_requests,
        stop_requests=stop_requests,
    )


async def restarted(hub: Hub, users: Sequence[str], engine: str) -> float:
    """Start the hub; seconds until it calls all servers ready."""
    began = time.monotonic()
    await hub.up(engine)
    while await hub.ready() < len(users):
        await asyncio.sleep(0.05)
    return time.monotonic() - began


@contextmanager
def counted(proxy: Proxy) -> Iterator[list[str]]:
    """The requests that come while the body runs; they are there when it has ended."""
    before = len(proxy.requests)
    requests: list[str] = []
    yield requests
    requests += map(str, proxy.requests[before:])
