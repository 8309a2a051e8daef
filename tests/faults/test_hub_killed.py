"""A hub that is killed at any moment of a start or a stop."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.hub import Person

from .moments import TRIALS, Moment, spread, stop_and_hear
from .scene import Scene, assert_all_is_well


@dataclass(frozen=True)
class Passed:
    """How many requests and answers each takes, of somebody new."""

    first_start: int  # of a hub that has just come up
    start: int
    stop: int


@pytest.fixture(scope="session")
def passed(scene: Scene) -> Passed:
    scene.bystander()
    renew(scene)
    one, other = scene.person(), scene.person()
    counted = []
    for step in (one.started, other.started, one.stop, other.stop):
        counting = Moment(scene.proxy, lambda: None, 0)
        step()
        counted.append(len(counting.passed))
    scene.mark_home(one)
    scene.mark_home(other)
    return Passed(*counted[:3])


def renew(scene: Scene) -> None:
    """A hub that has just come up."""
    scene.hub.kill()
    scene.up()


@pytest.mark.parametrize("trial", range(TRIALS))
def test_a_hub_is_killed_while_it_starts_a_server(scene: Scene, victim: Person, trial: int, passed: Passed) -> None:
    before = scene.before()
    if first := trial % 2 == 1:
        renew(scene)
        scene.settle()
    last = passed.first_start if first else passed.start
    Moment(scene.proxy, scene.hub.kill, spread(trial, TRIALS, last)).come(victim.start)
    scene.up()
    assert_all_is_well(scene, before, victim)


@pytest.mark.parametrize("trial", range(TRIALS))
def test_a_hub_is_killed_while_it_stops_a_server(scene: Scene, victim: Person, trial: int, passed: Passed) -> None:
    before = scene.before()
    victim.started()
    Moment(scene.proxy, scene.hub.kill, spread(trial, TRIALS, passed.stop)).come(lambda: stop_and_hear(victim))
    scene.up()
    assert_all_is_well(scene, before, victim)
