"""The words that several commands take: which hub they are about, and which catalog."""

from __future__ import annotations

import argparse
from pathlib import Path

import stateroom
from stateroom.catalog import Catalog
from stateroom.cli.data import DataFolder, default_path
from stateroom.cli.pod import PodFolder, this_pod
from stateroom.loading import load_catalog


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


def add_catalog_option(parser: argparse.ArgumentParser) -> None:
    """Add `--catalog`; a hub's own if left out, else the one that comes with Stateroom."""
    parser.add_argument(
        "--catalog",
        type=Path,
        metavar="FILE",
        default=None,
        help="the catalog (the hub's own; before there is a hub, the one that comes with Stateroom)",
    )


def chosen_catalog(arguments: argparse.Namespace) -> Catalog:
    """The catalog that `--catalog` says. Raises CatalogError."""
    folder = default_folder()
    settings = None if arguments.catalog else folder.settings()
    own = Path(settings.catalog) if settings else folder.catalog
    return load_catalog(arguments.catalog or (own if own.exists() else shipped_catalog()))


def shipped_catalog() -> Path:
    """The catalog that comes with Stateroom: inside an installed package, else in the checkout."""
    package = Path(stateroom.__file__).parent
    shipped = package / "shipped" / "catalog.yaml"
    return shipped if shipped.is_file() else package.parent.parent / "config" / "catalog.yaml"


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
