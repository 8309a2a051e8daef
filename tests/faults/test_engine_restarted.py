"""An engine that is stopped or crashes, and comes back after some time."""

from __future__ import annotations

import signal
from functools import partial
from itertools import product

import pytest

from harness.hub import Person

from .moments import WHEN, endure
from .scene import Scene, assert_all_is_well

LIVE_RESTORE = "with live-restore"


@pytest.mark.parametrize(
    ("when", "by", "settings"),
    list(product(WHEN, ["SIGTERM", "SIGKILL"], [LIVE_RESTORE, "without live-restore"])),
)
def test_an_engine_is_restarted(
    scene: Scene, bystander: Person, victim: Person, *, when: str, by: str, settings: str
) -> None:
    live = settings == LIVE_RESTORE
    scene.engine.set_live_restore(live)
    if when in {"while idle", "as a server is stopped"}:
        victim.started()
    before = scene.before()
    endure(scene, victim, when, partial(scene.engine.stop, signal.Signals[by]), scene.engine.start)
    ended = [] if live else [bystander, victim] if when == "while idle" else [bystander]
    meant_to_go = {victim.name} if when == "as a server is stopped" else set()
    assert_all_is_well(scene, before.without(meant_to_go), victim, ended=ended)
