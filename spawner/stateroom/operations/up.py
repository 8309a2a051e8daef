"""Prepares everything a hub on this machine needs. Steps that were completed before are skipped."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import load_catalog
from stateroom.common.files import open_private
from stateroom.operations.local.address import Address
from stateroom.operations.local.catalog_file import shipped_catalog
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.hub import is_free
from stateroom.operations.local.proxy import install_proxy
from stateroom.operations.platforms import platform_for
from stateroom.operations.report import Report
from stateroom.runtime.claim import require_unclaimed
from stateroom.runtime.hub_id import stored_hub_id

# Below the ports that the kernel gives to outgoing connections, so that a kept one stays free.
_INNER_PORTS = range(20_000, 32_000)


@dataclass(frozen=True, slots=True)
class HubOptions:
    """What an operator can choose for a hub."""

    address: Address
    catalog: Path | None = None
    backend: str = ""  # as in the last run, at first docker
    hub_ip: str = ""  # the one on the way to the cluster's nodes


def prepare(options: HubOptions, data: DataFolder, report: Report) -> Settings:
    """Do everything that must precede the hub's start, after `clear_way`. Raises SetupError."""
    path, catalog = _catalog(options.catalog, data, report)
    proxy = install_proxy(data, report)
    last = data.settings()
    backend = options.backend or (last.backend if last else data.default_backend)
    settings = Settings(
        hub_id=catalog.hub or stored_hub_id(data.path, last.hub_id if last else ""),
        backend=backend,
        catalog=str(path),
        homes="",
        port=options.address.port,
        hub_port=_hub_port(data, report),
        proxy_port=_free_port(),
        proxy_command=proxy,
        hub_ip=options.hub_ip,
        public_url=options.address.public_url,
        bind=options.address.bind,
        tls_cert=options.address.tls_cert,
        tls_key=options.address.tls_key,
        host_names=options.address.host_names,
    )
    require_unclaimed(settings.hub_id)
    settings = platform_for(backend).prepare(settings, catalog, data, report)
    if last and last.where != settings.where:
        report.line("Servers", f"were on {last.where} until now: this hub neither finds nor stops what runs there,")
        report.more("and homes stay there; they are back once it is started with that place again")
    return settings


def _catalog(chosen: Path | None, data: DataFolder, report: Report) -> tuple[Path, Catalog]:
    """Return the catalog's path and content. On the first run, copy ours for the admin to change."""
    path = chosen.expanduser().absolute() if chosen else data.catalog
    if not chosen and not path.exists():
        with open_private(path, "xb") as file:
            file.write(shipped_catalog().read_bytes())
    catalog = load_catalog(path)
    report.line("Catalog", str(path))
    return path, catalog


def _hub_port(data: DataFolder, report: Report) -> int:
    """Return the port under which running servers know the hub. It is chosen once."""
    last = data.settings()
    if last and is_free(last.hub_port, ""):
        return last.hub_port
    if last:
        report.line("Hub", f"port {last.hub_port} is taken; servers that run must be stopped and started once")
    return _free_port()


def _free_port() -> int:
    while not is_free(port := secrets.choice(_INNER_PORTS), ""):
        pass
    return port
