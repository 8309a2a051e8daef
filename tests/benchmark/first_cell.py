"""From the click on Start to the first cell's result, in a real browser: the unified image against plain JupyterLab.

Plain JupyterLab is started by Stateroom and by DockerSpawner; the sides take
turns. Prints a table, writes it into images/README.md, and ends with 1 where a
target is not met. `--quick` takes a small sample and writes nothing.
`--requests` prints every request of one walk on one side instead.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import aiohttp
import docker
from docker.errors import DockerException
from playwright.async_api import Error as BrowserError
from playwright.async_api import Page, Playwright, async_playwright

from benchmark.against_dockerspawner import clear_away, remove_all
from benchmark.side_by_side.hub import Hub, StartFailed
from benchmark.side_by_side.program import QUICK, ended, say, taken_down
from benchmark.side_by_side.report import machine
from benchmark.side_by_side.turns import REST
from benchmark.to_first_cell import report
from benchmark.to_first_cell.container import EngineWatch
from benchmark.to_first_cell.journey import (
    Disturbed,
    known_profile,
    log_in,
    new_profile,
    program,
    recorded,
    undisturbed,
    walk,
)
from benchmark.to_first_cell.report import PEER, PLAIN, UNIFIED, Journey, Request, Results, ServerStart
from benchmark.to_first_cell.server_start import ServerStarts
from benchmark.to_first_cell.sides import LabSide, OnDockerSpawner, OnStateroom, make_plain_lab
from benchmark.to_first_cell.using import use_all
from stateroom.cli.screen import Screen
from stateroom.common.errors import SetupError
from stateroom.images import sources as recipes
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.proxy import install_proxy

_ROOT = Path(__file__).parents[2]
_README = _ROOT / "images" / "README.md"
_PROGRAMS = _ROOT / ".cache" / "benchmark"

_USER = "ada"
_BASE = f"/user/{_USER}/"
_SIDES = {"unified": UNIFIED, "plain": PLAIN, "dockerspawner": PEER}
_TRIES = 5
_PATIENCE = 60  # seconds
_VISITS_BEFORE = 2  # a browser keeps compiled scripts from the second visit on

_Result = TypeVar("_Result")
Profile = Callable[[], AbstractAsyncContextManager[Page]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How often each is measured."""

    first: int = 10
    returning: int = 5
    servers: int = 10


_QUICK = Plan(first=2, returning=1, servers=3)


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=QUICK)
    parser.add_argument("--requests", choices=_SIDES, help="print every request of one walk on this side, and no more")
    parser.add_argument("--image", help="an image to measure in the unified one's place; the README stays as it is")
    asked = parser.parse_args(arguments)
    image = asked.image or recipes.UNIFIED
    measure = partial(one_walk, _SIDES[asked.requests], image) if asked.requests else partial(run, image, asked)
    troubles = (StartFailed, SetupError, DockerException, BrowserError, AssertionError, TimeoutError, Disturbed)
    return ended(measure, (*troubles, aiohttp.ClientError))


def run(image: str, asked: argparse.Namespace) -> int:
    """Measure all sides; 1 where a target is missed."""
    client = docker.from_env(timeout=120).api
    plan = _QUICK if asked.quick else Plan()
    told = machine(f"Docker {client.version()['Version']}", "DockerSpawner", "dockerspawner")
    with taken_down() as stack:
        plain = make_plain_lab(client, _PROGRAMS / "log" / "plain-lab.log")
        servers = server_starts(client, {UNIFIED: image, PLAIN: plain}, plan.servers)
        hubs = set_up(stack, client, {UNIFIED: image, PLAIN: plain, PEER: plain})
        first, returning = asyncio.run(walks(hubs, plan))
    results = Results(told, first, returning, servers)
    print(report.as_text(results))
    if not (asked.quick or asked.image):
        report.write(results, _README)
    return 1 if any(row.met is False for row in report.rows(results)) else 0


def one_walk(name: str, image: str) -> int:
    """Print one walk's requests."""
    client = docker.from_env(timeout=120).api
    with taken_down() as stack:
        its = image if name == UNIFIED else make_plain_lab(client, _PROGRAMS / "log" / "plain-lab.log")
        (hub,) = set_up(stack, client, {name: its})
        journey, requests = asyncio.run(with_requests(hub))
    print(report.one_walk(journey, requests))
    return 0


def set_up(stack: ExitStack, client: docker.APIClient, images: dict[str, str]) -> list[Hub]:
    """A hub of each side with its proxy; the stack takes them down again."""
    data = DataFolder(_PROGRAMS)
    data.path.mkdir(parents=True, exist_ok=True)
    data.make()
    proxy = install_proxy(data, Screen())
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stateroom-benchmark-")))
    hubs: list[Hub] = []
    for name, image in images.items():
        hub_id = f"benchmark-{uuid4().hex[:10]}"
        stack.callback(remove_all, client, hub_id)
        kind = OnDockerSpawner if name == PEER else OnStateroom
        side = kind(client, hub_id, name, image)
        stack.callback(clear_away, [side])
        place = folder / str(len(hubs))
        place.mkdir()
        hubs.append(Hub(side, place, proxy))
        stack.enter_context(hubs[-1].proxied())
    return hubs


def server_starts(client: docker.APIClient, images: dict[str, str], number: int) -> dict[str, list[ServerStart]]:
    """Each image's server alone, by turns; one of each first that does not count."""
    say(f"{number} starts of each image's server alone")
    hub_id = f"benchmark-{uuid4().hex[:10]}"
    found: dict[str, list[ServerStart]] = {name: [] for name in images}
    try:
        with ServerStarts.beside_a_hub(client, hub_id) as starts:
            for turn in range(number + 1):
                for name in list(images) if turn % 2 else reversed(images):
                    found[name].append(starts.measure(images[name]))
    finally:
        remove_all(client, hub_id)
    return {name: them[1:] for name, them in found.items()}


async def walks(hubs: Sequence[Hub], plan: Plan) -> tuple[dict[str, list[Journey]], dict[str, list[Journey]]]:
    """Each side's walks, in new profiles and in one that was here before."""
    async with async_playwright() as playwright, AsyncExitStack() as stack:
        browser = await playwright.chromium.launch(**program())
        stack.push_async_callback(browser.close)
        for hub in hubs:
            say(f"{hub.name}: a first start, and the use of all that is there")
            await warm_up(hub)
            await walked(hub, partial(new_profile, browser), used=True)
        say(f"{plan.first} walks on each side, in a new profile each")
        first = await by_turns(hubs, {hub.name: partial(new_profile, browser) for hub in hubs}, plan.first)
        say(f"{plan.returning} walks on each side, in a profile that was here before")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stateroom-benchmark-")))
        profiles = profiles_in(playwright, folder, hubs)
        await by_turns(hubs, profiles, _VISITS_BEFORE)
        returning = await by_turns(hubs, profiles, plan.returning)
    return first, returning


async def warm_up(hub: Hub) -> None:
    """The user has had a server before, and so a home."""
    await hub.up()
    await hub.add_users([_USER])
    hub.side.make_homes([_USER])
    await hub.start(_USER)
    await hub.stop_all([_USER])


async def by_turns(hubs: Sequence[Hub], profiles: dict[str, Profile], rounds: int) -> dict[str, list[Journey]]:
    """One walk on each side, as often as there are rounds, in all orders alike."""
    found: dict[str, list[Journey]] = {hub.name: [] for hub in hubs}
    orders = list(permutations(hubs))
    for turn in range(rounds):
        for hub in orders[turn % len(orders)]:
            found[hub.name].append(await walked(hub, profiles[hub.name]))
    return found


async def walked(hub: Hub, profile: Profile, *, used: bool = False) -> Journey:
    """One walk; where `used`, all else that Lab has is used after it."""

    async def walk_and_use() -> Journey:
        async with profile() as page:
            journey = await walk_once(hub, page)
            if used:
                await use_all(page, _BASE, kernels_of(hub.side))
            return journey

    return await repeated(hub, walk_and_use)


async def repeated(hub: Hub, attempt: Callable[[], Awaitable[_Result]]) -> _Result:
    """The first attempt at a walk that nothing disturbed, each with a server of its own."""
    for _ in range(_TRIES):
        async with server_of(hub):
            try:
                return await attempt()
            except Disturbed:
                await until_ready(hub)  # since a start that goes on cannot be stopped
    raise TimeoutError(f"{_TRIES} walks in a row were disturbed: networks come and go on this machine")


async def until_ready(hub: Hub) -> None:
    """Wait for the end of a start that nobody looks at any more."""
    end = time.monotonic() + _PATIENCE
    while not await hub.ready():
        assert time.monotonic() < end, f"{hub.name}: a disturbed start was not over in {_PATIENCE} s"
        await asyncio.sleep(0.1)


def profiles_in(playwright: Playwright, folder: Path, hubs: Sequence[Hub]) -> dict[str, Profile]:
    """A kept profile for each side."""
    return {hub.name: partial(known_profile, playwright, folder / str(at)) for at, hub in enumerate(hubs)}


@asynccontextmanager
async def server_of(hub: Hub) -> AsyncIterator[None]:
    """What the user starts while the body runs is stopped after it."""
    try:
        yield
    finally:
        await hub.stop_all([_USER])


async def walk_once(hub: Hub, page: Page) -> Journey:
    """Log in, and walk from the form to the result."""
    await log_in(page, hub.url, _USER)
    await asyncio.sleep(REST)
    with EngineWatch(hub.side.hub_id, f"{_BASE}api") as watch:
        return await undisturbed(page, walk(page, watch))


async def with_requests(hub: Hub) -> tuple[Journey, list[Request]]:
    """One walk in a new profile with a warm home, and every request of it."""
    await warm_up(hub)
    async with async_playwright() as playwright, AsyncExitStack() as stack:
        browser = await playwright.chromium.launch(**program())
        stack.push_async_callback(browser.close)

        async def walk_recorded() -> tuple[Journey, list[Request]]:
            async with new_profile(browser) as page, recorded(page) as requests:
                journey = await walk_once(hub, page)
            return journey, [request for request in requests if request.start >= journey.clicked]

        return await repeated(hub, walk_recorded)


def kernels_of(side: LabSide) -> Sequence[str]:
    """The kernels that the image says it has; plain JupyterLab says nothing and has Python."""
    labels = side.client.inspect_image(side.image)["Config"].get("Labels") or {}
    return str(labels.get("io.stateroom.kernels", "python3")).split()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
