"""What the cluster says of a pod, as what is known of a server: pure, on plain JSON.

The client's typed models cost a millisecond a pod, which a hub with thousands of
servers has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stateroom.backends.base import Life, ServerState
from stateroom.backends.kubernetes.manifests import ADDRESS, CONTAINER
from stateroom.backends.picture import Observed
from stateroom.common.labels import SPEC, TLS
from stateroom.common.quantity import MILLI, parse_kubernetes_quantity
from stateroom.workloads.identity import identify
from stateroom.workloads.resources import Reported, actual_resources
from stateroom.workloads.server import PORT

OUT_OF_MEMORY = "OOMKilled"  # the kubelet's word
UNSCHEDULABLE = "Unschedulable"
NOMINATED = "Nominated"  # our word: no node has room, but one is making it by ending what is less urgent

_FINISHED = {"Failed", "Succeeded"}
_KILLED = 137


@dataclass(frozen=True, slots=True)
class Waiting:
    """What keeps a pod from running, in the cluster's words: a reason such as `ErrImagePull`, and a message."""

    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPod(Observed):
    """One pod of the hub, at a version of the cluster's memory."""

    uid: str
    version: int
    waiting: Waiting = Waiting()
    finished: bool = False  # all that ran in it has ended, and the node has told so


def pod_from_json(pod: Mapping[str, Any], hub: str) -> ObservedPod:
    """From the cluster's full description of a pod, as the hub sees it."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    annotations = metadata.get("annotations") or {}
    wanted, notebook = _named(spec.get("containers") or ()), _named(status.get("containerStatuses") or ())
    return ObservedPod(
        name=metadata["name"],
        uid=metadata["uid"],
        version=version_of(metadata),
        ref=identify(metadata["name"], annotations, hub),
        image=wanted.get("image", ""),
        resources=actual_resources(
            _reported(wanted.get("resources") or {}, notebook.get("resources") or {}), annotations
        ),
        state=_state(metadata, status, notebook, annotations),
        waiting=_waiting(status, notebook),
        finished=status.get("phase") in _FINISHED,
    )


def version_of(metadata: Mapping[str, Any]) -> int:
    """The version of an object or a list. Kubernetes lets them be compared as numbers (KEP-5504)."""
    text = metadata.get("resourceVersion") or ""
    return int(text) if text.isdecimal() else 0


def _reported(wanted: Mapping[str, Any], actual: Mapping[str, Any]) -> Reported:
    """What a container has: of one that runs, what its node enforces, since a resize may be refused or take a while.

    GPUs come under whatever name the site gave them, and cannot be resized, so they are left to the annotations.
    """
    limits, requests = ({**(wanted.get(kind) or {}), **(actual.get(kind) or {})} for kind in ("limits", "requests"))
    return Reported(
        cpu=_whole(limits.get("cpu"), MILLI),
        memory=_whole(limits.get("memory")),
        memory_guarantee=_whole(requests.get("memory")),
    )


def _whole(text: object, scale: int = 1) -> int | None:
    amount = parse_kubernetes_quantity(str(text))
    return None if amount is None else int(amount * scale)


def _state(
    metadata: Mapping[str, Any],
    status: Mapping[str, Any],
    notebook: Mapping[str, Any],
    annotations: Mapping[str, str],
) -> ServerState:
    spec_hash = annotations.get(SPEC, "")
    ended = (notebook.get("state") or {}).get("terminated")
    if ended or status.get("phase") in _FINISHED:
        return _ended(status, ended or {}, spec_hash)
    if (notebook.get("state") or {}).get("running") and (address := status.get("podIP")):
        if "deletionTimestamp" in metadata and (reason := _disrupted(status)):
            # It may go on for its time of grace, or for ever where its node is lost.
            return ServerState(Life.ENDED, exit_code=_KILLED, reason=reason, spec_hash=spec_hash)
        return ServerState(Life.RUNNING, _url(annotations.get(ADDRESS) or address, annotations), spec_hash=spec_hash)
    return ServerState(Life.STARTING, spec_hash=spec_hash)


def _ended(status: Mapping[str, Any], ended: Mapping[str, Any], spec_hash: str) -> ServerState:
    starved = ended.get("reason") == OUT_OF_MEMORY
    reason = "It ran out of memory." if starved else _disrupted(status)
    if not ended and not reason and (setup := _failed_setup(status)):
        reason = f'It was the container "{setup["name"]}", which the catalog adds.'
        ended = setup["state"]["terminated"]
    code = ended.get("exitCode", 0 if status.get("phase") == "Succeeded" else _KILLED)
    return ServerState(Life.ENDED, exit_code=int(code), reason=reason, out_of_memory=starved, spec_hash=spec_hash)


def _failed_setup(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The init container, if a site has one, whose failure kept the server's own from starting."""
    containers: Iterable[Mapping[str, Any]] = status.get("initContainerStatuses") or ()
    return next((one for one in containers if ((one.get("state") or {}).get("terminated") or {}).get("exitCode")), {})


# Why the cluster itself ends a pod: the reason of its condition DisruptionTarget, or of the pod.
_DISRUPTIONS = {
    "PreemptionByScheduler": "The cluster gave its place to something of higher priority.",
    "DeletionByTaintManager": "The node that it ran on is out of order, or was taken out of use.",
    "EvictionByEvictionAPI": "The node that it ran on was emptied, as for maintenance.",
    "DeletionByPodGC": "The node that it ran on is gone.",
    "NodeLost": "The node that it ran on is gone.",
    "NodeShutdown": "The node that it ran on was shut down.",
    "Terminated": "The node that it ran on was shut down.",
    "Preempting": "The cluster gave its place to something of higher priority.",
    "DeadlineExceeded": "Its time in the cluster was over.",
}
_EVICTED = "The node that it ran on had too little memory or disk left, and ended it."


def _disrupted(status: Mapping[str, Any]) -> str:
    if status.get("reason") == "Evicted":
        return _EVICTED
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            if condition.get("reason") == "TerminationByKubelet":
                return _DISRUPTIONS.get(status.get("reason", ""), _EVICTED)
            return _DISRUPTIONS.get(condition.get("reason", ""), "The cluster ended it.")
    return _DISRUPTIONS.get(status.get("reason", ""), "")


def _waiting(status: Mapping[str, Any], notebook: Mapping[str, Any]) -> Waiting:
    if ended := (notebook.get("state") or {}).get("terminated"):
        return Waiting(ended.get("reason", ""), ended.get("message", ""))
    # A container that a site adds can keep the server from starting as well.
    containers = [notebook, *(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    found = [(one.get("state") or {}).get("waiting") or {} for one in containers]
    told = next((one for one in found if one.get("reason") not in {None, "ContainerCreating", "PodInitializing"}), {})
    if told:
        return Waiting(told.get("reason", ""), told.get("message", ""))
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason = NOMINATED if status.get("nominatedNodeName") else condition.get("reason", "")
            return Waiting(reason, condition.get("message", ""))
    return Waiting()


def _named(containers: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The server's own among the pod's containers."""
    return next((one for one in containers if one.get("name") == CONTAINER), {})


def _url(address: str, annotations: Mapping[str, str]) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"{'https' if TLS in annotations else 'http'}://{host}:{PORT}"
