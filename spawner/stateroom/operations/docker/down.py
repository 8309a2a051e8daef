"""`stateroom down` on Docker: the servers, their networks and packet rules, and an engine that `up` started."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.errors import APIError

from stateroom.backends.docker.engine import translated
from stateroom.backends.docker.network import images_of
from stateroom.backends.docker.network_keeper import networks_file
from stateroom.backends.docker.packet_filter import lift_isolation
from stateroom.catalog.load import load_catalog
from stateroom.common.errors import CatalogError
from stateroom.common.labels import HUB, KIND
from stateroom.images.sources import UNIFIED
from stateroom.operations.docker.engine import answering, stop_engine
from stateroom.operations.docker.orphans import end_server, listed_name
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.report import Report
from stateroom.workloads.identity import identify

_AT_ONCE = 8


def take_down(settings: Settings, data: DataFolder, report: Report) -> None:
    """Stop all servers of the hub, and remove what was set up for them."""
    engine = answering()
    if engine is None:
        report.line("Docker", "does not run, and so no servers do")
        return
    with translated():
        with report.step("Servers", "Stopping the servers") as step:
            stopped = _remove_servers(engine, settings.hub_id)
            gaps = lift_isolation(engine, settings.hub_id, _images(settings))
            kept = _remove_networks(engine, settings.hub_id)
            networks_file(data.path).unlink(missing_ok=True)
            step.result = f"{stopped} stopped" if stopped else "none were running"
        for gap in gaps:
            report.more(str(gap))
        for network in kept:
            report.line(
                "Network",
                f"{network} is kept, since the engine calls it used; `docker network inspect` may say by whom",
            )
        report.line("Homes", _homes(engine, settings))
        if done := stop_engine(engine, data):
            report.line("Docker", done)
    engine.close()


def _remove_servers(engine: docker.APIClient, hub: str) -> int:
    """Stop and remove every server of the hub, several at once. Returns their number."""
    listed = engine.containers(all=True, filters={"label": f"{HUB}={hub}"})
    servers = [found["Id"] for found in listed if identify(listed_name(found), found["Labels"], hub)]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in threads.map(lambda container: end_server(engine, container), servers):
            pass
    return len(servers)


def _remove_networks(engine: docker.APIClient, hub: str) -> list[str]:
    """Remove the networks made for the hub, but none that the admin named. Returns those that are in use and stay."""
    kept = []
    for network in engine.networks(filters={"label": f"{HUB}={hub}"}):
        try:
            engine.remove_network(network["Id"])
        except APIError as error:
            if "active endpoints" not in str(error.explanation):
                raise
            kept.append(network["Name"])
    return kept


def _images(settings: Settings) -> tuple[str, ...]:
    """Return the images to create a container from, in case removing packet rules requires one."""
    with contextlib.suppress(CatalogError):
        return images_of(load_catalog(Path(settings.catalog)))
    return (UNIFIED,)


def _homes(engine: docker.APIClient, settings: Settings) -> str:
    if settings.homes:
        return f"are kept in {settings.homes}"
    labels = [f"{HUB}={settings.hub_id}", f"{KIND}=home"]
    volumes = engine.volumes(filters={"label": labels})["Volumes"] or []
    if not volumes:
        return "there are none"
    kept = "1 is kept, the Docker volume" if len(volumes) == 1 else f"{len(volumes)} are kept, the Docker volumes"
    return f"{kept} named stateroom-home-…"
