"""What several unit tests start from: a catalog in which each kind of offer appears once, and a data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from stateroom.catalog import Catalog
from stateroom.cli.data import DataFolder
from stateroom.loading import parse_catalog
from stateroom.policy import Allowance, Person, allowance_for

CATALOG = """\
version: 1
images:
  - {id: unified, title: Unified notebook, image: "stateroom/unified:1", default: true}
  - {id: classic, image: "stateroom/classic:3"}
sizes:
  - {id: small, title: Small, cpu: 0.5, memory: 1 GiB}
  - {id: standard, title: Standard, cpu: 1, memory: 2 GiB, default: true}
  - {id: huge, title: Huge, cpu: 32, memory: 128 GiB}
custom:
  cpu: {min: 0.25, max: 4, step: 0.25}
  memory: {min: 512 MiB, max: 16 GiB, step: 256 MiB}
"""


ADA = Person("ada")


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return parse_catalog(CATALOG)


@pytest.fixture(scope="session")
def allowance(catalog: Catalog) -> Allowance:
    return allowance_for(catalog, ADA)


@pytest.fixture(scope="session")
def sizes_only() -> Allowance:
    """An allowance without custom values."""
    return allowance_for(parse_catalog(CATALOG.partition("custom:")[0]), ADA)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    return folder
