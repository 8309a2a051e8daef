"""Users' homes in a cluster: a claim each, or a folder each in a claim that all share.

A folder cannot say whose it is, so a ConfigMap of its name does. Folders are made
and removed by a pod that lives for a moment, as the servers' own user.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from stateroom.backends.base import Report
from stateroom.backends.diagnosis import not_theirs
from stateroom.backends.kubernetes import home_manifests
from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.manifests import Site
from stateroom.common.errors import BackendError, EngineRefused, HomeRefused, NameTaken
from stateroom.common.quantity import format_kubernetes_bytes, format_memory, parse_kubernetes_quantity
from stateroom.storage.homes import HomeRef, home_from_labels
from stateroom.workloads.progress import Phase, Progress

log = logging.getLogger(__name__)

_ON_ITS_WAY = {None, "ContainerCreating", "PodInitializing"}
_LOOK_SECONDS = 0.5
_FOLDER_SECONDS = 60.0
_GONE_SECONDS = 10.0  # a cluster that is well takes one or two

_MANY_NODES = {"ReadWriteMany", "ReadOnlyMany"}  # ways to mount a claim
_MAKE = 'mkdir -p "$1" && [ -w "$1" ]'
_REMOVE = 'rm -rf -- "$1"'


class Homes:
    """The homes of one hub."""

    def __init__(self, cluster: Cluster, hub: str, site: Callable[[], Site]) -> None:
        self._cluster = cluster
        self._hub = hub
        self._site_now = site
        # Of two servers of a user that start at once, one makes the home and the other finds it.
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._proven: set[str] = set()  # the homes that are known to be writable
        self._stuck: set[str] = set()  # the claims that could not grow, as was told once

    @property
    def _site(self) -> Site:
        return self._site_now()

    def is_proven(self, home: HomeRef) -> bool:
        """Whether a server has been able to write to it, in this process's time."""
        return home.name in self._proven

    def prove(self, home: HomeRef) -> None:
        """A server can write to it."""
        self._proven.add(home.name)

    async def ensure(self, home: HomeRef, report: Report) -> bool:
        """Have the home there; return whether it is mounted on one node at a time.

        Its claim says so, which may be older than what the catalog says. Raises HomeRefused for another
        owner's, and where it cannot be made.
        """
        kind = "configmaps" if self._site.homes.shared else "persistentvolumeclaims"
        if (shared := self._site.homes.shared) and await self._cluster.read("persistentvolumeclaims", shared) is None:
            raise HomeRefused(
                f"The claim {shared}, in which the homes are, is not in the cluster. Tell an administrator."
            )
        async with self._one_at_a_time[home.name]:
            found = await self._cluster.read(kind, home.name)
            if found is None:
                found = await self._make(kind, home, report)
        self._require_theirs(kind, home, found)
        if shared:
            return False
        await self._grow(home, found)
        return _MANY_NODES.isdisjoint((found.get("spec") or {}).get("accessModes") or ())

    async def remove(self, home: HomeRef) -> None:
        """Delete the home and all in it; returns when it is gone, or will be once no pod uses it any more.

        Idempotent. Raises HomeRefused if its annotations name another owner.
        """
        kind = "configmaps" if self._site.homes.shared else "persistentvolumeclaims"
        found = await self._cluster.read(kind, home.name)
        if found is None:
            return
        self._require_theirs(kind, home, found, deleting=True)
        if self._site.homes.shared:
            await self._do(home, _REMOVE)
        await self._cluster.delete(kind, home.name, found["metadata"]["uid"])
        self._proven.discard(home.name)
        await self._gone(kind, home, found["metadata"]["uid"])

    async def _gone(self, kind: str, home: HomeRef, uid: str) -> None:
        """Wait a while: the cluster keeps a claim until it has looked whether a pod uses it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GONE_SECONDS):
                while True:
                    found = await self._cluster.read(kind, home.name)
                    if found is None or found["metadata"]["uid"] != uid:
                        return
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _make(self, kind: str, home: HomeRef, report: Report) -> dict[str, Any]:
        report(Progress(Phase.PREPARING, "Making your home", 0.2))
        if self._site.homes.shared:
            await self._do(home, _MAKE)
            body = home_manifests.home_record(home)
        else:
            body = home_manifests.claim(home, self._site.homes)
        try:
            return await self._cluster.create(kind, body)
        except NameTaken:  # another server of the user was quicker
            return await self._cluster.read(kind, home.name) or {}

    def _require_theirs(self, kind: str, home: HomeRef, found: dict[str, Any], *, deleting: bool = False) -> None:
        metadata = found.get("metadata") or {}
        # Whosever it was: when it is gone, the next start makes a new one.
        if "deletionTimestamp" in metadata and not deleting:
            raise HomeRefused("Your home is being deleted. Try again in a minute, or tell an administrator.")
        owner = home_from_labels(metadata.get("annotations") or {}, self._hub)
        if owner != home:
            raise HomeRefused(not_theirs("claim" if kind == "persistentvolumeclaims" else "ConfigMap", home, owner))
        if (found.get("status") or {}).get("phase") == "Lost" and not deleting:
            raise HomeRefused(
                f"Your home has lost its storage: the claim {home.name} is bound to a volume that is gone. "
                "Tell an administrator."
            )

    async def _grow(self, home: HomeRef, found: dict[str, Any]) -> None:
        """Have a claim grow to the catalog's size. One that cannot serves on as it is; the log says so once."""
        text = found["spec"]["resources"]["requests"]["storage"]
        size = self._site.homes.size
        if _size_of(text) >= size or home.name in self._stuck:
            return
        try:
            patch = {"spec": {"resources": {"requests": {"storage": format_kubernetes_bytes(size)}}}}
            await self._cluster.patch("persistentvolumeclaims", home.name, patch)
        except EngineRefused as error:
            self._stuck.add(home.name)
            log.warning(
                "The home of %s stays at %s, since the cluster does not let it grow to %s: %s",
                home.user, text, format_memory(size), error,
            )  # fmt: skip

    async def _do(self, home: HomeRef, script: str) -> None:
        """Run a script on the home's folder in a pod, and wait for its end. Raises HomeRefused if it fails."""
        async with self._pod(home, script) as pod:
            ended = await self._ended(pod["metadata"]["name"])
        if ended.get("exitCode") != 0:
            said = str(ended.get("message", "")).strip()
            raise HomeRefused(
                f"Your home could not be made or removed in the claim {self._site.homes.shared}. Tell an "
                f"administrator: it must be there, and be writable by user {self._site.settings.user.id} or group "
                f"{self._site.settings.user.group}.",
                detail=said,
            )

    @asynccontextmanager
    async def _pod(self, home: HomeRef, script: str) -> AsyncIterator[dict[str, Any]]:
        body = home_manifests.folder_pod(home, self._site, script)
        for _ in range(2):
            try:
                pod = await self._cluster.create("pods", body)
                break
            except NameTaken:  # of a hub that was killed, or of another server of the user
                await self._discard(body["metadata"]["name"])
        else:
            raise EngineRefused("Your home is being prepared by another start. Try again in a minute.")
        try:
            yield pod
        finally:
            with contextlib.suppress(BackendError):
                await self._cluster.delete("pods", pod["metadata"]["name"], pod["metadata"]["uid"], grace=0)

    async def _discard(self, name: str) -> None:
        found = await self._cluster.read("pods", name)
        if found is not None:
            with contextlib.suppress(BackendError):
                await self._ended(name)
            await self._cluster.delete("pods", name, found["metadata"]["uid"], grace=0)

    async def _ended(self, name: str) -> dict[str, Any]:
        """How the container of a pod ended; {} if it did not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FOLDER_SECONDS):
                while (found := await self._cluster.read("pods", name)) is not None:
                    for one in (found.get("status") or {}).get("containerStatuses") or ():
                        state = one.get("state") or {}
                        if ended := state.get("terminated"):
                            return dict(ended)
                        if (state.get("waiting") or {}).get("reason") not in _ON_ITS_WAY:
                            return dict(state.get("waiting") or {})
                    if (found.get("status") or {}).get("phase") == "Failed":
                        break
                    await asyncio.sleep(_LOOK_SECONDS)
        return {}


def _size_of(text: str) -> int:
    """Bytes of a quantity of Kubernetes; what cannot be read is large enough."""
    size = parse_kubernetes_quantity(text)
    return 2**63 if size is None else int(size)
