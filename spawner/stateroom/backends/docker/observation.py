"""What the engine says of a container, as what is known of a server: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stateroom.backends.base import Life, ServerState
from stateroom.spec import PORT

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
    state = found["State"]
    if state["Running"]:
        known = ServerState(Life.RUNNING, _address(found, network))
    elif state["Status"] == "created":
        known = ServerState(Life.STARTING)
    else:
        # Docker keeps in mind any process of the container's that was killed for memory, a notebook's kernel too.
        starved = bool(state.get("OOMKilled")) and state["ExitCode"] == _KILLED
        reason = "It ran out of memory." if starved else ""
        known = ServerState(Life.ENDED, exit_code=state["ExitCode"], reason=reason, out_of_memory=starved)
    return Seen(found["Name"].removeprefix("/"), found["Config"]["Labels"] or {}, found["Config"]["Image"], known)


def seen_from_list(found: Mapping[str, Any], network: str) -> Seen | None:
    """From a line of the engine's list; None for one that has ended, of which the list does not tell why."""
    names = [name.removeprefix("/") for name in found["Names"]]
    if found["State"] in {"running", "paused"}:
        known = ServerState(Life.RUNNING, _address(found, network))
    elif found["State"] == "created":
        known = ServerState(Life.STARTING)
    else:
        return None
    return Seen(names[0], found["Labels"] or {}, found["Image"], known)


def _address(found: Mapping[str, Any], network: str) -> str:
    joined = found["NetworkSettings"]["Networks"].get(network) or {}
    return f"http://{joined['IPAddress']}:{PORT}" if joined.get("IPAddress") else ""
