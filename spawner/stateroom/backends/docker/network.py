"""The networks of a hub's servers on Docker, and the address at which they reach their hub.

A hub on the engine's machine listens at the gateway of the servers' network. A
hub in a container on that engine joins the network and listens there; its
servers know it by its name, since a container gets a new address when it is
made anew.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound

from stateroom.backends.docker import engine
from stateroom.backends.docker.packet_filter import Gap, missing_isolation
from stateroom.backends.docker.packet_rules import Network, Servers, network_from_inspect
from stateroom.backends.docker.payload import servers_network
from stateroom.catalog.catalog import Catalog
from stateroom.common.errors import EngineRefused
from stateroom.common.labels import HUB

_MOUNTS = Path("/proc/self/mountinfo")
# A container's /etc/hostname is a file of the engine's, in a folder named for the container.
_OWN_HOSTNAME = re.compile(r" \S*/([0-9a-f]{64})/\S* /etc/hostname ")


@dataclass(frozen=True, slots=True)
class HubPlace:
    """Where a hub is, seen from its servers."""

    servers: Servers
    name: str  # of the hub's container, "" where it is in none
    images: tuple[str, ...]  # what a container can be made of, the best first

    @property
    def address(self) -> str:
        """Where the hub listens."""
        joined = [network.hub_container for network in self.servers.networks]
        if self.servers.address or len(joined) == 1:
            return self.servers.address or joined[0]
        return "0.0.0.0"  # noqa: S104 - the container's own, on all of its networks


def images_of(catalog: Catalog) -> tuple[str, ...]:
    """The catalog's images, the one that is most likely there first."""
    return tuple(dict.fromkeys([catalog.default_image.image, *(image.image for image in catalog.images)]))


def hub_place(client: docker.APIClient, catalog: Catalog, hub_id: str, port: int, first: str = "") -> HubPlace:
    """The place of a hub that runs where this process does and listens at `port`.

    Where `first` is given, it listens on that network, else on the one of the catalog.
    Makes the servers' networks if they are not there, and joins them. Blocks. Raises BackendError.
    """
    names = _networks(catalog, hub_id, first)
    with engine.translated():
        own = _own_container(client)
        for name in names:
            engine.ensure_network(client, name, {HUB: hub_id})
            if own is not None:
                _join(client, own, name)
        servers = _servers(client, names, own, hub_id, port)
    if own is None:
        return HubPlace(servers, "", images_of(catalog))
    return HubPlace(servers, _container_name(own), (own["Image"], *images_of(catalog)))


def isolation_gaps(client: docker.APIClient, catalog: Catalog, hub_id: str, port: int, first: str = "") -> list[Gap]:
    """What the hub's servers reach now and should not; `first` is as for `hub_place`.

    Makes no network. Blocks. Raises BackendError.
    """
    with engine.translated():
        there = {found["Name"] for found in client.networks()}
        names = [name for name in _networks(catalog, hub_id, first) if name in there]
        servers = _servers(client, names, _own_container(client), hub_id, port)
    return missing_isolation(client, servers, images_of(catalog)) if names else []


def _networks(catalog: Catalog, hub_id: str, first: str) -> list[str]:
    """All networks that servers may be on, the one at which the hub listens first."""
    identities = [group.identity for group in catalog.groups.values()]
    identities += [user.identity for user in catalog.users.values()]
    named = [identity.network for identity in identities if identity.network]
    return list(dict.fromkeys([*([first] if first else []), servers_network(catalog, hub_id), *named]))


def _servers(
    client: docker.APIClient, names: Sequence[str], own: Mapping[str, Any] | None, hub_id: str, port: int
) -> Servers:
    networks = tuple(_network(client, name, own["Id"] if own else "") for name in names)
    return Servers(hub_id, networks, networks[0].gateway if networks and own is None else "", port)


def _network(client: docker.APIClient, name: str, container: str) -> Network:
    network = network_from_inspect(client.inspect_network(name), container)
    if network is None:
        raise EngineRefused(f'The network "{name}" is no bridge. Name a bridge network, or remove it to have one made.')
    return network


def _join(client: docker.APIClient, container: Mapping[str, Any], network: str) -> None:
    """Have the hub's container on the network, where its servers find it by its name."""
    name = _container_name(container)
    if network not in container["NetworkSettings"]["Networks"]:
        client.connect_container_to_network(container["Id"], network, aliases=[name])
    try:
        socket.gethostbyname(name)
    except OSError:
        raise EngineRefused(
            f'Servers on the network "{network}" would not find the hub: its container was given no name. '
            "Start it with a name of its own (docker run --name)."
        ) from None


def _container_name(container: Mapping[str, Any]) -> str:
    return str(container["Name"]).removeprefix("/")


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
