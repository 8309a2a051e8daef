"""What the engine says of itself and of containers."""

from __future__ import annotations

from typing import Any

import pytest

from stateroom.backends.base import Life, ServerState
from stateroom.backends.docker.events import machine_of
from stateroom.backends.docker.observation import (
    ENGINE_RESTARTED,
    HUB_WAS_AWAY,
    Seen,
    machine_from_info,
    seen_from_inspect,
    without_the_engine,
    without_the_hub,
)
from stateroom.errors import EngineRefused
from stateroom.names import SPEC
from stateroom.quantity import GiB, Machine


class TightLipped:
    """As behind a proxy that lets only some calls through."""

    def info(self) -> dict[str, Any]:
        raise EngineRefused("Forbidden.")


@pytest.mark.parametrize(
    ("info", "machine"),
    [
        ({"NCPU": 8, "MemTotal": 16 * GiB, "Swarm": {}}, Machine(8000, 16 * GiB)),
        ({"NCPU": 0, "MemTotal": 0}, Machine(0, 0)),
        ({"NCPU": None}, Machine(0, 0)),
        ({}, Machine(0, 0)),
    ],
)
def test_what_the_machine_has_is_read_and_0_where_it_is_not_told(info: dict[str, Any], machine: Machine) -> None:
    assert machine_from_info(info) == machine


def test_of_an_engine_that_does_not_tell_no_machine_is_known() -> None:
    assert machine_of(TightLipped()) is None


def seen(name: str, life: Life, reason: str = "") -> Seen:
    return Seen(name, {}, "image", ServerState(life, exit_code=143, reason=reason))


def pictured(**lives: Life) -> dict[str, Seen]:
    return {name: seen(name, life) for name, life in lives.items()}


def test_servers_that_all_ended_while_nobody_looked_ended_with_their_engine() -> None:
    before = pictured(ada=Life.RUNNING, bob=Life.RUNNING, eve=Life.ENDED)
    after = without_the_engine(before, pictured(ada=Life.ENDED, bob=Life.ENDED, eve=Life.ENDED))
    assert {name: one.state.reason for name, one in after.items()} == {
        "ada": ENGINE_RESTARTED,
        "bob": ENGINE_RESTARTED,
        "eve": "",
    }


@pytest.mark.parametrize("bob", [Life.RUNNING, Life.ABSENT])
def test_where_one_runs_on_or_was_removed_the_others_ended_by_themselves(bob: Life) -> None:
    before = pictured(ada=Life.RUNNING, bob=Life.RUNNING)
    after = {name: one for name, one in pictured(ada=Life.ENDED, bob=bob).items() if one.state.life is not Life.ABSENT}
    assert without_the_engine(before, after) == after


def test_a_cause_that_is_known_stays() -> None:
    after = without_the_engine(pictured(ada=Life.RUNNING), {"ada": seen("ada", Life.ENDED, "It ran out of memory.")})
    assert after["ada"].state.reason == "It ran out of memory."


def test_what_had_ended_when_the_hub_came_ended_while_it_was_away() -> None:
    after = without_the_hub(pictured(ada=Life.ENDED, bob=Life.RUNNING))
    assert {name: one.state.reason for name, one in after.items()} == {"ada": HUB_WAS_AWAY, "bob": ""}


def test_a_container_tells_which_start_made_it() -> None:
    state = {"Running": True, "Status": "running", "ExitCode": 0}
    config = {"Labels": {SPEC: "abc"}, "Image": "image"}
    found = {"Name": "/ada", "State": state, "Config": config, "NetworkSettings": {"Networks": {}}}
    assert seen_from_inspect(found, "net").state.spec_hash == "abc"
