"""`stateroom down`: stops what `up` started, and all servers of the hub. Homes are kept."""

from __future__ import annotations

import argparse

from stateroom.cli.arguments import add_data_option
from stateroom.cli.screen import Screen
from stateroom.operations.down import take_down


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = (
        "Stop the hub, its proxy, all its servers and their network, and a Docker engine that `up` started and nobody "
        "else uses. Homes, accounts and the catalog are kept."
    )
    add_data_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Stop everything, and print what was stopped."""
    take_down(arguments.data, Screen())
    return 0
