"""What a hub holds at a quiet moment: its process from outside and inside, its engine, its database."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from harness.engine_proxy import EngineProxy
from harness.hub import Hub, wait_for
from stateroom.common.labels import HUB

SETTLING = 120.0  # seconds; connections are kept open for a while after their use
AFTERMATH = 70.0  # as long a hub looks out for what an engine may still make that was in trouble


@dataclass(frozen=True, slots=True)
class Figures:
    """One look. Every field but `objects` is a line of the table."""

    memory_kib: int
    threads: int
    sockets: int
    pipes: int
    open_files: int
    other_descriptors: int
    tasks: int
    live_objects: int
    connections_to_the_engine: int
    containers: int
    homes: int
    networks: int
    files_in_the_data_folder: int
    tokens_of_servers: int
    other_tokens: int
    oauth_clients: int
    objects: Counter[str]


def quiet_figures(hub: Hub, proxy: EngineProxy) -> Figures:
    """The figures once those that follow the load have stayed the same for some seconds, or at the end of patience."""
    until = time.monotonic() + SETTLING
    steady, last = 0, None
    while steady < 5 and time.monotonic() < until:
        time.sleep(1)
        now = (*threads_and_descriptors(hub_process(hub)), proxy.connections, len(hub.servers.names()))
        steady, last = (steady + 1 if now == last else 0), now
    time.sleep(AFTERMATH)
    return figures(hub, proxy)


def figures(hub: Hub, proxy: EngineProxy) -> Figures:
    """Look now."""
    pid = hub_process(hub)
    tasks, objects = heard_from_within(hub, pid)
    threads, kinds = threads_and_descriptors(pid)
    descriptors = dict(kinds)
    mine = {"label": f"{HUB}={hub.id}"}
    return Figures(
        memory_kib=memory_of(pid),
        threads=threads,
        sockets=descriptors.pop("socket", 0),
        pipes=descriptors.pop("pipe", 0),
        open_files=descriptors.pop("file", 0),
        other_descriptors=sum(descriptors.values()),
        tasks=tasks,
        live_objects=objects.total(),
        connections_to_the_engine=proxy.connections,
        containers=len(hub.servers.names()),
        homes=len(hub.servers.engine.volumes.list(filters=mine)),
        networks=len(hub.servers.engine.networks.list(filters=mine)),
        files_in_the_data_folder=sum(1 for path in hub.data.rglob("*") if path.is_file()),
        **rows(hub),
        objects=objects,
    )


def hub_process(hub: Hub) -> int:
    """The hub's own process."""
    (pid,) = hub.processes()
    return pid


def memory_of(pid: int) -> int:
    """KiB of memory that a process has."""
    return int(_status(pid)["VmRSS"].split()[0])


def threads_and_descriptors(pid: int) -> tuple[int, tuple[tuple[str, int], ...]]:
    """How many threads a process has, and descriptors of each kind."""
    return int(_status(pid)["Threads"]), tuple(sorted(Counter(_descriptors(pid)).items()))


def heard_from_within(hub: Hub, pid: int) -> tuple[int, Counter[str]]:
    """Tasks and live objects, as the process itself counts them (`witness/sitecustomize.py`)."""
    file = Path(f"{witness_file(hub)}.{pid}")
    file.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR2)
    wait_for(file.exists, "what the hub's process says of itself")
    told = json.loads(file.read_text())
    file.unlink()
    return told["tasks"], Counter(told["objects"])


def witness_file(hub: Hub) -> Path:
    """Where the hub's process writes down what lives in it."""
    return hub.data / "witness"


def rows(hub: Hub) -> dict[str, int]:
    """What the hub's database keeps that must not grow."""
    with closing(sqlite3.connect(f"file:{hub.data}/jupyterhub.sqlite?mode=ro", uri=True)) as database:

        def count(query: str) -> int:
            return int(database.execute(f"SELECT count(*) FROM {query}").fetchone()[0])

        return {
            "tokens_of_servers": count("api_tokens WHERE note LIKE 'Server at %'"),
            "other_tokens": count("api_tokens WHERE note NOT LIKE 'Server at %' OR note IS NULL"),
            "oauth_clients": count("oauth_clients"),
        }


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _descriptors(pid: int) -> Iterator[str]:
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        yield "file" if target.startswith("/") else target.partition(":")[0]
