"""Servers for tests, by the fields in which they differ."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from stateroom.common.quantity import MiB, Resources
from stateroom.storage.homes import HomeRef
from stateroom.storage.mounts import HomeMount
from stateroom.workloads.container import Container
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import Server

_RESOURCES, _CONTAINER = ({field.name for field in fields(kind)} for kind in (Resources, Container))


def a_server(hub: str, user: str, server: str = "", **changes: Any) -> Server:
    """Return a small server of a user, with `changes` to any field of it, its container or its resources."""
    base_url = f"/user/{user}/{server}/".replace("//", "/")
    container = Container(
        image="image:1",
        resources=Resources(cpu=500, memory=128 * MiB),
        environment={"JUPYTERHUB_SERVICE_PREFIX": base_url},
        secrets={},
        mounts=(HomeMount(HomeRef(hub, user, 1), "notebooks"),),
    )
    return changed(Server(ServerRef(hub, user, server), container, base_url), **changes)


def changed(server: Server, **changes: Any) -> Server:
    """Return a server with `changes` to a field of it, its container or its resources, its home or its workspace."""
    home, workspace = changes.pop("home", server.home), changes.pop("workspace", server.workspace)
    container = replace(server.container, mounts=(HomeMount(home, workspace),))
    resources = {key: changes.pop(key) for key in list(changes) if key in _RESOURCES}
    container = replace(container, resources=replace(container.resources, **resources))
    container = replace(container, **{key: changes.pop(key) for key in list(changes) if key in _CONTAINER})
    return replace(server, container=container, **changes)
