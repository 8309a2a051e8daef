"""`stateroom.configure(c, ...)`: the one line of a hub's configuration file.

Sets what must fit together: the spawner, the address that servers reach the
hub at, what a hub does with running servers when it ends, the handlers of its
API, and the service that stops idle servers. Everything else is the catalog's,
or the admin's own lines below this one, which add to `services`, `load_roles`
and `extra_handlers` rather than replace them.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from jupyterhub import orm

from stateroom.backends.docker.engine import connect, translated
from stateroom.backends.docker.firewall import isolate
from stateroom.backends.docker.network import hub_place
from stateroom.catalog import Catalog
from stateroom.handlers import handlers
from stateroom.home_assignments import home_assignments_file
from stateroom.hub_id import given_hub_id, stored_hub_id
from stateroom.idle import SCOPES, SERVICE
from stateroom.loading import watched_catalog_file
from stateroom.outage import outlive_outages

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_USUAL_PORT = 8081  # JupyterHub's own


def configure(
    c: Any, *, catalog: str | Path, backend: str = "docker", data: str | Path = ".", hub_id: str = ""
) -> None:
    """Make the hub of configuration `c` start its servers with Stateroom.

    `data` is the folder that keeps the hub's id and which homes were handed to
    another user; keep it with the hub's database. `hub_id` is the id where the
    catalog gives none, instead of one that is made once and kept. On Docker this makes the
    servers' network and its packet rules, so the engine must answer, and a
    `hub_port` of the admin's own must be set before. Raises CatalogError or
    BackendError.
    """
    path = Path(catalog).absolute()  # a link stays one: it moves where a ConfigMap changes
    # What the package logs goes where the hub's own log goes, as the hub does with Tornado's.
    logging.getLogger("stateroom").parent = logging.getLogger("JupyterHub")
    known = watched_catalog_file(path).catalog
    given = given_hub_id(hub_id, "hub_id") if hub_id else ""
    hub_id = known.hub or given or stored_hub_id(Path(data))
    c.JupyterHub.spawner_class = "stateroom"
    _never_give_a_number_twice()
    outlive_outages()
    c.StateroomSpawner.catalog = str(path)
    c.StateroomSpawner.backend = backend
    c.StateroomSpawner.hub_id = hub_id
    c.StateroomSpawner.home_assignments = str(home_assignments_file(Path(data)).resolve())
    c.JupyterHub.template_paths = [str(_HERE / "templates" / "hub")]
    c.JupyterHub.extra_handlers.extend(handlers())
    # A hub that ends leaves its users' work running, and finds it again.
    c.JupyterHub.cleanup_servers = False
    # Runs whether or not the catalog has a rule now, so that one can be written later.
    command = [sys.executable, "-P", "-m", "stateroom.idle", str(path), str(os.getpid())]
    c.JupyterHub.services.append({"name": SERVICE, "command": command})
    c.JupyterHub.load_roles.append({"name": SERVICE, "scopes": list(SCOPES), "services": [SERVICE]})
    if backend == "docker":
        _place_on_docker(c, known, hub_id)
    elif backend == "kubernetes" and "hub_ip" not in c.JupyterHub:
        # Servers are on other machines. What they may reach of the hub's pod, network policies say.
        c.JupyterHub.hub_ip = "0.0.0.0"  # noqa: S104 - see above


def _place_on_docker(c: Any, catalog: Catalog, hub_id: str) -> None:
    """Let the hub listen where its servers reach it and nobody outside this machine does; close what else is open."""
    port = c.JupyterHub.hub_port if "hub_port" in c.JupyterHub else _USUAL_PORT
    with translated(), closing(connect()) as client:
        place = hub_place(client, catalog, hub_id, port)
        gaps = isolate(client, place.servers, place.images)
    c.JupyterHub.hub_ip = place.address
    c.StateroomSpawner.reached_port = port
    if place.name:
        c.JupyterHub.hub_connect_ip = place.name
    # With `internal_ssl` the hub's certificate must name what servers know it by.
    c.JupyterHub.trusted_alt_names.extend([f"IP:{place.address}", *([f"DNS:{place.name}"] if place.name else [])])
    for gap in gaps:
        log.warning("%s", gap)


def _never_give_a_number_twice() -> None:
    """Homes carry the user's number, and SQLite gives that of a deleted last user to the next one.

    Counts for a database that is made from now on; other engines do so by themselves.
    """
    orm.User.__table__.dialect_options["sqlite"]["autoincrement"] = True
