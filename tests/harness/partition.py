"""`--partition=K/N`: only every Nth test, from the Kth on. All N together run each test once."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--partition", metavar="K/N", help="run only every Nth of the chosen tests, from the Kth on")


@pytest.hookimpl(trylast=True)  # after -k and -m
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not (partition := config.getoption("--partition")):
        return
    number, _, count = partition.partition("/")
    chosen = items[int(number) - 1 :: int(count)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen
