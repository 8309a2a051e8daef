"""From the click on Start to the first cell's result, in a real browser: the unified image, plain JupyterLab, and both
with DockerSpawner for a measure. The sides take turns.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import docker
from playwright.async_api import async_playwright

from benchmark.against_dockerspawner import remove_all
from benchmark.side_by_side.hub import Hub
from benchmark.side_by_side.program import say, taken_down
from benchmark.to_first_cell.container import EngineWatch
from benchmark.to_first_cell.journey import Request, log_in, new_profile, recorded, walk
from benchmark.to_first_cell.report import Journey
from benchmark.to_first_cell.sides import PEER, PLAIN, UNIFIED, LabSide, OnDockerSpawner, OnStateroom, make_plain_lab
from stateroom import recipes
from stateroom.cli.data import DataFolder
from stateroom.cli.proxy import install_proxy
from stateroom.cli.screen import Screen

_PROGRAMS = Path(__file__).parents[2] / ".cache" / "benchmark"
_QUIET = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
USER = "ada"
SHORT = {"unified": UNIFIED, "plain": PLAIN, "dockerspawner": PEER}


def set_up(stack: ExitStack, client: docker.APIClient, image: str, names: Sequence[str]) -> list[Hub]:
    """The hubs of these sides, each with its proxy; the stack takes them down again."""
    data = DataFolder(_PROGRAMS)
    data.path.mkdir(parents=True, exist_ok=True)
    data.make()
    proxy = install_proxy(data, Screen())
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stateroom-benchmark-")))
    plain = make_plain_lab(client, data.path / "log" / "plain-lab.log") if set(names) - {UNIFIED} else ""
    kinds = {UNIFIED: (OnStateroom, image), PLAIN: (OnStateroom, plain), PEER: (OnDockerSpawner, plain)}
    hubs = []
    for number, name in enumerate(names):
        hub_id = f"benchmark-{uuid4().hex[:10]}"
        stack.callback(remove_all, client, hub_id)
        kind, its_image = kinds[name]
        side: LabSide = kind(client, hub_id, name, its_image)
        place = folder / str(number)
        place.mkdir()
        hubs.append(Hub(side, place, proxy))
        stack.enter_context(hubs[-1].proxied())
    return hubs


async def one_load(hub: Hub) -> tuple[Journey, list[Request]]:
    """One walk with a warm home, and every request of it."""
    await hub.up()
    await hub.add_users([USER])
    hub.side.make_homes([USER])
    await hub.start(USER)
    await hub.stop_all([USER])
    async with async_playwright() as playwright:
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*_QUIET, *root])
        async with new_profile(browser) as page:
            await log_in(page, hub.url, USER)
            async with recorded(page) as requests:
                with EngineWatch(hub.side.hub_id, f"/user/{USER}/api") as watch:
                    journey = await walk(page, watch)
        await browser.close()
    await hub.stop_all([USER])
    return journey, requests


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", choices=SHORT)
    parser.add_argument("--image", default=recipes.UNIFIED)
    asked = parser.parse_args(arguments)
    client = docker.from_env(timeout=120).api
    with taken_down() as stack:
        (hub,) = set_up(stack, client, asked.image, [SHORT[asked.requests]])
        say("one walk")
        journey, requests = asyncio.run(one_load(hub))
    print(f"{'start':>7}{'first byte':>12}{'in all':>8}{'size':>10}")
    for it in requests:
        print(
            f"{it.start - journey.clicked:7.3f}{(it.first_byte - it.start) * 1000:9.0f} ms"
            f"{(it.end - it.start) * 1000:5.0f} ms{it.size:9}  {it.status} {it.method} {it.url[:150]}"
        )
    for name, seconds in journey.phases.items():
        print(f"{seconds:7.3f} s  {name}")
    print(f"{journey.total:7.3f} s  in all; {journey.loading}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
