"""An engine that is there, and does not do what is asked."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from harness.engine_proxy import Mood
from harness.hub import Person

from .scene import WHEN, Scene, assert_all_is_well, endure, sampled

FROZEN = "takes requests and answers them when nobody waits any more"
TROUBLES = [Mood.REFUSES.value, Mood.CUTS.value, Mood.STALLS.value, Mood.HANGS.value, FROZEN]


@pytest.mark.parametrize(("when", "trouble"), sampled(WHEN, TROUBLES))
def test_an_engine_in_trouble(scene: Scene, victim: Person, when: str, trouble: str) -> None:
    if when in {"while idle", "as a server is stopped"}:
        victim.started()
    before = scene.before()
    with ExitStack() as over:

        def begin() -> None:
            if trouble == FROZEN:
                over.enter_context(scene.engine.frozen())
            else:
                scene.proxy.mood = Mood(trouble)
                over.callback(setattr, scene.proxy, "mood", Mood.WELL)

        endure(scene, victim, when, begin, over.close)
    meant_to_go = {victim.name} if when == "as a server is stopped" else set()
    assert_all_is_well(scene, before.without(meant_to_go), victim)
