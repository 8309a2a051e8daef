"""`stateroom.configure(c, ...)`: the one line of a hub's configuration file.

Sets what must fit together: the spawner, the address that servers reach the
hub at, what a hub does with running servers when it ends, the handlers of its
API, and the service that stops idle servers. Everything else is the catalog's,
or the admin's own. What an admin's lines above this one set is kept or added to,
or replaced with a warning. Lines below it win; they must add to `services`,
`load_roles`, `extra_handlers` and `template_paths` rather than replace them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from traitlets.config.loader import LazyConfigValue

from stateroom.backends.docker.network_keeper import NetworkKeeper, networks_file
from stateroom.catalog.watch import CatalogFile
from stateroom.hub.api import idle, options
from stateroom.hub.database_recovery import recover_from_outages
from stateroom.hub.database_room import keep_room_on_a_full_disk
from stateroom.hub.expected_errors import log_expected_errors_briefly
from stateroom.hub.http_server import bound_connections
from stateroom.hub.numbers import never_give_a_number_twice
from stateroom.hub.services.idle import SCOPES, SERVICE
from stateroom.hub.spawner import StateroomSpawner
from stateroom.operations.local.address import SHARED_NAME_RISK
from stateroom.runtime.hub_id import given_hub_id, stored_hub_id
from stateroom.runtime.runtime import Runtime, RuntimeSettings, add_runtime
from stateroom.storage.assignments import home_assignments_file

log = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_USUAL_PORT = 8081  # JupyterHub's own
_ENOUGH_FILES = 1_048_576


def configure(
    c: Any,
    *,
    catalog: str | Path,
    backend: str = "docker",
    data: str | Path = ".",
    hub_id: str = "",
    freeze_gc: bool = True,
) -> None:
    """Make the hub of configuration `c` start its servers with Stateroom.

    `data` is the folder that keeps the hub's id and which homes were handed to
    another user; keep it with the hub's database. `hub_id` is the id where the
    catalog gives none, instead of one that is made once and kept.

    On Docker this makes the servers' network and its packet rules, so the engine
    must answer, and a `hub_port` of the admin's own must be set before.

    Four settings are the whole process's. It may have as many files and connections
    open as the machine allows, rather than the usual 1,024; one server has 64 of the
    connections at most. The hub's log has errors of a start as
    one sentence, without a traceback. With `freeze_gc` Python's garbage collector
    never again searches what is loaded now (`gc.freeze`): a search through all of
    it would hold the hub's loop up for 0.14 s each time.

    Raises CatalogError, BackendError, or SetupError if another hub with this id runs on the machine.
    """
    runtime = _runtime(Path(catalog), backend, Path(data), hub_id)
    _log_with_the_hub()
    never_give_a_number_twice()
    recover_from_outages()
    keep_room_on_a_full_disk()
    bound_connections(runtime.has_server_at)
    _choose_spawner(c, runtime.settings)
    _separate_hosts(c)
    _add_templates(c)
    c.JupyterHub.extra_handlers.extend([*options.handlers(runtime.settings), *idle.handlers()])
    if "cleanup_servers" not in c.JupyterHub:
        # A hub that ends leaves its users' work running, and finds it again.
        c.JupyterHub.cleanup_servers = False
    if "concurrent_spawn_limit" not in c.JupyterHub:
        # Starts wait in the backend, in order, where the hub would refuse them.
        c.JupyterHub.concurrent_spawn_limit = 0
    _add_idle_service(c, runtime.settings.catalog)
    if backend == "docker":
        _place_on_docker(c, runtime, Path(data))
    elif backend == "kubernetes" and "hub_ip" not in c.JupyterHub:
        # Servers are on other machines. What they may reach of the hub's pod, network policies say.
        c.JupyterHub.hub_ip = "0.0.0.0"  # noqa: S104 - see above
    _allow_as_many_files_as_may_be()
    if freeze_gc:
        if backend == "kubernetes":
            # The largest part of what the hub would load later: half a second of the loop at the first start.
            import stateroom.backends.kubernetes  # noqa: F401, PLC0415
        gc.freeze()


def _runtime(catalog: Path, backend: str, data: Path, hub_id: str) -> Runtime:
    """Make this process's runtime, and begin it in a hub, which reads its configuration on its loop.

    Other processes read it as well, such as `jupyterhub upgrade-db`. They have no loop, and nothing is started there.
    """
    path = catalog.absolute()  # a link stays one: it moves where a ConfigMap changes
    file = CatalogFile(path)
    given = given_hub_id(hub_id, "hub_id") if hub_id else ""
    hub_id = file.catalog.hub or given or stored_hub_id(data)
    runtime = Runtime(RuntimeSettings(path, backend, hub_id, home_assignments_file(data).resolve()), file)
    add_runtime(runtime)
    with contextlib.suppress(RuntimeError):  # there is no loop
        asyncio.get_running_loop()
        if backend != "memory":
            runtime.claim_id()
        runtime.begin()
    return runtime


def _log_with_the_hub() -> None:
    """Log where the hub does, as the hub has Tornado do."""
    hub_log = logging.getLogger("JupyterHub")
    logging.getLogger("stateroom").parent = hub_log
    log_expected_errors_briefly(hub_log)


def _allow_as_many_files_as_may_be() -> None:
    """Raise the limit of open files, which one server's connections could use up, to what this process may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _ENOUGH_FILES if most == resource.RLIM_INFINITY else min(most, _ENOUGH_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(enough, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), most))


def _choose_spawner(c: Any, settings: RuntimeSettings) -> None:
    chosen = c.JupyterHub.spawner_class if "spawner_class" in c.JupyterHub else None
    if not (isinstance(chosen, type) and issubclass(chosen, StateroomSpawner)):
        _replace(c, "spawner_class", "stateroom")
    c.StateroomSpawner.catalog = str(settings.catalog)
    c.StateroomSpawner.backend = settings.backend
    c.StateroomSpawner.hub_id = settings.hub_id
    c.StateroomSpawner.home_assignments = str(settings.home_assignments)


def _separate_hosts(c: Any) -> None:
    """Give each user's servers a host name of their own where the hub has a public one. An admin may refuse by name."""
    public = urlsplit(c.JupyterHub.get("public_url", ""))
    if "subdomain_host" in c.JupyterHub:
        public = urlsplit(c.JupyterHub.subdomain_host or public.geturl())
    elif public.hostname:
        c.JupyterHub.subdomain_host = f"{public.scheme}://{public.netloc}"
    else:
        log.warning(
            "All users' servers share one host name: %s. Set c.JupyterHub.public_url to a URL below whose host name "
            "any name leads here (*.hub.example.org), or c.JupyterHub.subdomain_host = '' to accept that.",
            SHARED_NAME_RISK,
        )
    if public.scheme == "https":
        _keep_cookies_to_tls(c)


def _keep_cookies_to_tls(c: Any) -> None:
    settings = c.JupyterHub.tornado_settings
    if isinstance(settings, LazyConfigValue) or "xsrf_cookie_kwargs" not in settings:
        settings.update({"xsrf_cookie_kwargs": {"secure": True}})
    if c.JupyterHub.subdomain_host and "cookie_host_prefix_enabled" not in c.JupyterHub:
        # No page of a user's server can then set such a cookie for the hub.
        c.JupyterHub.cookie_host_prefix_enabled = True


def _add_templates(c: Any) -> None:
    """Let our pages win over the hub's, and an admin's own over ours."""
    ours, paths = str(_HERE / "templates" / "hub"), c.JupyterHub.template_paths
    if isinstance(paths, LazyConfigValue):
        paths.insert(0, ours)
    else:
        paths.append(ours)


def _add_idle_service(c: Any, catalog: Path) -> None:
    # Runs whether or not the catalog has a rule now, so that one can be written later.
    command = [sys.executable, "-P", "-m", "stateroom.hub.services.idle", str(catalog), str(os.getpid())]
    c.JupyterHub.services.append({"name": SERVICE, "command": command})
    c.JupyterHub.load_roles.append({"name": SERVICE, "scopes": list(SCOPES), "services": [SERVICE]})


def _replace(c: Any, name: str, value: str) -> None:
    """Set what must fit together, with a warning where an admin has set something else above."""
    if name in c.JupyterHub and c.JupyterHub[name] != value:
        log.warning(
            "stateroom.configure has replaced c.JupyterHub.%s = %r by %r. To override that, set it below.",
            name,
            c.JupyterHub[name],
            value,
        )
    c.JupyterHub[name] = value


def _place_on_docker(c: Any, runtime: Runtime, data: Path) -> None:
    """Let the hub listen where its servers reach it and nobody outside this machine does; close what else is open."""
    port = c.JupyterHub.hub_port if "hub_port" in c.JupyterHub else _USUAL_PORT
    networks = NetworkKeeper(runtime.settings.hub_id, lambda: runtime.catalog, port, networks_file(data).resolve())
    place, gaps = networks.make()
    runtime.keep_networks(networks)
    _replace(c, "hub_ip", place.address)
    c.StateroomSpawner.reached_port = port
    if place.name:
        _replace(c, "hub_connect_ip", place.name)
    # With `internal_ssl` the hub's certificate must name what servers know it by.
    c.JupyterHub.trusted_alt_names.extend([f"IP:{place.address}", *([f"DNS:{place.name}"] if place.name else [])])
    for gap in gaps:
        log.warning("%s", gap)
