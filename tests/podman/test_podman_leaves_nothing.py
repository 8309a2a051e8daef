"""The tests' Podman leaves nothing that a later run would stumble over."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_nothing_is_mounted_where_pytest_clears_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    mounted = [Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines()]
    assert not [place for place in mounted if place.is_relative_to(folder)]
