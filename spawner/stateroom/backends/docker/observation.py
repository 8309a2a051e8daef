"""What the engine says of a container, as what is known of a server: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from stateroom.backends.base import Life, ServerState
from stateroom.names import SPEC, TLS
from stateroom.quantity import MILLI, Machine
from stateroom.spec import PORT

ENGINE_RESTARTED = "The engine was restarted, which ends all servers."
HUB_WAS_AWAY = "That was while the hub was away, as when the machine or the engine is restarted."

_KILLED = 137  # the exit code of what was ended by SIGKILL, the kernel's way for want of memory


@dataclass(frozen=True, slots=True)
class Seen:
    """One container of the hub as it was when somebody looked."""

    name: str
    labels: Mapping[str, str]
    image: str
    state: ServerState


def seen_from_inspect(found: Mapping[str, Any], network: str) -> Seen:
    """From the engine's full description of a container."""
    state, labels = found["State"], found["Config"]["Labels"] or {}
    # Docker keeps in mind any process of the container's that was killed for memory, a notebook's kernel too.
    starved = bool(state.get("OOMKilled"))
    if state["Running"]:
        known = ServerState(Life.RUNNING, _address(found, labels, network), out_of_memory=starved)
    elif state["Status"] == "created":
        known = ServerState(Life.STARTING)
    else:
        starved = starved and state["ExitCode"] == _KILLED
        reason = "It ran out of memory." if starved else ""
        known = ServerState(Life.ENDED, exit_code=state["ExitCode"], reason=reason, out_of_memory=starved)
    return _seen(found["Name"], labels, found["Config"]["Image"], known)


def seen_from_list(found: Mapping[str, Any], network: str) -> Seen | None:
    """From a line of the engine's list; None for one that has ended, of which the list does not tell why."""
    labels = found["Labels"] or {}
    if found["State"] in {"running", "paused"}:
        known = ServerState(Life.RUNNING, _address(found, labels, network))
    elif found["State"] == "created":
        known = ServerState(Life.STARTING)
    else:
        return None
    return _seen(found["Names"][0], labels, found["Image"], known)


def without_the_engine(before: Mapping[str, Seen], after: Mapping[str, Seen]) -> dict[str, Seen]:
    """`after`, in which those who run no more say why: the engine was away, and all of them ended meanwhile.

    An engine that restarts without live-restore ends all of its containers,
    and tells of none.
    """
    ran = [name for name, seen in before.items() if seen.state.life is Life.RUNNING]
    ended = {name for name in ran if name in after and after[name].state.life is Life.ENDED}
    if len(ended) < len(ran):
        return dict(after)
    return {name: _because(seen, ENGINE_RESTARTED) if name in ended else seen for name, seen in after.items()}


def without_the_hub(seen: Mapping[str, Seen]) -> dict[str, Seen]:
    """The first look of a hub: those who have ended did so before it."""
    return {name: _because(one, HUB_WAS_AWAY) if one.state.life is Life.ENDED else one for name, one in seen.items()}


def _because(seen: Seen, reason: str) -> Seen:
    return seen if seen.state.reason else replace(seen, state=replace(seen.state, reason=reason))


def _seen(name: str, labels: Mapping[str, str], image: str, state: ServerState) -> Seen:
    return Seen(name.removeprefix("/"), labels, image, replace(state, spec_hash=labels.get(SPEC, "")))


def machine_from_info(info: Mapping[str, Any]) -> Machine:
    """From the engine's description of itself."""
    return Machine(int(info.get("NCPU") or 0) * MILLI, int(info.get("MemTotal") or 0))


def _address(found: Mapping[str, Any], labels: Mapping[str, str], network: str) -> str:
    networks = found["NetworkSettings"]["Networks"]
    # A group's servers may have a network of their own.
    joined = networks.get(network) or networks.get(found.get("HostConfig", {}).get("NetworkMode")) or {}
    scheme = "https" if TLS in labels else "http"
    return f"{scheme}://{joined['IPAddress']}:{PORT}" if joined.get("IPAddress") else ""
