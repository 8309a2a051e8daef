"""An engine that is there, and does not do what is asked."""

from __future__ import annotations

import time
from contextlib import ExitStack
from itertools import product

import pytest

from harness.engine_proxy import Mood
from harness.hub import PATIENCE, Person

from .moments import DOWN_SECONDS, WHEN, Moment, endure
from .scene import Scene, assert_all_is_well

FROZEN = "takes requests and answers them when nobody waits any more"
TROUBLES = [Mood.REFUSES.value, Mood.CUTS.value, Mood.STALLS.value, Mood.HANGS.value, FROZEN]


@pytest.mark.parametrize(("when", "trouble"), list(product(WHEN, TROUBLES)))
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


@pytest.mark.parametrize("trouble", [Mood.HANGS.value, Mood.REFUSES.value, Mood.AWAY.value])
def test_a_hub_comes_up_while_its_engine_is_in_trouble(scene: Scene, victim: Person, trouble: str) -> None:
    before = scene.before()
    scene.hub.kill()
    worsening = Moment(scene.proxy, lambda: setattr(scene.proxy, "mood", Mood(trouble)), part="GET /containers/json")
    coming = worsening.come(scene.up)
    time.sleep(DOWN_SECONDS)
    scene.proxy.mood = Mood.WELL
    coming.result(PATIENCE)
    assert_all_is_well(scene, before, victim)
