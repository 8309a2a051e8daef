"""A hub that is killed at any moment of a start or a stop."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.hub import Person

from .scene import TRIALS, Moment, Scene, assert_all_is_well, spread, stop_and_hear


@dataclass(frozen=True)
class Passed:
    """How many requests and answers a start of somebody new takes, and its stop, on a hub that has just come up."""

    start: int
    stop: int


@pytest.fixture(scope="session")
def passed(scene: Scene) -> Passed:
    scene.bystander()
    scene.hub.kill()
    scene.up()
    person = scene.person()
    start = Moment(scene.proxy, lambda: None, 0)
    person.started()
    stop = Moment(scene.proxy, lambda: None, 0)
    person.stop()
    scene.mark_home(person)
    return Passed(len(start.passed), len(stop.passed))


@pytest.mark.parametrize("trial", range(TRIALS))
def test_a_hub_is_killed_while_it_starts_a_server(scene: Scene, victim: Person, trial: int, passed: Passed) -> None:
    before = scene.before()
    Moment(scene.proxy, scene.hub.kill, spread(trial, TRIALS, passed.start)).come(victim.start)
    scene.up()
    assert_all_is_well(scene, before, victim)


@pytest.mark.parametrize("trial", range(TRIALS))
def test_a_hub_is_killed_while_it_stops_a_server(scene: Scene, victim: Person, trial: int, passed: Passed) -> None:
    before = scene.before()
    victim.started()
    Moment(scene.proxy, scene.hub.kill, spread(trial, TRIALS, passed.stop)).come(lambda: stop_and_hear(victim))
    scene.up()
    assert_all_is_well(scene, before, victim)
