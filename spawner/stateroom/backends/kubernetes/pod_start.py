"""A pod on its way from being made to running: what is told of it, and when there is no hope.

The watch tells what becomes of the pod. Only where that takes longer than a
second are the cluster's events on this one pod heard as well, for they alone
tell of pulls, of nodes that are being added, and of mounts that fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from stateroom.backends.base import Life, Report
from stateroom.backends.diagnosis import CREATING, MOUNTING, PULL, SANDBOX, SCHEDULING, diagnosed, ended
from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.manifests import Site
from stateroom.backends.kubernetes.observation import UNSCHEDULABLE, ObservedPod, Waiting
from stateroom.backends.kubernetes.pod_watch import PodWatch
from stateroom.common.deadline import Deadline
from stateroom.common.errors import (
    BackendError,
    BackendUnavailable,
    DeadlineExceeded,
    EngineRefused,
    HomeRefused,
    ImageUnavailable,
    ImageUnfit,
    ServerEnded,
)
from stateroom.common.text import clipped
from stateroom.workloads.progress import Phase, Progress
from stateroom.workloads.server import Server

log = logging.getLogger(__name__)

_UNEVENTFUL = 1.0  # seconds after which a start is slow, and its events are worth hearing
_LOOK_AGAIN = 3.0  # seconds without news of the pod after which the cluster is asked itself
_EVENTS_SECONDS = 300
_PATIENCE = 5.0  # seconds in which a pod may find a node, or a mount that failed succeed

# Storage may be long in the making. Where it cannot be made, the claim's own events say so.
_UNBOUND = "unbound immediate PersistentVolumeClaims"

# The claim was there before the pod. A scheduler that has lost its API server for a while comes to know it late.
_LATE_CLAIM_PATIENCE = 30.0

_PULLING = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_CREATING = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
    "PostStartHookError",
}
_MOUNT_TROUBLES = {"FailedMount", "FailedMapVolume"}
_SANDBOX_TROUBLES = {"FailedCreatePodSandBox", "FailedCreatePodContainer"}
_LONGEST_MESSAGE = 300  # letters of the cluster's
_TRIED = 4  # times, within some seconds, after which a node will not succeed
_TOLD = {
    "Scheduled": Progress(Phase.PREPARING, "Your server has a place on a node", 0.7),
    "TriggeredScaleUp": Progress(Phase.PREPARING, "The cluster is adding a node for your server", 0.6),
    "Nominated": Progress(Phase.PREPARING, "The cluster is adding a node for your server", 0.6),
    "FailedAttachVolume": Progress(Phase.PREPARING, "Waiting for your home to be attached to the node", 0.8),
    "SuccessfulAttachVolume": Progress(Phase.PREPARING, "Your home is attached to the node", 0.9),
    "Pulling": Progress(Phase.PULLING, "Fetching the image; this happens once for each node"),
    "Pulled": Progress(Phase.STARTING, "Starting your server"),
}
# The kubelet comes to know of a pod's Secrets a moment after the pod.
_PASSING = ("failed to sync", "not registered")


class Pending:
    """One start's pod."""

    def __init__(self, cluster: Cluster, watch: PodWatch, site: Site, spec: Server, uid: str) -> None:
        self._cluster = cluster
        self._watch = watch
        self._spec = spec
        self._uid = uid
        self._claim = site.homes.shared or spec.home.name
        self._late_claim = f'persistentvolumeclaim "{self._claim}" not found'
        self._unbound = asyncio.Event()  # for so long that its events are worth hearing
        self._autoscaler_timeout = site.settings.autoscaler_timeout or 0.0
        self._pulling_since = 0.0
        self._homeless_since = 0.0  # since no node takes it
        self._patience = _PATIENCE  # with that
        self._scaling = False  # whether an autoscaler is at work for it
        self._failed_since = 0.0  # since its node failed at something for it
        self._said = ""  # the last thing that went wrong
        self._told = 0  # how far the events have come, in percent

    async def until_running(self, deadline: Deadline, report: Report) -> tuple[ObservedPod, Deadline]:
        """Wait until the pod runs and has an address; also the deadline, put off by pulls and new nodes.

        Raises ImageUnavailable, ImageUnfit, HomeRefused, ServerEnded, EngineRefused or DeadlineExceeded.
        """
        self._deadline, self._report = deadline, report
        running = asyncio.ensure_future(self._follow())
        hearing = [
            asyncio.ensure_future(self._hear(f"involvedObject.uid={self._uid}")),
            asyncio.ensure_future(self._hear_of_the_claim()),
        ]
        try:
            done, _ = await asyncio.wait([running, *hearing], return_when=asyncio.FIRST_COMPLETED)
            if running not in done:
                await done.pop()  # which raises
            return await running, self._deadline
        finally:
            for task in (running, *hearing):
                task.cancel()
            await asyncio.wait([running, *hearing])

    async def _follow(self) -> ObservedPod:
        known: ObservedPod | None = None
        while True:
            seen = await self._watch.picture.next(self._spec.ref.name, known, self._until_next_thought())
            if seen is None or seen.uid != self._uid:
                raise ServerEnded("The server was removed before it answered.")
            if seen.state.address:
                return seen
            if seen.state.life is Life.ENDED:
                raise ended_by(self._spec, seen)
            self._consider(seen.waiting)
            self._require_time()
            if seen == known:
                # No news may mean that there is nothing, or that none gets through.
                with contextlib.suppress(BackendUnavailable):
                    await self._watch.refresh(self._spec.ref.name)
            known = seen

    def _until_next_thought(self) -> float:
        soon = [_LOOK_AGAIN, max(0.05, self._limit() - time.monotonic())]
        if self._homeless_since:
            soon.append(max(0.05, self._homeless_since + self._patience - time.monotonic()))
        return min(soon)

    def _require_time(self) -> None:
        if time.monotonic() >= self._limit():
            why = f" {self._said}" if self._said else ""
            raise DeadlineExceeded(f"Gave up {self._deadline.purpose}: the time allowed is over.{why}")

    def _limit(self) -> float:
        if self._pulling_since:
            return self._deadline.at + self._spec.container.pull_timeout
        if self._homeless_since:
            return self._deadline.at + self._autoscaler_timeout
        return self._deadline.at

    def _consider(self, waiting: Waiting) -> None:
        """Raise if what the pod waits for will not come."""
        now = time.monotonic()
        if waiting.reason != UNSCHEDULABLE and self._homeless_since:
            self._deadline = self._deadline.later(now - self._homeless_since)
            self._homeless_since = 0.0
        if waiting.reason == UNSCHEDULABLE:
            self._homeless_since = self._homeless_since or now
            self._said = diagnosed(waiting.message, SCHEDULING, self._spec.container.image) or _from_cluster(
                waiting.message
            )
            late = _LATE_CLAIM_PATIENCE if self._late_claim in waiting.message else _PATIENCE
            self._patience = max(late, self._autoscaler_timeout)
            if _UNBOUND in waiting.message:
                self._report(Progress(Phase.PREPARING, "Waiting for storage for your home", 0.5))
                if now - self._homeless_since >= _PATIENCE:
                    self._unbound.set()
                return
            if now - self._homeless_since >= self._patience:
                raise EngineRefused(self._said, detail=waiting.message)
            if not self._scaling:
                self._report(Progress(Phase.PREPARING, "Waiting for a node with room for your server", 0.5))
        elif waiting.reason in _PULLING:
            said = waiting.message or waiting.reason
            told = diagnosed(said, PULL, self._spec.container.image)
            raise ImageUnavailable(
                told or f'The image "{self._spec.container.image}" could not be fetched. {_from_cluster(said)}',
                detail=said,
            )
        elif waiting.reason in _CREATING and not any(words in waiting.message for words in _PASSING):
            raise hopeless(self._spec, waiting)

    # Events

    async def _hear(self, which: str) -> None:
        """Tell of the cluster's events on an object. Ends only by raising what they say is hopeless."""
        while True:
            await asyncio.sleep(_UNEVENTFUL)
            if hopeless := await self._hear_for_a_while(which):
                raise hopeless

    async def _hear_of_the_claim(self) -> None:
        """As `_hear`, once the claim has been without storage for some time."""
        await self._unbound.wait()
        await self._hear(f"involvedObject.kind=PersistentVolumeClaim,involvedObject.name={self._claim}")

    async def _hear_for_a_while(self, which: str) -> BackendError | None:
        query = {"fieldSelector": which}
        try:
            async with aclosing(self._cluster.changes("events", query, _EVENTS_SECONDS)) as changes:
                async for change in changes:
                    if change["type"] in {"ADDED", "MODIFIED"} and (hopeless := self._take(change["object"])):
                        return hopeless
        except BackendError as error:  # no answer, or an account that may not read them
            log.debug("No events of %s: %s %s", self._spec.ref.name, error, error.detail)
        return None

    def _take(self, event: Mapping[str, Any]) -> BackendError | None:
        """Tell what an event says; the error where it says that there is no hope."""
        reason, message = str(event.get("reason", "")), str(event.get("message", ""))
        # A kubelet whose first try came to nothing does all of it again, and tells it again.
        if (told := _TOLD.get(reason)) and told.percent > self._told:
            self._told = told.percent
            self._report(told)
        match reason:
            case "TriggeredScaleUp" | "Nominated":
                self._scaling = True
            case "Pulling":
                self._pulling_since = self._pulling_since or time.monotonic()
            case "Pulled":
                self._end_pull()
            case "FailedAttachVolume":  # a volume may be long in leaving another node
                self._said = diagnosed(message, MOUNTING, self._spec.container.image)
            case _ if not any(words in message for words in _PASSING):
                return self._hopeless(reason, message, event)
        return None

    def _hopeless(self, reason: str, message: str, event: Mapping[str, Any]) -> BackendError | None:
        match reason:
            case "NotTriggerScaleUp" if self._autoscaler_timeout and self._homeless_since:
                return EngineRefused(self._said, detail=message)
            case "ProvisioningFailed":
                return EngineRefused(self._said, detail=message)
            case _ if reason in _MOUNT_TROUBLES:
                self._said = diagnosed(message, MOUNTING, self._spec.container.image)
                return HomeRefused(self._said, detail=message) if self._has_failed_long(event) else None
            case _ if reason in _SANDBOX_TROUBLES:
                self._said = diagnosed(message, SANDBOX, self._spec.container.image)
                return EngineRefused(self._said, detail=message) if self._has_failed_long(event) else None
        return None

    def _end_pull(self) -> None:
        if self._pulling_since:
            self._deadline = self._deadline.later(time.monotonic() - self._pulling_since)
            self._pulling_since = 0.0

    def _has_failed_long(self, event: Mapping[str, Any]) -> bool:
        self._failed_since = self._failed_since or time.monotonic()
        return time.monotonic() - self._failed_since >= _PATIENCE or int(event.get("count") or 1) >= _TRIED


def ended_by(spec: Server, seen: ObservedPod) -> BackendError:
    """The error for a pod that ended before it answered."""
    if seen.waiting.reason in _CREATING:
        return hopeless(spec, seen.waiting)
    return ended(spec, seen.state)


def hopeless(spec: Server, waiting: Waiting) -> BackendError:
    """The error for a container that cannot be made or run."""
    if "run as root" in waiting.message or "runAsNonRoot" in waiting.message:
        return ImageUnfit(
            f'The image "{spec.container.image}" runs as root. Set USER in it to a plain user.', detail=waiting.message
        )
    told = (
        diagnosed(waiting.message, CREATING, spec.container.image)
        or f"The server cannot be started. {_from_cluster(waiting.message)}"
    )
    return EngineRefused(told, detail=f"{waiting.reason}: {waiting.message}")


def _from_cluster(message: str) -> str:
    words = clipped(message, _LONGEST_MESSAGE)
    return f'The cluster says: "{words}".' if words else ""
