"""The words that several commands take: which hub they are about, and which catalog."""

from __future__ import annotations

import argparse
from pathlib import Path

from stateroom.cli.data import DataFolder, default_path
from stateroom.cli.pod import PodFolder, this_pod


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Add `--data`."""
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=lambda text: _folder(Path(text).expanduser().resolve()),
        default=default_folder(),
        help=f"the folder that keeps accounts, catalog and database ({_shown(default_folder().path)})",
    )


def add_catalog_argument(parser: argparse.ArgumentParser, *, needed: bool = True) -> None:
    """Add FILE; in a hub's pod it is the hub's own if left out, elsewhere None where it is not needed."""
    if pod := this_pod():
        told = f"the catalog ({_shown(pod.catalog)})"
        parser.add_argument("file", type=Path, metavar="FILE", nargs="?", default=pod.catalog, help=told)
    else:
        parser.add_argument("file", type=Path, metavar="FILE", nargs=None if needed else "?", help="the catalog")


def default_folder() -> DataFolder:
    """The data folder unless `--data` names another."""
    pod = this_pod()
    return _folder(pod.data if pod else default_path())


def _folder(path: Path) -> DataFolder:
    pod = this_pod()
    return PodFolder(path, pod) if pod else DataFolder(path)


def _shown(path: Path) -> str:
    # argparse takes a percent sign for a format.
    return str(path).replace("%", "%%")
