"""`stateroom down`: stops what `up` started, and all servers of the hub. Homes are kept."""

from __future__ import annotations

import argparse
import signal

from stateroom.cli.arguments import add_data_option
from stateroom.cli.data import DataFolder
from stateroom.cli.hub import end_leftovers
from stateroom.cli.places import place
from stateroom.cli.pod import PodFolder
from stateroom.cli.processes import held
from stateroom.cli.screen import Screen
from stateroom.errors import SetupError

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
    if isinstance(data, PodFolder):
        return _take_down_servers(data, screen)
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
            place(settings.backend).take_down(settings, data, screen)
    return 0


def _take_down_servers(data: PodFolder, screen: Screen) -> int:
    settings = data.settings()
    place(settings.backend).take_down(settings, data, screen)
    screen.line("Hub", "is a pod of its own, which `helm uninstall RELEASE` takes down")
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
