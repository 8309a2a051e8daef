"""The hub's pods: which are orphans (pure), and how pods are deleted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator
from datetime import datetime

from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.manifests import GRACE
from stateroom.common.errors import SetupError
from stateroom.common.labels import HUB, KIND
from stateroom.common.naming import label_value
from stateroom.common.quantity import MINUTE, format_age
from stateroom.common.text import counted
from stateroom.operations.kubernetes.facts import Json
from stateroom.operations.local.records import Records
from stateroom.operations.platform import Kind, Orphan
from stateroom.storage.homes import home_from_labels
from stateroom.workloads.identity import identify
from stateroom.workloads.names import ServerRef

_OVERDUE = 10.0  # seconds past that after which a pod is taken from a node that does not answer
_PAUSE = 0.5
_FINISHED = {"Failed", "Succeeded"}

# What was made a moment ago may be about to be used.
_NEW = 5 * MINUTE
_FOLDER = "-folder"  # what the name of a pod that looks after a home's folder ends with


def selector(hub: str, kind: str) -> str:
    """Return the label selector for the hub's objects of a kind."""
    return f"{HUB}={label_value(hub)},{KIND}={kind}"


def server_of(pod: Json, hub: str) -> ServerRef | None:
    """Return the server that a pod runs. Anyone can set labels; annotations must match the name."""
    return identify(pod["metadata"]["name"], pod["metadata"].get("annotations"), hub)


def orphan_servers(pods: Iterable[Json], hub: str, records: Records, now: float, *, running: bool) -> Iterator[Orphan]:
    """List pods of servers that the hub does not know as active, `running` being whether the hub runs.

    One that is known and has ended stays: the hub has yet to tell its owner why.
    One that is being removed already needs nobody.
    """
    for pod in pods:
        ref, metadata = server_of(pod, hub), pod["metadata"]
        if ref is None or (ref.user, ref.server) in records.active or "deletionTimestamp" in metadata:
            continue
        if not (running and _phase(pod) == "Pending" and _age(pod, now) < _NEW):
            why = f"server of {ref}, {_past(pod, now)}; the hub knows of no such server"
            yield Orphan(Kind.SERVER, metadata["uid"], metadata["name"], why)


def orphan_folder_pods(pods: Iterable[Json], hub: str, now: float) -> Iterator[Orphan]:
    """List short-lived pods for a home's folder that were left behind when their creator was killed."""
    for pod in pods:
        metadata = pod["metadata"]
        home = home_from_labels(metadata.get("annotations") or {}, hub)
        if home is None or metadata["name"] != home.name + _FOLDER or "deletionTimestamp" in metadata:
            continue
        if _age(pod, now) >= _NEW:
            why = f"helper of the hub, {_past(pod, now)}, left by a kill"
            yield Orphan(Kind.HELPER, metadata["uid"], metadata["name"], why)


async def listed(cluster: Cluster, kind: str, selected: str) -> list[Json]:
    """Return all objects of a kind."""
    return [item async for page in cluster.pages(kind, selected) for item in page["items"]]


async def ended(cluster: Cluster, pods: Iterable[tuple[str, str]]) -> None:
    """Delete pods, given by name and UID, and wait until they are gone. Other pods of these names are left alone.

    Those of a node that does not answer are taken from it. Raises SetupError if they stay even so.
    """
    left = set(pods)
    for grace, patience in ((GRACE, GRACE + _OVERDUE), (0, _OVERDUE)):
        await asyncio.gather(*(cluster.delete("pods", name, uid, grace) for name, uid in left))
        until = time.monotonic() + patience
        while left and time.monotonic() < until:
            left = {
                pod
                for pod, there in zip(left, await asyncio.gather(*(_lasts(cluster, *pod) for pod in left)), strict=True)
                if there
            }
            if left:
                await asyncio.sleep(_PAUSE)
        if not left:
            return
    name, _ = min(left)
    raise SetupError(
        f"The cluster has not removed {counted(len(left), 'pod')}, {name} among them. "
        f"See what holds it: kubectl --namespace {cluster.namespace} describe pod {name}"
    )


async def _lasts(cluster: Cluster, name: str, uid: str) -> bool:
    """Return whether the pod exists and any container of it may still run."""
    found = await cluster.read("pods", name)
    if found is None or found["metadata"]["uid"] != uid:
        return False
    if _phase(found) in _FINISHED:
        # The node's own clearing up need not be waited for.
        await cluster.delete("pods", name, uid, 0)
    return True


def _phase(pod: Json) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _age(pod: Json, now: float) -> float:
    return now - datetime.fromisoformat(pod["metadata"]["creationTimestamp"]).timestamp()


def _past(pod: Json, now: float) -> str:
    return f"{_phase(pod).lower()}, made {format_age(max(0.0, _age(pod, now)))} ago"
