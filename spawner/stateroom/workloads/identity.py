"""Who a container is for: decided here, for every engine."""

from __future__ import annotations

from collections.abc import Mapping

from stateroom.common.labels import HUB, KIND, SERVER, USER
from stateroom.workloads.names import ServerRef


def identify(name: str, labels: Mapping[str, str] | None, hub: str) -> ServerRef | None:
    """Return the server of `hub` that a container or pod is, None if it is none.

    A copy that someone made of a server has the server's labels, but a name of
    its own, so name and labels must agree.
    """
    labels = labels or {}
    if labels.get(KIND) != "server" or labels.get(HUB) != hub or USER not in labels or SERVER not in labels:
        return None
    ref = ServerRef(hub, labels[USER], labels[SERVER])
    return ref if ref.name == name else None


def look_labels(hub: str) -> Mapping[str, str]:
    """What marks a container that never runs, and is there only while the hub looks into an image."""
    return {KIND: "look", HUB: hub}
