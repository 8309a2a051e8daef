"""Servers that are only objects, and what answers for all of them.

Their pods are as Stateroom makes them, but for the gate, and with a node from
the start, so that the scheduler has no part in it. No Secret and no claim goes
with them: a hub asks for neither.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from uuid import uuid4

from harness.pods import core
from harness.workloads import a_server
from stateroom.backends.kubernetes import manifests
from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.manifests import Site
from stateroom.common.quantity import MiB
from stateroom.workloads.server import Server

IMAGE = "stateroom.test/nothing:1"
_AT_ONCE = 40
_CHANGES_EVERY = 0.2
_LOOK_SECONDS = 1.0


def spec_of(hub: str, user: str) -> Server:
    """A small server."""
    return a_server(
        hub,
        user,
        image=IMAGE,
        cpu=1000,
        memory=64 * MiB,
        cpu_guarantee=10,
        memory_guarantee=64 * MiB,
        secrets={"JUPYTERHUB_API_TOKEN": uuid4().hex},
    )


async def make_servers(namespace: str, hub: str, numbers: Iterable[int], nodes: int) -> None:
    """Make pods, and wait until all of the namespace run."""
    cluster, turn = Cluster(namespace), asyncio.Semaphore(_AT_ONCE)

    async def make(number: int) -> None:
        async with turn:
            spec = spec_of(hub, f"user{number}")
            body = manifests.pod(spec, Site(image=IMAGE), prove_home=False, beside_others=False)
            del body["spec"]["schedulingGates"]
            body["spec"]["nodeName"] = f"fake-{number % nodes}"
            await cluster.create("pods", body)

    await asyncio.gather(*map(make, numbers))
    await cluster.close()
    while core().list_namespaced_pod(namespace, field_selector="status.phase!=Running", limit=1).items:
        await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def trickle(namespace: str, pods: Sequence[str]) -> AsyncIterator[None]:
    """Change one of the pods or another, all the time."""
    cluster = Cluster(namespace)

    async def change() -> None:
        while True:
            patch = {"metadata": {"annotations": {"stateroom.test/changed": str(time.time())}}}
            await cluster.patch("pods", random.choice(pods), patch)
            await asyncio.sleep(_CHANGES_EVERY)

    changing = asyncio.create_task(change())
    try:
        yield
        if changing.done():
            changing.result()  # which raises, for nothing changed any more
    finally:
        changing.cancel()
        await asyncio.wait([changing])
        await cluster.close()


@contextmanager
def answered_here(addresses: str) -> Iterator[None]:
    """Bring all of a range of addresses to this machine, where one program answers for all."""
    route = ["ip", "route", "{}", "local", addresses, "dev", "lo"]
    subprocess.run([word.format("add") for word in route], check=True, timeout=120)
    stub = subprocess.Popen([sys.executable, "-m", "benchmark.at_scale.stub"])
    try:
        yield
    finally:
        stub.kill()
        stub.wait()
        subprocess.run([word.format("delete") for word in route], check=False, timeout=120)
