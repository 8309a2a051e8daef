"""A hub for each trial: an attack leaves nothing to the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.hub import Hub, running_hub
from harness.skips import skip_without_image


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    skip_without_image()
    with running_hub(tmp_path) as hub:
        yield hub
