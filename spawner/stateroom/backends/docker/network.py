"""The networks of a hub's servers on Docker, and the address at which they reach their hub.

A hub on the engine's machine listens at the gateway of the servers' network. A
hub in a container on that engine joins the network and listens there; its
servers know it by its name, since a container gets a new address when it is
made anew.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound

from stateroom.backends.docker import engine
from stateroom.backends.docker.isolation import Network, Servers, network_from_inspect
from stateroom.catalog import Catalog
from stateroom.errors import EngineRefused
from stateroom.names import HUB, network_name

_MOUNTS = Path("/proc/self/mountinfo")
# A container's /etc/hostname is a file of the engine's, in a folder named for the container.
_OWN_HOSTNAME = re.compile(r" \S*/([0-9a-f]{64})/\S* /etc/hostname ")


@dataclass(frozen=True, slots=True)
class HubPlace:
    """Where a hub listens, the name by which servers know it ("" where that is the address), and its servers' rules."""

    address: str
    name: str
    servers: Servers
    images: tuple[str, ...]  # what a container can be made of, the best first


def servers_network(catalog: Catalog, hub_id: str) -> str:
    """The Docker network of the hub's servers."""
    return catalog.docker.network or network_name(hub_id)


def images_of(catalog: Catalog) -> tuple[str, ...]:
    """The catalog's images, the one that is most likely there first."""
    return tuple(dict.fromkeys([catalog.default_image.image, *(image.image for image in catalog.images)]))


def hub_place(client: docker.APIClient, catalog: Catalog, hub_id: str, port: int) -> HubPlace:
    """Where a hub that runs in this process's surroundings listens at `port`.

    Makes the servers' network if it is not there, and joins it. Blocks. Raises BackendError.
    """
    name, images = servers_network(catalog, hub_id), images_of(catalog)
    with engine.translated():
        gateway = engine.ensure_network(client, name, {HUB: hub_id})
        own = _own_container(client)
        if own is None:
            return HubPlace(gateway, "", Servers(hub_id, (_network(client, name),), gateway, port), images)
        hub_name = _join(client, own, name)
        network = _network(client, name, own["Id"])
        return HubPlace(network.hub_container, hub_name, Servers(hub_id, (network,), "", port), (own["Image"], *images))


def _join(client: docker.APIClient, container: Mapping[str, Any], network: str) -> str:
    """Have the hub's container on the network; the name that it has there."""
    name: str = container["Name"].removeprefix("/")
    if network not in container["NetworkSettings"]["Networks"]:
        client.connect_container_to_network(container["Id"], network, aliases=[name])
    try:
        socket.gethostbyname(name)
    except OSError:
        raise EngineRefused(
            f'Servers on the network "{network}" would not find the hub: its container was given no name. '
            "Start it with a name of its own (docker run --name)."
        ) from None
    return name


def _network(client: docker.APIClient, name: str, container: str = "") -> Network:
    network = network_from_inspect(client.inspect_network(name), container)
    if network is None:
        raise EngineRefused(f'The network "{name}" is no bridge. Name a bridge network, or remove it to have one made.')
    return network


def _own_container(client: docker.APIClient) -> dict[str, Any] | None:
    """The container on this engine that this process is in, with a network of its own; None if there is none."""
    found = _OWN_HOSTNAME.search(_MOUNTS.read_text()) if _MOUNTS.exists() else None
    if found is None:
        return None
    try:
        container: dict[str, Any] = client.inspect_container(found[1])
    except NotFound:
        return None
    return container if container["HostConfig"]["NetworkMode"] != "host" else None
