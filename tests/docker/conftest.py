"""What several tests of the Docker backend stand on."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine_proxy import EngineProxy


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProxy]:
    """Stands between the engine and whoever connects to one from now on."""
    proxy = EngineProxy(tmp_path / "engine.sock")
    monkeypatch.setenv("DOCKER_HOST", proxy.host)
    yield proxy
    proxy.close()
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()
