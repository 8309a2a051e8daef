"""A picture of the hub's pods, kept current by one watch of the cluster.

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
import contextlib
import logging
import time
from collections import defaultdict
from contextlib import aclosing
from typing import Any, TypeGuard

from stateroom.backends.base import Life, ServerState
from stateroom.backends.kubernetes.cluster import Cluster, Expired
from stateroom.backends.kubernetes.manifests import selector
from stateroom.backends.kubernetes.observation import Seen, seen_from_pod, version_of
from stateroom.backends.waiters import Waiters
from stateroom.errors import BackendError, BackendUnavailable
from stateroom.names import ServerRef

log = logging.getLogger(__name__)

_WATCH_SECONDS = 30
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0

_ABSENT = ServerState(Life.ABSENT)


class PodWatch:
    """Knows the hub's pods, and wakes those who wait for a change of one."""

    def __init__(self, cluster: Cluster, hub: str) -> None:
        self._cluster = cluster
        self._hub = hub
        self._seen: dict[str, Seen] = {}
        self._of_user: defaultdict[str, set[str]] = defaultdict(set)  # the names of those seen
        self._version = 0  # of the cluster's memory, to which the picture is complete; 0 while it must be listed
        self._listed = False
        self._attempted = asyncio.Event()  # the first list was made, or failed
        self._trouble: BackendError | None = None
        self._waiting = Waiters()
        self._task: asyncio.Task[None] | None = None
        self._heard = time.monotonic()

    def silence(self) -> float:
        """Seconds since the cluster last said anything; up to half a minute while nothing happens."""
        return time.monotonic() - self._heard

    async def state(self, name: str) -> ServerState:
        """What is known of a pod. Raises BackendUnavailable or EngineRefused as long as nothing is known of any."""
        await self._picture()
        return self.last(name)

    async def all(self) -> list[Seen]:
        """Every pod of the hub. Raises as `state` does."""
        await self._picture()
        return list(self._seen.values())

    def last(self, name: str) -> ServerState:
        """What was last heard of a pod."""
        seen = self._seen.get(name)
        return seen.state if seen else _ABSENT

    def seen(self, name: str) -> Seen | None:
        """The pod itself as it was last heard of."""
        return self._seen.get(name)

    def has_sibling_of(self, ref: ServerRef) -> bool:
        """Whether another server of the same user is there; True while that is not known."""
        return not self._listed or bool(self._of_user.get(ref.user, set()) - {ref.name})

    async def changed(self, name: str, known: ServerState | None) -> ServerState:
        """Wait until a pod's state is another than `known`. Outlasts a cluster that is away."""
        await self._begun().wait()
        while not self._listed or self.last(name) == known:
            await self._waiting.until_woken(name)
        return self.last(name)

    async def next(self, name: str, known: Seen | None, seconds: float) -> Seen | None:
        """Wait until anything of a pod is other than `known`, and for so long at most."""
        self._begun()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._seen.get(name) == known:
                    await self._waiting.until_woken(name)
        return self._seen.get(name)

    async def look(self, name: str) -> dict[str, Any] | None:
        """The cluster's description of one pod now, None if there is none. Raises BackendError."""
        found = await self._cluster.read("pods", name)
        if found is None:
            self._forget(name)
        else:
            self.take(found)
        return found

    def take(self, pod: dict[str, Any]) -> None:
        """Know what the cluster said of a pod, unless something newer is known."""
        self._take(seen_from_pod(pod))

    async def close(self) -> None:
        """End the watch. Waiters are left alone: their tasks end with the loop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _picture(self) -> None:
        await self._begun().wait()
        if not self._listed:
            if self._trouble is None:
                raise BackendUnavailable("The cluster does not answer.")
            raise type(self._trouble)(self._trouble.message, detail=self._trouble.detail)

    def _begun(self) -> asyncio.Event:
        """Start the watch at the first question; whether there is an answer yet."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(), name="kubernetes-watch")
        return self._attempted

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
                self._trouble = error
                error.__traceback__ = None
                log.warning("The cluster's watch broke off, trying again: %s %s", error, error.detail)
            except Exception:  # whatever it is, a hub without its watch is blind
                log.exception("The cluster's watch broke off, trying again.")
                self._version = 0
            self._attempted.set()
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
                for seen in map(seen_from_pod, page["items"]):
                    listed.add(seen.name)
                    self._take(seen)
                self._heard = time.monotonic()
        for seen in [seen for seen in self._seen.values() if seen.name not in listed and seen.version <= version]:
            self._forget(seen.name)
        self._version, self._listed = version, True
        self._attempted.set()
        self._trouble = None
        for name in list(self._waiting):
            self._waiting.wake(name)

    async def _hear(self) -> None:
        """One watch, to its end."""
        query = {"labelSelector": selector(self._hub), "resourceVersion": str(self._version)}
        async with aclosing(self._cluster.changes("pods", query, _WATCH_SECONDS)) as changes:
            async for change in changes:
                self._heard = time.monotonic()
                pod = change["object"]
                self._version = max(self._version, version_of(pod["metadata"]))
                match change["type"]:
                    case "ADDED" | "MODIFIED":
                        self._take(seen_from_pod(pod))
                    case "DELETED":
                        self._forget(pod["metadata"]["name"], pod["metadata"]["uid"])
        self._heard = time.monotonic()

    def _take(self, seen: Seen) -> None:
        known = self._seen.get(seen.name)
        if (known is not None and known.version > seen.version) or not self._is_ours(seen.ref, seen.name):
            return
        self._seen[seen.name] = seen
        self._of_user[seen.ref.user].add(seen.name)
        self._waiting.wake(seen.name)

    def _forget(self, name: str, uid: str = "") -> None:
        known = self._seen.get(name)
        if known is not None and uid in ("", known.uid):
            del self._seen[name]
            user = known.ref.user if known.ref else ""
            self._of_user[user].discard(name)
            if not self._of_user[user]:
                del self._of_user[user]
            self._waiting.wake(name)

    def _is_ours(self, ref: ServerRef | None, name: str) -> TypeGuard[ServerRef]:
        """Whether it is the server that has this name by rule."""
        return ref is not None and ref.hub == self._hub and ref.name == name
