"""The network of a hub's servers on Docker, and the address at which they reach their hub."""

from __future__ import annotations

from stateroom.backends.docker import engine
from stateroom.catalog import Catalog
from stateroom.names import HUB, network_name


def servers_network(catalog: Catalog, hub_id: str) -> str:
    """The Docker network of the hub's servers."""
    return catalog.docker.network or network_name(hub_id)


def servers_gateway(catalog: Catalog, hub_id: str) -> str:
    """The host's address on the servers' network, which is made if it is not there. Blocks."""
    with engine.translated():
        return engine.ensure_network(engine.connect(), servers_network(catalog, hub_id), {HUB: hub_id})
