"""What the engine says of a container, as what is known of a server: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from stateroom.backends.base import Life, ServerState
from stateroom.backends.docker.payload import CPU_PERIOD
from stateroom.backends.picture import Observed
from stateroom.common.labels import SPEC, TLS
from stateroom.common.quantity import MILLI, Machine, milli_from
from stateroom.workloads.identity import identify
from stateroom.workloads.resources import Reported, actual_resources, resources_from_labels
from stateroom.workloads.server import PORT

ENGINE_RESTARTED = "The engine was restarted, which ends all servers."
HUB_WAS_AWAY = "That was while the hub was away, as when the machine or the engine is restarted."

_NANO = 1_000_000_000  # the parts of a core that NanoCpus counts
_KILLED = 137  # the exit code of what was ended by SIGKILL, the kernel's way for want of memory


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedContainer(Observed):
    """One container with the hub's label."""

    inspected: bool = True  # False after a list, which does not have the resources


def container_from_inspect(found: Mapping[str, Any], hub: str) -> ObservedContainer:
    """From the engine's full description of a container, as the hub sees it."""
    state, labels = found["State"], found["Config"]["Labels"] or {}
    # Docker keeps in mind any process of the container's that was killed for memory, a notebook's kernel too.
    starved = bool(state.get("OOMKilled"))
    if state["Running"]:
        known = ServerState(Life.RUNNING, _address(found, labels), out_of_memory=starved)
    elif state["Status"] == "created":
        known = ServerState(Life.STARTING)
    else:
        starved = starved and state["ExitCode"] == _KILLED
        reason = "It ran out of memory." if starved else ""
        known = ServerState(Life.ENDED, exit_code=state["ExitCode"], reason=reason, out_of_memory=starved)
    name = found["Name"].removeprefix("/")
    return ObservedContainer(
        name=name,
        ref=identify(name, labels, hub),
        image=found["Config"]["Image"],
        resources=actual_resources(_reported(found.get("HostConfig") or {}, labels), labels),
        state=replace(known, spec_hash=labels.get(SPEC, "")),
    )


def container_from_list(found: Mapping[str, Any], hub: str) -> ObservedContainer | None:
    """From a line of the engine's list; None for one that has ended, of which the list does not tell why."""
    labels = found["Labels"] or {}
    if found["State"] in {"running", "paused"}:
        known = ServerState(Life.RUNNING, _address(found, labels))
    elif found["State"] == "created":
        known = ServerState(Life.STARTING)
    else:
        return None
    name = found["Names"][0].removeprefix("/")
    return ObservedContainer(
        name=name,
        ref=identify(name, labels, hub),
        image=found["Image"],
        resources=resources_from_labels(labels),
        state=replace(known, spec_hash=labels.get(SPEC, "")),
        inspected=False,
    )


def with_known_resources(listed: ObservedContainer, known: ObservedContainer | None) -> ObservedContainer:
    """`listed` with the resources that were known of the same container, which a list does not have."""
    if known is None or listed.inspected or known.state.spec_hash != listed.state.spec_hash:
        return listed
    return replace(listed, resources=known.resources)


def without_the_engine(
    before: Mapping[str, ObservedContainer], after: Mapping[str, ObservedContainer]
) -> dict[str, ObservedContainer]:
    """`after`, in which those who run no more say why: the engine was away, and all of them ended meanwhile.

    An engine that restarts without live-restore ends all of its containers,
    and tells of none.
    """
    ran = [name for name, seen in before.items() if seen.state.life is Life.RUNNING]
    ended = {name for name in ran if name in after and after[name].state.life is Life.ENDED}
    if len(ended) < len(ran):
        return dict(after)
    return {name: _because(seen, ENGINE_RESTARTED) if name in ended else seen for name, seen in after.items()}


def without_the_hub(seen: Mapping[str, ObservedContainer]) -> dict[str, ObservedContainer]:
    """The first look of a hub: those who have ended did so before it."""
    return {name: _because(one, HUB_WAS_AWAY) if one.state.life is Life.ENDED else one for name, one in seen.items()}


def _because(seen: ObservedContainer, reason: str) -> ObservedContainer:
    return seen if seen.state.reason else replace(seen, state=replace(seen.state, reason=reason))


def _reported(host: Mapping[str, Any], labels: Mapping[str, str]) -> Reported:
    """What the engine enforces; it writes 0 for what has no limit, and keeps a reservation when the limit changes."""
    reservation = int(host.get("MemoryReservation") or 0)
    is_own = reservation not in (0, resources_from_labels(labels).memory_guarantee)
    return Reported(
        cpu=_cpu(host),
        memory=int(host.get("Memory") or 0) or None,
        gpu=_gpu(host.get("DeviceRequests") or ()),
        memory_guarantee=reservation if is_own else None,
    )


def _cpu(host: Mapping[str, Any]) -> int | None:
    if nano := int(host.get("NanoCpus") or 0):
        return milli_from(nano, _NANO)
    quota = int(host.get("CpuQuota") or 0)
    return milli_from(quota, int(host.get("CpuPeriod") or CPU_PERIOD)) if quota > 0 else None


def _gpu(requests: Iterable[Mapping[str, Any]]) -> int | None:
    """How many GPUs were asked for by number or by id; None where all of them were, or none that the engine tells."""
    counts = [
        len(request.get("DeviceIDs") or ()) or int(request.get("Count") or 0)
        for request in requests
        if any("gpu" in together for together in request.get("Capabilities") or ())
    ]
    return sum(counts) if counts and min(counts) >= 0 else None


def machine_from_info(info: Mapping[str, Any]) -> Machine:
    """From the engine's description of itself."""
    return Machine(int(info.get("NCPU") or 0) * MILLI, int(info.get("MemTotal") or 0))


def _address(found: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """Its address on the network that it was made for: whoever joins it to another leaves that as it is."""
    address = _own_network(found).get("IPAddress")
    scheme = "https" if TLS in labels else "http"
    return f"{scheme}://{address}:{PORT}" if address else ""


def _own_network(found: Mapping[str, Any]) -> Mapping[str, Any]:
    networks: Mapping[str, Mapping[str, Any]] = found["NetworkSettings"]["Networks"] or {}
    mode = found.get("HostConfig", {}).get("NetworkMode")
    for name, joined in networks.items():
        if mode in (name, joined.get("NetworkID")):
            return joined
    # Podman calls each of its networks "bridge" here.
    return next(iter(networks.values())) if len(networks) == 1 else {}
