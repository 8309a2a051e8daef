"""`stateroom.configure(c, ...)`: the one line of a hub's configuration file.

Sets what must fit together: the spawner, the address that servers reach the
hub at, and what a hub does with running servers when it ends. Everything else
is the catalog's, or the admin's own lines below this one.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from stateroom.backends.docker import engine
from stateroom.catalog import Catalog, parse_id
from stateroom.errors import CatalogError
from stateroom.loading import shared_catalog_file
from stateroom.names import HUB, network_name

_HERE = Path(__file__).parent
_HUB_ID_FILE = "hub-id"


def configure(c: Any, *, catalog: str | Path, backend: str = "docker", data: str | Path = ".") -> None:
    """Make the hub of configuration `c` start its servers with Stateroom.

    `data` is the folder that keeps the hub's id; keep it with the hub's
    database. On Docker this makes the servers' network, so the engine must
    answer. Raises CatalogError or BackendError.
    """
    path = Path(catalog).resolve()
    known = shared_catalog_file(path).current()
    hub_id = known.hub or stored_hub_id(Path(data))
    c.JupyterHub.spawner_class = "stateroom"
    c.StateroomSpawner.catalog = str(path)
    c.StateroomSpawner.backend = backend
    c.StateroomSpawner.hub_id = hub_id
    c.JupyterHub.template_paths = [str(_HERE / "templates" / "hub")]
    # A hub that ends leaves its users' work running, and finds it again.
    c.JupyterHub.cleanup_servers = False
    if backend == "docker":
        # Reachable from the servers, and from nowhere outside this machine.
        c.JupyterHub.hub_ip = servers_gateway(known, hub_id)


def stored_hub_id(data: Path) -> str:
    """The hub's id kept in `data`, made at the first call. Raises CatalogError for a file that holds none."""
    file = data / _HUB_ID_FILE
    try:
        with file.open("x") as new:
            new.write(f"{secrets.token_hex(5)}\n")
    except FileExistsError:
        pass
    try:
        return parse_id(file.read_text(errors="replace").strip())
    except ValueError as error:
        raise CatalogError([f"{file.name}: {error}, or remove the file to have an id made"]) from error


def servers_network(catalog: Catalog, hub_id: str) -> str:
    """The Docker network of the hub's servers."""
    return catalog.docker.network or network_name(hub_id)


def servers_gateway(catalog: Catalog, hub_id: str) -> str:
    """The host's address on the servers' network, which is made if it is not there. Blocks."""
    with engine.translated():
        return engine.ensure_network(engine.connect(), servers_network(catalog, hub_id), {HUB: hub_id})
