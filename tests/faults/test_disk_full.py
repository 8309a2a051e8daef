"""An engine whose disk runs full in the midst of a pull."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.hub import Person
from harness.own_engine import OwnEngine
from harness.registry import running_registry

from .moments import start_and_hear
from .scene import BIG_IMAGE, IMAGE, REGISTRY_PORT, Scene, assert_all_is_well

BIG = {"user_options": {"image": "big"}}
MIB = 1024**2
BALLAST = 40 * MIB
SHARES = (0.5, 0.9, 1.1)  # of the image's size, which is room enough for some of the work


@pytest.fixture
def registry(scene: Scene, tmp_path: Path) -> Iterator[None]:
    """A registry that has the big image; the engine does not."""
    with running_registry(tmp_path, port=REGISTRY_PORT):
        scene.engine.load_server_image(BIG_IMAGE, BALLAST)
        with scene.engine.client() as client:
            for line in client.push(BIG_IMAGE, stream=True, decode=True):
                assert "error" not in line, line
            client.remove_image(BIG_IMAGE)
        yield
    with scene.engine.client() as client:
        client.remove_image(BIG_IMAGE, force=True)


@contextmanager
def room(engine: OwnEngine, left: int) -> Iterator[None]:
    """Leave so much of the engine's disk."""
    ballast = engine.root / "ballast"
    disk = os.statvfs(engine.root)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bfree * disk.f_frsize - left)
    try:
        yield
    finally:
        ballast.unlink()


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("share", SHARES)
def test_a_disk_is_full_during_a_pull(scene: Scene, victim: Person, share: float) -> None:
    before = scene.before()
    with room(scene.engine, int(share * BALLAST)):
        words = start_and_hear(victim, BIG)
    assert words.endswith(
        "The disk of the machine that runs servers is full. Try again later, and tell an administrator."
    )
    assert scene.images() == {IMAGE}
    victim.started(BIG)
    assert_all_is_well(scene, before, victim)
