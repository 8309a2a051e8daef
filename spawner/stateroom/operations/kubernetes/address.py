"""Finds the address where a hub on this machine listens for pods: the source address of packets to a node.

The kernel tells it for a connected UDP socket, by which no packet is sent. Which
nodes there are, an account of few rights is not told; a pod in the servers'
namespace tells of its own, and else the API's address has to do.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from stateroom.common.errors import EngineRefused, SetupError
from stateroom.operations.kubernetes.client import Client
from stateroom.operations.kubernetes.facts import Json, nodes

_ANY_PORT = 9  # of the service "discard"; nothing is sent to it


def hub_address(client: Client, wanted: str, known: str) -> str:
    """Return `wanted` if set, else the address of the last run, which running servers know, else one that is found.

    Raises SetupError.
    """
    if wanted:
        if not is_ours(wanted):
            raise SetupError(f"{wanted} is no address of this machine. Name one that pods reach with --hub-ip.")
        return wanted
    if known and is_ours(known):
        return known
    for target in _targets(client):
        if found := address_towards(target):
            return found
    raise SetupError(
        "Which address of this machine pods reach cannot be told from here. Name it with --hub-ip; `ip address` "
        "shows all that there are."
    )


def address_towards(target: str) -> str:
    """Return this machine's source address for packets to `target`, or "" if only the loopback leads there."""
    try:
        [(family, _, _, _, where), *_] = socket.getaddrinfo(target, _ANY_PORT, type=socket.SOCK_DGRAM)
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(where)
            own = str(probe.getsockname()[0])
    except (OSError, ValueError):
        return ""
    return "" if ip_address(own.partition("%")[0]).is_loopback else own


def is_ours(address: str) -> bool:
    """Return whether a server could listen there."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _targets(client: Client) -> Iterator[str]:
    try:
        yield from _internal_addresses(nodes(client))
    except EngineRefused:
        pods = client.ask(client.cluster.at(f"/api/v1/namespaces/{client.namespace}/pods?limit=100")) or {}
        yield from dict.fromkeys(
            pod["status"]["hostIP"] for pod in pods.get("items") or () if "hostIP" in (pod.get("status") or {})
        )
    if host := urlsplit(client.cluster.server).hostname:
        yield host


def _internal_addresses(found: list[Json]) -> Iterator[str]:
    for node in found:
        for address in (node.get("status") or {}).get("addresses") or ():
            if address.get("type") == "InternalIP":
                yield str(address["address"])
