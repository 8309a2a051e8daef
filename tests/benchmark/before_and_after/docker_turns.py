"""Starts, bursts and restarts of two commits' hubs on Docker, by turns."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TypeVar
from uuid import uuid4

import docker

from benchmark.against_dockerspawner import clear_away
from benchmark.before_and_after.checkouts import Checkout
from benchmark.before_and_after.pairs import Pair
from benchmark.before_and_after.progress import Part, Progress
from benchmark.before_and_after.report import Measure, shown
from benchmark.before_and_after.side import CommitSide
from benchmark.side_by_side.docker_sides import build_stub
from benchmark.side_by_side.hub import Hub
from benchmark.side_by_side.turns import REST, burst_rounds, restarted, singles

SERVERS_OF_A_BURST = 30
_SETTLING_SECONDS = 3.0  # in which a hub that was started does what it does once
_LONG_REST_SECONDS = 10.0  # after many networks' ends were taken down

_Side = TypeVar("_Side")


def hubs_of(stack: ExitStack, checkouts: Sequence[Checkout], proxy: Sequence[str]) -> list[Hub]:
    """Set up a hub of each checkout with its proxy, the hubs' own processes aside; the stack takes them down again."""
    client = docker.from_env(timeout=120).api
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stateroom-benchmark-")))
    image = build_stub(client)
    hubs = []
    for checkout in checkouts:
        side = CommitSide(client, f"benchmark-{uuid4().hex[:10]}", checkout.name, image)
        stack.callback(side.remove_all)
        stack.callback(clear_away, [side])
        place = folder / checkout.name
        place.mkdir()
        hubs.append(Hub(side, place, proxy, checkout.python, checkout.environment))
        stack.enter_context(hubs[-1].proxied())
    return hubs


class DockerTurns:
    """The measurements on two hubs. Which hub is first changes with each turn: A B, B A, A B."""

    def __init__(self, hubs: Sequence[Hub], progress: Progress) -> None:
        self._hubs = list(hubs)
        self._progress = progress

    async def warm_up(self, part: Part, users: Sequence[str]) -> None:
        """Start the hubs, and give each user a server once, so that everybody has a home."""
        for hub in self._hubs:
            with self._progress.step(part):
                await hub.up()
                await hub.add_users(users)
                await hub.start_all(users)
                await hub.stop_all(users)
                await asyncio.sleep(_SETTLING_SECONDS)

    async def single_starts(self, part: Part, user: str) -> list[Measure]:
        """Start and stop one server."""
        starts: list[Pair] = []
        stops: list[Pair] = []
        for turn in range(part.steps):
            with self._progress.step(part) as step:
                single = await singles(in_turn(self._hubs, turn), user, 1)
                before, after = (single[hub.name] for hub in self._hubs)
                starts.append(Pair(before.starts[0], after.starts[0]))
                stops.append(Pair(before.stops[0], after.stops[0]))
                step.result = shown(starts[-1])
        return [Measure("one start", starts), Measure("one stop until the container is gone", stops)]

    async def bursts(self, part: Part, users: Sequence[str]) -> list[Measure]:
        """Start many servers at once."""
        middle: list[Pair] = []
        last: list[Pair] = []
        cpu: list[Pair] = []
        for turn in range(part.steps):
            with self._progress.step(part) as step:
                rounds = await burst_rounds(in_turn(self._hubs, turn), users, 1)
                before, after = (rounds[hub.name][0] for hub in self._hubs)
                middle.append(Pair(median(before.waits), median(after.waits)))
                last.append(Pair(before.waits[-1], after.waits[-1]))
                cpu.append(Pair(before.cpu_per_start * 1000, after.cpu_per_start * 1000))
                step.result = shown(last[-1])
        await asyncio.sleep(_LONG_REST_SECONDS)
        name = f"burst of {len(users)}"
        return [
            Measure(f"{name}: median wait", middle),
            Measure(f"{name}: last wait", last),
            Measure(f"{name}: the hub's CPU for a start", cpu, "ms"),
        ]

    async def restarts(self, part: Part, users: Sequence[str]) -> list[Measure]:
        """Kill the hub while its servers run, and start it again."""
        for hub in self._hubs:
            await hub.start_all(users)
        seconds: list[Pair] = []
        for turn in range(part.steps):
            with self._progress.step(part) as step:
                took = {hub.name: await self._restart(hub, users) for hub in in_turn(self._hubs, turn)}
                seconds.append(Pair(*(took[hub.name] for hub in self._hubs)))
                step.result = shown(seconds[-1])
        for hub in self._hubs:
            await hub.stop_all(users)
        return [Measure(f"hub killed and started with {len(users)} running: all ready", seconds)]

    async def _restart(self, hub: Hub, users: Sequence[str]) -> float:
        hub.end(signal.SIGKILL)
        await asyncio.sleep(REST)
        took = await restarted(hub, users, "")
        await asyncio.sleep(_SETTLING_SECONDS)
        return took


def in_turn(sides: Sequence[_Side], turn: int) -> list[_Side]:
    """Return the sides in the order of a turn, so that by turns the order is A B, B A, A B."""
    return list(sides) if turn % 2 == 0 else list(reversed(sides))
