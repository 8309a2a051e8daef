"""`stateroom down`: stops what `up` started, and all servers of the hub. Homes are kept."""

from __future__ import annotations

import argparse
import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.errors import APIError

from stateroom.backends.docker.engine import translated
from stateroom.backends.docker.firewall import lift_isolation
from stateroom.backends.docker.network import images_of
from stateroom.cli.data import DataFolder, Settings, add_data_option
from stateroom.cli.engine import answering, stop_engine
from stateroom.cli.hub import end_leftovers
from stateroom.cli.orphans import end_server
from stateroom.cli.processes import held
from stateroom.cli.screen import Screen
from stateroom.errors import CatalogError, SetupError
from stateroom.images import UNIFIED
from stateroom.loading import load_catalog
from stateroom.names import HUB, KIND, server_from_labels

_AT_ONCE = 8
_PATIENCE = 60.0  # seconds for an `up` to stop its hub


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `down`."""
    parser = commands.add_parser(
        "down",
        help="stop the hub and all servers; homes are kept",
        description="Stop the hub, its proxy, all its servers and their network, and a Docker engine that `up` "
        "started and nobody else uses. Homes, accounts and the catalog are kept.",
    )
    add_data_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Stop everything, and say what there was to stop."""
    data, screen = arguments.data, Screen()
    if not data.path.is_dir():
        screen.line("Hub", f"was never started from {data.path}")
        return 0
    with screen.step("Hub", "Stopping the hub") as step:
        ran = _end_up(data)
        step.result = "stopped" if ran else "was not running"
    with data.held():
        if end_leftovers(data):
            screen.line("Hub", "ended what an interrupted run had left")
        settings = data.settings()
        if settings:
            _stop_servers(settings, data, screen)
    return 0


def _end_up(data: DataFolder) -> bool:
    """End the `up` that holds the data folder; whether there was one."""
    pid = data.holder()
    if pid is None:
        return False
    with held(pid) as process:
        # Held now; if it still has the folder, the number is certainly its own.
        if process and data.holder() == pid:
            process.signal(signal.SIGTERM)
            if not process.ended(_PATIENCE):
                raise SetupError(f"`stateroom up` (process {pid}) does not end. Kill it and run the command again.")
    return True


def _stop_servers(settings: Settings, data: DataFolder, screen: Screen) -> None:
    engine = answering()
    if engine is None:
        screen.line("Docker", "does not run, and so no servers do")
        return
    with translated():
        with screen.step("Servers", "Stopping the servers") as step:
            stopped = _remove_servers(engine, settings.hub_id)
            gaps = lift_isolation(engine, settings.hub_id, _images(settings))
            kept = _remove_networks(engine, settings.hub_id)
            step.result = f"{stopped} stopped" if stopped else "none were running"
        for gap in gaps:
            screen.more(str(gap))
        for network in kept:
            screen.line(
                "Network",
                f"{network} is kept, since the engine calls it used; `docker network inspect` may say by whom",
            )
        screen.line("Homes", _homes(engine, settings))
        if done := stop_engine(engine, data):
            screen.line("Docker", done)
    engine.close()


def _remove_servers(engine: docker.APIClient, hub: str) -> int:
    """Stop and remove every server of the hub, several at once; how many there were."""
    listed = engine.containers(all=True, filters={"label": f"{HUB}={hub}"})
    servers = [found["Id"] for found in listed if server_from_labels(found["Labels"], hub)]
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in threads.map(lambda container: end_server(engine, container), servers):
            pass
    return len(servers)


def _remove_networks(engine: docker.APIClient, hub: str) -> list[str]:
    """Remove the networks made for the hub, none that the admin named; those that are in use and stay."""
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
    """What a container can be made of, where removing packet rules takes one."""
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
