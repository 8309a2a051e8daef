"""Keeps the picture of the hub's pods current, by one watch of the cluster.

It lists once, in pages, and then hears of changes. A watch lasts half a minute
and the next goes on from the version where it ended, which costs the cluster
one request and no list; so one that has fallen silent, as behind a proxy that
died, holds nobody up for longer. Only where the cluster no longer remembers the
version is everything listed again. It never gives up: what was known stays
known while the cluster is away.

All of it happens on the loop, in slices.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from contextlib import aclosing
from typing import Any

from stateroom.backends.kubernetes.answers import Expired
from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.manifests import selector
from stateroom.backends.kubernetes.observation import ObservedPod, pod_from_json, version_of
from stateroom.backends.picture import Picture
from stateroom.common.errors import BackendError
from stateroom.workloads.names import ServerRef

log = logging.getLogger(__name__)

_WATCH_SECONDS = 30
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0


class PodWatch:
    """Keeps the picture of the hub's pods."""

    def __init__(self, cluster: Cluster, hub: str) -> None:
        self._cluster = cluster
        self._hub = hub
        self.picture: Picture[ObservedPod] = Picture(self._begin, "The cluster does not answer.")
        self._of_user: defaultdict[str, set[str]] = defaultdict(set)  # the names of those observed
        self._version = 0  # of the cluster's memory, to which the picture is complete; 0 while it must be listed
        self._task: asyncio.Task[None] | None = None

    def has_sibling_of(self, ref: ServerRef) -> bool:
        """Whether another server of the same user is there; True while that is not known."""
        return not self.picture.is_complete or bool(self._of_user.get(ref.user, set()) - {ref.name})

    async def refresh(self, name: str) -> dict[str, Any] | None:
        """The cluster's description of one pod now, None if there is none. Raises BackendError."""
        found = await self._cluster.read("pods", name)
        if found is None:
            self._forget(name)
        else:
            self.record(found)
        return found

    def record(self, pod: dict[str, Any]) -> None:
        """Know what the cluster said of a pod, unless something newer is known."""
        self._record(pod_from_json(pod, self._hub))

    async def close(self) -> None:
        """End the watch. Waiters are left alone: their tasks end with the loop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._follow(), name="kubernetes-watch")

    # Following

    async def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                if not self._version:
                    await self._list()
                await self._hear()
                pause = _FIRST_PAUSE
                continue
            except Expired as error:
                log.info("Listing all pods again: %s", error)
                self._version = 0
            except BackendError as error:
                self.picture.failed(error)
                log.warning("The cluster's watch broke off, trying again: %s %s", error, error.detail)
            except Exception:  # whatever it is, a hub without its watch is blind
                log.exception("The cluster's watch broke off, trying again.")
                self._version = 0
            self.picture.failed()
            if time.monotonic() - began > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _list(self) -> None:
        listed: set[str] = set()
        version = 0
        async with aclosing(self._cluster.pages("pods", selector(self._hub))) as pages:
            async for page in pages:
                version = version or version_of(page["metadata"])
                for observed in (pod_from_json(pod, self._hub) for pod in page["items"]):
                    listed.add(observed.name)
                    self._record(observed)
                self.picture.heard()
        for name, observed in self.picture.snapshot().items():
            if name not in listed and observed.version <= version:
                self._forget(name)
        self._version = version
        self.picture.complete()

    async def _hear(self) -> None:
        """One watch, to its end."""
        query = {"labelSelector": selector(self._hub), "resourceVersion": str(self._version)}
        async with aclosing(self._cluster.changes("pods", query, _WATCH_SECONDS)) as changes:
            async for change in changes:
                self.picture.heard()
                pod = change["object"]
                self._version = max(self._version, version_of(pod["metadata"]))
                match change["type"]:
                    case "ADDED" | "MODIFIED":
                        self.record(pod)
                    case "DELETED":
                        self._forget(pod["metadata"]["name"], pod["metadata"]["uid"])
        self.picture.heard()

    def _record(self, observed: ObservedPod) -> None:
        known = self.picture.get(observed.name)
        if (known is not None and known.version > observed.version) or observed.ref is None:
            return
        self._of_user[observed.ref.user].add(observed.name)
        self.picture.record(observed.name, observed)

    def _forget(self, name: str, uid: str = "") -> None:
        known = self.picture.get(name)
        if known is not None and uid in ("", known.uid):
            user = known.ref.user if known.ref else ""
            self._of_user[user].discard(name)
            if not self._of_user[user]:
                del self._of_user[user]
            self.picture.record(name, None)
