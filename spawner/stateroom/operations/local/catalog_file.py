"""Finds the catalog that a command is about."""

from __future__ import annotations

from pathlib import Path

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import load_catalog
from stateroom.common.shipped import shipped
from stateroom.operations.local.pod_folder import default_folder


def chosen_catalog(path: Path | None) -> Catalog:
    """Load the catalog at `path`, else the hub's own, else the one that comes with Stateroom. Raises CatalogError."""
    return load_catalog(path or _own_catalog())


def shipped_catalog() -> Path:
    """Return the catalog that comes with Stateroom: inside an installed package, else in the checkout."""
    return shipped("catalog.yaml", "config/catalog.yaml")


def _own_catalog() -> Path:
    folder = default_folder()
    settings = folder.settings()
    own = Path(settings.catalog) if settings else folder.catalog
    return own if own.exists() else shipped_catalog()
