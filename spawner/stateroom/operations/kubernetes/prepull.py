"""Waits until a DaemonSet has brought its images to all of its nodes.

The account needs to get DaemonSets; where it may list pods too, what keeps a node
from an image is told in the kubelet's words.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stateroom.backends.diagnosis import NOT_THERE, PULL, trouble_of
from stateroom.backends.kubernetes.api import Cluster
from stateroom.common.errors import BackendUnavailable, EngineRefused, SetupError
from stateroom.common.quantity import format_duration
from stateroom.common.text import clipped, counted
from stateroom.operations.kubernetes.client import connected
from stateroom.operations.kubernetes.facts import Json

_PAUSE = 2.0
_NOT_THERE_SECONDS = 60.0  # after which an image that a registry does not have will not come
_MOST_NODES = 12  # that are listed
_LONGEST = 200  # letters of a message of the kubelet, which gives the cause at its end
_PULLING = {"", "ContainerCreating", "PodInitializing"}


@dataclass(frozen=True, slots=True)
class Standing:
    """The progress of a DaemonSet."""

    wanted: int  # nodes that it is for
    ready: int  # nodes that have all its images, those of its latest version
    seen: bool  # whether the cluster has looked at its latest version at all

    @property
    def done(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.seen and self.ready >= self.wanted

    @property
    def description(self) -> str:
        """The same as one line of text."""
        if not self.seen:
            return "the cluster has yet to look at the DaemonSet"
        if not self.wanted:
            return "there is no node that needs images"
        has = "has" if 1 in (self.ready, self.wanted) else "have"
        return f"{self.ready} of {counted(self.wanted, 'node')} {has} all images"


@dataclass(frozen=True, slots=True)
class Lack:
    """What a node still lacks. Reason and message are the kubelet's or the scheduler's, "" if there is no trouble."""

    node: str
    image: str
    reason: str = ""
    message: str = ""

    @property
    def description(self) -> str:
        """The same as one line of text."""
        reported = f'{self.reason}: "{clipped(self.message, _LONGEST, keep_end=True)}"' if self.message else self.reason
        return f"{self.node}: {self.image}: {reported or 'is being fetched'}"


def wait_for_images(daemonset: str, namespace: str, seconds: float, report_line: Callable[[str], None]) -> None:
    """Wait until a DaemonSet has brought its images to all nodes. `report_line` receives a line for each change.

    Raises SetupError after `seconds`, and where an image cannot come.
    """
    with connected(namespace) as client:
        client.ask(Prepull(client.cluster, daemonset, report_line, client.kubectl).wait(seconds))


class Prepull:
    """The wait for one DaemonSet."""

    def __init__(
        self, cluster: Cluster, name: str, report_line: Callable[[str], None], kubectl: str = "kubectl"
    ) -> None:
        self._cluster = cluster
        self._name = name
        self._report_line = report_line
        self._kubectl = kubectl
        self._last_line = ""
        self._standing = Standing(0, 0, seen=False)
        self._lacks: Sequence[Lack] | None = ()  # None where the account may not see pods
        self._not_there: Mapping[tuple[str, str], float] = {}  # node and image, and since when
        self._silence = ""  # why the cluster did not answer just now

    async def wait(self, seconds: float) -> None:
        """Return once all nodes have all images. Raises SetupError after that time, and where there is no hope."""
        until = time.monotonic() + seconds
        while not await self._is_done():
            self._require_hope()
            if time.monotonic() >= until:
                raise SetupError("\n".join(self._why_not(seconds)))
            await asyncio.sleep(min(_PAUSE, max(0.0, until - time.monotonic())))

    async def _is_done(self) -> bool:
        """Query the cluster, and report what has changed. A cluster that does not answer now may answer again."""
        try:
            found = await self._daemonset()
            self._standing = standing_of(found)
            self._report(self._standing.description)
            self._lacks = None if self._standing.done else await self._lacks_of(found)
            self._silence = ""
        except BackendUnavailable as error:
            self._silence = f"{error.message.partition('. ')[0]}."
            self._report(self._silence)
            return False
        return self._standing.done

    def _report(self, line: str) -> None:
        if line != self._last_line:
            self._last_line = line
            self._report_line(line)

    async def _daemonset(self) -> Json:
        namespace = self._cluster.namespace
        try:
            found = await self._cluster.at(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{self._name}")
        except EngineRefused as error:
            raise SetupError(
                f'The cluster refused: "{clipped(error.message)}". Add to the account\'s Role: apiGroups [apps], '
                "resources [daemonsets], verbs [get]."
            ) from error
        if found is None:
            raise SetupError(
                f'There is no DaemonSet "{self._name}" in the namespace {namespace}. See which there are: '
                f"{self._kubectl} --namespace {namespace} get daemonsets"
            )
        return found

    async def _lacks_of(self, daemonset: Json) -> list[Lack] | None:
        try:
            selected = _selector(daemonset)
            pods = [pod async for page in self._cluster.pages("pods", selected) for pod in page["items"]]
        except EngineRefused:
            return None
        own = daemonset["metadata"]["uid"]
        return [lack for pod in pods if _owner(pod) == own and (lack := lack_of(pod)) is not None]

    def _require_hope(self) -> None:
        """Raises SetupError if an image's name is invalid, or if its registry has lacked the image for too long."""
        now = time.monotonic()
        lacks = [] if self._silence else self._lacks or []
        if not self._silence:
            self._not_there = {key: self._not_there.get(key, now) for key in map(self._missing, lacks) if key}
        for lack in lacks:
            if lack.reason == "InvalidImageName":
                raise SetupError(f'"{lack.image}" is no name of an image. Correct it in the catalog.')
            if now - self._not_there.get((lack.node, lack.image), now) > _NOT_THERE_SECONDS:
                raise SetupError(
                    f'The registry has no image "{lack.image}", says the node {lack.node}. Correct its name in the '
                    "catalog, or push it to that registry."
                )

    def _missing(self, lack: Lack) -> tuple[str, str] | None:
        """Return node and image if the registry lacks the image. A kubelet that backs off may not repeat the cause."""
        trouble, key = trouble_of(lack.message, PULL), (lack.node, lack.image)
        known = trouble is None and lack.reason == "ImagePullBackOff" and key in self._not_there
        return key if known or (trouble is NOT_THERE and lack.reason in ("ErrImagePull", "ImagePullBackOff")) else None

    def _why_not(self, seconds: float) -> Iterator[str]:
        namespace = self._cluster.namespace
        of_it = f"{self._kubectl} --namespace {namespace} describe daemonset {self._name}"
        yield f"After {format_duration(seconds)}: {self._silence or self._standing.description + '.'}"
        if self._lacks is None:
            yield f"What the others wait for, the account may not see: {of_it}"
            return
        for lack in self._lacks[:_MOST_NODES]:
            yield f"  {lack.description}"
        if (more := len(self._lacks) - _MOST_NODES) > 0:
            yield f"  and {counted(more, 'more node')}"
        if (without := self._standing.wanted - self._standing.ready - len(self._lacks)) > 0:
            yield f"  {counted(without, 'node')} without a pod of it. See why: {of_it}"


def standing_of(daemonset: Json) -> Standing:
    """Read the progress from the cluster's description of a DaemonSet."""
    status = daemonset.get("status") or {}
    ready, newest = int(status.get("numberReady") or 0), int(status.get("updatedNumberScheduled") or 0)
    return Standing(
        wanted=int(status.get("desiredNumberScheduled") or 0),
        ready=min(ready, newest),  # a pod of the version before has the images of that
        seen=int(status.get("observedGeneration") or 0) >= int(daemonset["metadata"].get("generation") or 0),
    )


def lack_of(pod: Json) -> Lack | None:
    """Return what a DaemonSet's pod still lacks, or None if it is ready."""
    status = pod.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    if (conditions.get("Ready") or {}).get("status") == "True":
        return None
    node = _node(pod)
    placed = conditions.get("PodScheduled") or {}
    if placed.get("status") == "False":
        return Lack(node, "its pod", str(placed.get("reason", "")), str(placed.get("message", "")))
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting")
        if waiting is not None and waiting.get("reason", "") not in _PULLING:
            return Lack(node, str(container["image"]), str(waiting["reason"]), str(waiting.get("message", "")))
    image = _next_image(pod)
    return Lack(node, image) if image else Lack(node, "its pod", "is not ready yet")


def _next_image(pod: Json) -> str:
    """Return the image of the first container that has not run, since they start one by one; "" if all have run."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    begun = {
        container["name"]
        for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
        if "waiting" not in (container.get("state") or {"waiting": {}})
    }
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    return next((str(one["image"]) for one in containers if one["name"] not in begun), "")


def _node(pod: Json) -> str:
    """Return the node that the pod is on or is meant for."""
    spec = pod.get("spec") or {}
    if name := spec.get("nodeName"):
        return str(name)
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in affinity.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return "a node"


def _selector(daemonset: Json) -> str:
    labels = (daemonset["spec"].get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _owner(pod: Json) -> str:
    """Return the UID of the pod's owner."""
    return next((str(owner["uid"]) for owner in pod["metadata"].get("ownerReferences") or ()), "")
