"""Options and arguments that several commands share: which hub a command is about, and which catalog."""

from __future__ import annotations

import argparse
from pathlib import Path

from stateroom.common.quantity import parse_duration
from stateroom.operations.local.pod_folder import data_folder, default_folder, this_pod


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Add `--data`."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=lambda text: data_folder(Path(text).expanduser().resolve()),
        default=default_folder(),
        help=f"the folder that keeps accounts, catalog and database ({_escaped(default_folder().path)})",
    )


def add_catalog_argument(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """Add FILE. In a hub's pod it defaults to the hub's own; elsewhere it is None if it is left out and not needed."""
    if pod := this_pod():
        about = f"the catalog ({_escaped(pod.catalog)})"
        parser.add_argument("file", type=Path, metavar="FILE", nargs="?", default=pod.catalog, help=about)
    else:
        parser.add_argument("file", type=Path, metavar="FILE", nargs=None if needed else "?", help="the catalog")


def add_catalog_option(parser: argparse.ArgumentParser) -> None:
    """Add `--catalog`."""
    parser.add_argument(
        "--catalog",
        type=Path,
        metavar="FILE",
        default=None,
        help="the catalog (the hub's own; before there is a hub, the one that comes with Stateroom)",
    )


def duration(text: str) -> float:
    """Parse an amount of time, such as "30 min", into seconds."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _escaped(path: Path) -> str:
    # argparse takes a percent sign for a format.
    return str(path).replace("%", "%%")
