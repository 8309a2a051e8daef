"""Stateroom, DockerSpawner and the bare engine in one run, turn by turn, on the same images.

Prints a table, writes it and a plot into this folder's README, and ends with 1
where a target is not met. `--quick` takes a small sample and writes nothing.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import asyncio
import contextlib
import http.server
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import aiohttp
import docker
from docker.errors import APIError, DockerException

from benchmark.side_by_side import docker_report
from benchmark.side_by_side.docker_report import PLOTTED, Disturbance, Results
from benchmark.side_by_side.docker_sides import BareEngine, DockerSide, DockerSpawner, Stateroom, make_images
from benchmark.side_by_side.hub import Hub, StartFailed
from benchmark.side_by_side.program import program, say, taken_down
from benchmark.side_by_side.report import machine
from benchmark.side_by_side.turns import EXTRA, REST, burst_rounds, crowd, singles
from contract.engines import BASE_IMAGE, remove_all_of
from harness.engine_proxy import EngineProxy
from stateroom.backends.docker.packet_filter import lift_isolation
from stateroom.cli.screen import Screen
from stateroom.common.errors import SetupError
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.proxy import install_proxy

_README = Path(__file__).with_name("README.md")
_PROGRAMS = Path(__file__).parents[2] / ".cache" / "benchmark"

_LONG_REST = 10.0  # after a hundred networks' ends were taken down
_TROUBLE_SECONDS = 10.0  # the engine's own grace for a stop, and as long stalls the registry
_ARRIVALS_EVERY = 0.8
_QUIET_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    pairs: int = 20
    rounds: tuple[tuple[int, int], ...] = ((10, 5), (PLOTTED, 5), (100, 1))  # sizes of bursts, and how often
    others: int = 10
    crowd: int = 100
    idle_seconds: float = 60


QUICK = Plan(pairs=3, rounds=((10, 1),), others=5, crowd=12, idle_seconds=20)


@dataclass(frozen=True, slots=True)
class Bench:
    """All that is set up for a run."""

    hubs: tuple[Hub, Hub]
    bare: BareEngine
    registry: StalledRegistry
    folder: Path


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write; the exit code."""
    return program(arguments, __doc__, run, (StartFailed, SetupError, DockerException, aiohttp.ClientError))


def run(quick: bool) -> int:
    """Set up, measure, and remove all that was made, whatever happens; 1 where a target is missed."""
    client = docker.from_env(timeout=120).api
    told = machine(f"Docker {client.version()['Version']}", "DockerSpawner", "dockerspawner")
    with taken_down() as stack:
        results = asyncio.run(measured(set_up(stack, client), QUICK if quick else Plan(), told))
    print(docker_report.as_text(results))
    if not quick:
        docker_report.write(results, _README)
    return 1 if any(row.met is False for row in docker_report.rows(results)) else 0


def set_up(stack: ExitStack, client: docker.APIClient) -> Bench:
    """Everything but the hubs' own processes; the stack takes it all down again."""
    data = DataFolder(_PROGRAMS)
    data.path.mkdir(parents=True, exist_ok=True)
    data.make()
    proxy = install_proxy(data, Screen())
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stateroom-benchmark-")))
    registry = stack.enter_context(StalledRegistry.listening())
    images = make_images(client, registry.address)
    ids = [f"benchmark-{uuid4().hex[:10]}" for _ in range(3)]
    for hub_id in ids:
        stack.callback(remove_all, client, hub_id)
    ours, theirs, bare = (
        kind(client, hub_id, images) for kind, hub_id in zip((Stateroom, DockerSpawner, BareEngine), ids, strict=True)
    )
    stack.callback(clear_away, (ours, theirs, bare))
    hubs = []
    for side in (ours, theirs):
        place = folder / side.name
        place.mkdir()
        hubs.append(Hub(side, place, proxy))
        stack.enter_context(hubs[-1].proxied())
    say(f"what is made has the hub ids {', '.join(ids)}")
    return Bench((hubs[0], hubs[1]), bare, registry, folder)


def remove_all(client: docker.APIClient, hub_id: str) -> None:
    """Remove what carries the id. What the engine does not let go of is told; the figures hold all the same."""
    lift_isolation(client, hub_id, [BASE_IMAGE])
    try:
        remove_all_of(client, hub_id)
    except APIError as error:
        say(f"something with the hub id {hub_id} is left on the engine: {error.explanation}")


def clear_away(sides: Sequence[DockerSide]) -> None:
    """Remove the containers, those too that the engine was still making when the run was interrupted."""
    quiet = 0
    while quiet < _QUIET_SECONDS:
        found = [(side, container["Id"]) for side in sides for container in side.servers()]
        for side, container in found:
            side.remove(container)
        quiet = 0 if found else quiet + 1
        time.sleep(1)


async def measured(bench: Bench, plan: Plan, told: str) -> Results:
    """All measurements, in an order that leaves a hub idle while the other has its turn."""
    users = [f"user{number}" for number in range(plan.crowd)]
    say("warming up")
    await warm_up(bench, users)
    say(f"{plan.pairs} pairs of single starts and stops")
    single = await singles(bench.hubs, users[0], plan.pairs)
    bursts = {}
    for size, rounds in plan.rounds:
        say(f"{rounds} rounds of {size} at once")
        bursts[size] = await burst_rounds([*bench.hubs, bench.bare], users[:size], rounds)
    others = users[: plan.others]
    say("others start while one user's stop is stuck")
    stuck = {hub.name: await disturbed(hub, others, partial(stuck_stop, hub)) for hub in bench.hubs}
    say("others start while one user's pull is slow")
    slow = {hub.name: await disturbed(hub, others, partial(slow_pull, hub, bench.registry)) for hub in bench.hubs}
    crowds = {}
    for hub in bench.hubs:
        say(f"{hub.name} with {len(users)} servers: idle, killed, started again")
        with closing(EngineProxy(bench.folder / f"{hub.name}.sock")) as proxy:
            crowds[hub.name] = await crowd(hub, users, plan.idle_seconds, proxy=proxy, engine=proxy.host, image="stub")
    return Results(told, single, bursts, stuck, slow, crowds)


async def warm_up(bench: Bench, users: Sequence[str]) -> None:
    """Each user has had a server before, and so a home."""
    bench.bare.make_homes(users)
    for hub in bench.hubs:
        await hub.up()
        await hub.add_users([*users, EXTRA])
        hub.side.make_homes([*users, EXTRA])
    for side in (*bench.hubs, bench.bare):
        await side.start_all(users)
        await side.stop_all(users)
    await asyncio.sleep(_LONG_REST)


async def disturbed(
    hub: Hub, users: Sequence[str], trouble: Callable[[], AbstractAsyncContextManager[None]]
) -> Disturbance:
    """Starts without somebody's trouble, during it, and without it again."""
    without = await arrivals(hub, users)
    async with trouble():
        during = await arrivals(hub, users, then_stop=False)
    await hub.stop_all(users)
    return Disturbance([*without, *await arrivals(hub, users)], during)


async def arrivals(hub: Hub, users: Sequence[str], *, then_stop: bool = True) -> list[float]:
    """Starts one after another, at fixed times: who waits spares nobody else a wait by coming later."""

    async def arrive(place: int, user: str) -> float:
        await asyncio.sleep(place * _ARRIVALS_EVERY)
        return await hub.start(user)

    waits = await asyncio.gather(*(arrive(place, user) for place, user in enumerate(users)))
    if then_stop:
        await hub.stop_all(users)
    return waits


@asynccontextmanager
async def stuck_stop(hub: Hub) -> AsyncIterator[None]:
    """A server that ignores the request to end is being stopped."""
    await hub.start(EXTRA, "stubborn")
    stopping = asyncio.create_task(hub.stop(EXTRA))
    await asyncio.sleep(REST)
    yield
    await stopping


@asynccontextmanager
async def slow_pull(hub: Hub, registry: StalledRegistry) -> AsyncIterator[None]:
    """An image is being fetched from a registry that takes its time and then has none."""
    registry.stall()
    starting = asyncio.create_task(hub.start(EXTRA, "stalled"))
    try:
        while not (registry.asked.is_set() or starting.done()):
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(_TROUBLE_SECONDS, registry.release)
        yield
        with contextlib.suppress(StartFailed):
            await starting
    finally:
        registry.release()


class StalledRegistry:
    """A registry that lets whoever asks for an image wait, and then has none."""

    def __init__(self, server: http.server.ThreadingHTTPServer) -> None:
        self.address = f"127.0.0.1:{server.server_port}"
        self.asked = threading.Event()
        self._open = threading.Event()

    @classmethod
    @contextmanager
    def listening(cls) -> Iterator[StalledRegistry]:
        """One on a port of its own."""
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _RegistryAnswer) as server:
            registry = server.registry = cls(server)  # type: ignore[attr-defined]
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield registry
            registry.release()
            server.shutdown()

    def stall(self) -> None:
        """Let them wait from now on."""
        self.asked.clear()
        self._open.clear()

    def release(self) -> None:
        """Let them go."""
        self._open.set()

    def wait(self) -> None:
        """Wait for the release."""
        self.asked.set()
        self._open.wait()


class _RegistryAnswer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        hello = self.path == "/v2/"
        if not hello:
            self.server.registry.wait()  # type: ignore[attr-defined]
        self.send_response(200 if hello else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - as above, the name that the server looks for

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
