"""What several unit tests start from: a catalog in which each kind of offer appears once, and a data folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.offers.allowance import Allowance, Person, allowance_for
from stateroom.operations.local.data import DataFolder

UNIT = Path(__file__).parent
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


@pytest.fixture(scope="session", autouse=True)
def no_loop_on_demand() -> None:
    """Keep Python 3.11 from making an event loop for whoever asks for the current one outside of any.

    A plugin asks for it before each test. Nobody closes that loop, and the next async test or `asyncio.run` replaces
    it; the garbage collector then reports an unclosed loop in whichever test it happens to run.
    """
    asyncio.set_event_loop(None)


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give up sooner than elsewhere: no test here builds or starts much."""
    for item in items:
        if UNIT in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))
