"""`python -m benchmark.at_scale.hub_process WHAT ...`: what a hub's process does, in a fresh one that does only that.

WHAT is `adopt`, `reflect` or `start`. Prints figures as JSON. Without a hub
around it, every stall of the loop is ours, KubeSpawner's or the machine's.
"""

# ruff: noqa: T201 - its output is for the process that started it

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmark.at_scale.fakes import IMAGE, spec_of
from benchmark.at_scale.heartbeat import Heartbeat
from stateroom.backends.kubernetes import KubernetesBackend
from stateroom.backends.kubernetes.manifests import Site
from stateroom.common.deadline import Deadline
from stateroom.common.labels import HUB, KIND
from stateroom.common.naming import label_value
from stateroom.workloads.server import Server

_START_SECONDS = 300
_KIB = 1024


async def adopt(asked: argparse.Namespace) -> dict[str, Any]:
    """What a restarted hub does: ask for all servers and for each, and then hear of changes."""
    figures: dict[str, Any] = {}
    async with backend_of(asked) as backend:
        heart = Heartbeat(why=asked.why)
        began = time.perf_counter()
        with heart.counted(figures, "first"):
            listed = await backend.servers.list()
            figures["listed_seconds"] = time.perf_counter() - began
            await asyncio.sleep(0.01)  # so that what follows is no part of it
        with heart.counted(figures, "each"):
            began = time.perf_counter()
            for server in listed:
                await backend.servers.state(server.ref)
                await asyncio.sleep(0)  # the hub asks for each in a task of its own
            figures["each_seconds"] = time.perf_counter() - began
            await asyncio.sleep(0.01)
        with heart.counted(figures, "again"):
            await backend.servers.list()  # as at a start where quotas are counted
            await asyncio.sleep(0.01)
        with heart.counted(figures, "idle"):
            await asyncio.sleep(asked.seconds)
        await heart.end()
        return figures | {"servers": len(listed), "memory": memory()}


async def reflect(asked: argparse.Namespace) -> dict[str, Any]:
    """The same for KubeSpawner, whose hub asks its reflector's dictionary for each."""
    from kubespawner.clients import load_config
    from kubespawner.spawner import PodReflector

    load_config()
    labels = {HUB: label_value(asked.hub), KIND: "server"}
    reflector = PodReflector(parent=None, namespace=asked.namespace, labels=labels)
    figures: dict[str, Any] = {}
    heart = Heartbeat(why=asked.why)
    began = time.perf_counter()
    with heart.counted(figures, "first"):
        await reflector.start()
        await reflector.first_load_future
        figures["listed_seconds"] = time.perf_counter() - began
        await asyncio.sleep(0.01)
    with heart.counted(figures, "idle"):
        await asyncio.sleep(asked.seconds)
    await heart.end()
    figures |= {"servers": len(reflector.pods), "memory": memory()}
    await reflector.stop()
    return figures


async def start(asked: argparse.Namespace) -> dict[str, Any]:
    """Starts on top of what runs: one after another, and others all at once, which also stop at once."""
    figures: dict[str, Any] = {}
    single, crowd = (
        [spec_of(asked.hub, f"{user}{number}") for number in range(asked.starts)] for user in ("single", "crowd")
    )
    async with backend_of(asked) as backend:
        await backend.servers.list()
        heart = Heartbeat(why=asked.why)
        with heart.counted(figures, "alone"):
            figures["one_by_one"] = [await started(backend, spec) for spec in single]
        await stopped(backend, single)
        with heart.counted(figures, "crowd"):
            figures["at_once"] = sorted(await asyncio.gather(*(started(backend, spec) for spec in crowd)))
        with heart.counted(figures, "stops"):
            await stopped(backend, crowd)
        await heart.end()
    return figures


@asynccontextmanager
async def backend_of(asked: argparse.Namespace) -> AsyncIterator[KubernetesBackend]:
    """The backend of a hub that has just begun."""
    gc.freeze()  # as a hub does, whose own objects are many more
    backend = KubernetesBackend(asked.hub, asked.namespace, lambda: Site(image=IMAGE))
    try:
        yield backend
    finally:
        await backend.close()


async def started(backend: KubernetesBackend, spec: Server) -> float:
    """Seconds until it answers."""
    began = time.perf_counter()
    await backend.servers.start(spec, Deadline.after(_START_SECONDS, "starting a server"), lambda _: None)
    return time.perf_counter() - began


async def stopped(backend: KubernetesBackend, specs: Sequence[Server]) -> None:
    deadline = Deadline.after(_START_SECONDS, "stopping servers")
    await asyncio.gather(*(backend.servers.stop(spec.ref, deadline) for spec in specs))


def memory() -> int:
    """Bytes of this process that are in the machine's memory, once what is no longer needed is gone."""
    gc.collect()
    found = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(found.split()[1]) * _KIB


def main() -> None:
    """Do what is asked and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = {work.__name__: work for work in (adopt, reflect, start)}
    parser.add_argument("what", choices=kinds)
    parser.add_argument("--hub", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--seconds", type=float, default=0, help="how long to be idle")
    parser.add_argument("--starts", type=int, default=0)
    parser.add_argument("--why", action="store_true", help="tell on stderr what runs in a long stall")
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(kinds[asked.what](asked))))


if __name__ == "__main__":
    main()
