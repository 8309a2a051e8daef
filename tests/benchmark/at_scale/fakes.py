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
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import uuid4

from harness.pods import core
from stateroom.backends.kubernetes import manifests
from stateroom.backends.kubernetes.cluster import Cluster
from stateroom.backends.kubernetes.manifests import Site
from stateroom.names import HomeRef, ServerRef
from stateroom.quantity import MiB
from stateroom.spec import ServerSpec

IMAGE = "stateroom.test/nothing:1"
_AT_ONCE = 40
_CHANGES_EVERY = 0.2
_LOOK_SECONDS = 1.0


def spec_of(hub: str, user: str) -> ServerSpec:
    """A small server."""
    return ServerSpec(
        ref=ServerRef(hub, user),
        home=HomeRef(hub, user, 1),
        image=IMAGE,
        cpu=1000,
        memory=64 * MiB,
        reserved_cpu=10,
        reserved_memory=64 * MiB,
        base_url=f"/user/{user}/",
        mount="notebooks",
        environment={"JUPYTERHUB_SERVICE_PREFIX": f"/user/{user}/"},
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
async def trickle(namespace: str, hub: str, servers: int) -> AsyncIterator[None]:
    """Change one pod or another, all the time."""
    cluster = Cluster(namespace)

    async def change() -> None:
        while True:
            ref = ServerRef(hub, f"user{random.randrange(servers)}")
            patch = {"metadata": {"annotations": {"stateroom.test/changed": str(time.time())}}}
            await cluster.patch("pods", ref.name, patch)
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
    subprocess.run([word.format("add") for word in route], check=True)
    stub = subprocess.Popen([sys.executable, "-m", "benchmark.at_scale.stub"])
    try:
        yield
    finally:
        stub.kill()
        stub.wait()
        subprocess.run([word.format("delete") for word in route], check=False)
