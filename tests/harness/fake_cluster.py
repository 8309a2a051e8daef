"""A cluster that is not there, for unit tests: objects in memory, and what a test lets its watches tell."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import Any, cast

from stateroom.backends.kubernetes.api import Cluster
from stateroom.common.errors import NameTaken
from stateroom.workloads.names import ServerRef

Json = dict[str, Any]


class FakeCluster:
    """Answers as `Cluster` does, as far as the code around it asks."""

    namespace, server = "space", "https://c.example"

    def __init__(self) -> None:
        self.paths: dict[str, Json] = {}  # what is at paths of their own
        self.objects: dict[tuple[str, str], Json] = {}
        self.version = 1
        self.calls: list[tuple[str, str, str]] = []  # verb, kind, name
        self.queries: defaultdict[str, list[Mapping[str, str]]] = defaultdict(list)  # of the watches, by kind
        self.lists = 0
        self.failures: dict[str, list[Exception]] = {}  # what the next calls of a verb raise
        self._told: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)

    @property
    def typed(self) -> Cluster:
        return cast("Cluster", self)

    # What a test does

    def put(self, kind: str, body: Json) -> Json:
        """Have an object there, newer than all, and the same one as before under its name."""
        self.version += 1
        before = self.objects.get((kind, body["metadata"]["name"]))
        uid = before["metadata"]["uid"] if before else f"uid-{self.version}"
        metadata = {"uid": uid, **body.get("metadata", {}), "resourceVersion": str(self.version)}
        made: Json = {**body, "metadata": metadata}
        self.objects[kind, metadata["name"]] = made
        return made

    def tell(self, kind: str, change: str, body: Json) -> None:
        """Have the watch of a kind say something."""
        self._told[kind].put_nowait({"type": change, "object": body})

    def end_watch(self, kind: str, error: Exception | None = None) -> None:
        """End the watch of a kind in its time, or by an error."""
        self._told[kind].put_nowait(error)

    def fail(self, verb: str, *errors: Exception) -> None:
        self.failures[verb] = list(errors)

    def count(self, verb: str, kind: str = "") -> int:
        return sum(1 for call in self.calls if call[0] == verb and kind in ("", call[1]))

    # What the product does

    async def create(self, kind: str, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Json:
        name = manifest["metadata"]["name"]
        self._called("create", kind, name)
        if (kind, name) in self.objects:
            raise NameTaken(f'{kind} "{name}" already exists')
        return dict(manifest) if dry_run else self.put(kind, dict(manifest))

    async def at(self, path: str) -> Json | None:
        self._called("at", path, "")
        return self.paths.get(path)

    async def may(self, _verb: str, _resource: str) -> bool:
        return True

    async def read(self, kind: str, name: str) -> Json | None:
        self._called("read", kind, name)
        return self.objects.get((kind, name))

    async def patch(self, kind: str, name: str, patch: Mapping[str, Any]) -> Json | None:
        self._called("patch", kind, name)
        found = self.objects.get((kind, name))
        return None if found is None else self.put(kind, merged(found, patch))

    async def delete(self, kind: str, name: str, uid: str, grace: float | None = None) -> None:  # noqa: ARG002 - as the real one
        self._called("delete", kind, name)
        found = self.objects.get((kind, name))
        if found is not None and found["metadata"]["uid"] == uid:
            del self.objects[kind, name]

    async def pages(self, kind: str, selector: str) -> AsyncGenerator[Json, None]:  # noqa: ARG002 - as the real one
        self._called("list", kind, "")
        self.lists += 1
        items = [body for (what, _), body in self.objects.items() if what == kind]
        yield {"metadata": {"resourceVersion": str(self.version)}, "items": items[:1]}
        yield {"metadata": {"resourceVersion": str(self.version)}, "items": items[1:]}

    async def changes(self, kind: str, query: Mapping[str, str], seconds: int) -> AsyncGenerator[Json, None]:  # noqa: ARG002 - as the real one
        self.queries[kind].append(dict(query))
        self._called("watch", kind, "")
        while (told := await self._told[kind].get()) is not None:
            if isinstance(told, Exception):
                raise told
            yield told

    def _called(self, verb: str, kind: str, name: str) -> None:
        self.calls.append((verb, kind, name))
        if self.failures.get(verb):
            raise self.failures[verb].pop(0)


class FakeClient:
    """The commands' side of it, as `Client`."""

    kubeconfig, kubectl = "", "kubectl"

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster

    @property
    def namespace(self) -> str:
        return self.cluster.namespace

    def ask(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)


def merged(whole: Mapping[str, Any], patch: Mapping[str, Any]) -> Json:
    """As a JSON merge patch does."""
    result = dict(whole)
    for key, entry in patch.items():
        if isinstance(entry, Mapping):
            result[key] = merged(result.get(key) or {}, entry)
        else:
            result[key] = entry
    return result


def pod_of(ref: ServerRef, status: Json | None = None) -> Json:
    """A server's pod, of which nothing is known yet but whose it is."""
    metadata = {"name": ref.name, "annotations": dict(ref.labels)}
    spec = {"containers": [{"name": "notebook", "image": "a:1"}]}
    return {"metadata": metadata, "spec": spec, "status": status or {"phase": "Pending"}}


def running(address: str = "10.1.0.7") -> Json:
    """The status of a pod whose server runs."""
    return {
        "phase": "Running",
        "podIP": address,
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "notebook", "state": {"running": {"startedAt": "2026-11-24T10:00:00Z"}}}],
    }


def waiting(reason: str, message: str = "") -> Json:
    """The status of a pod whose container waits."""
    return {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "notebook", "state": {"waiting": {"reason": reason, "message": message}}}],
    }


def unschedulable(message: str, **more: Any) -> Json:
    """The status of a pod that no node takes."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [condition], **more}
