"""What the engine says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from stateroom.backends.docker.events import machine_of
from stateroom.backends.docker.observation import machine_from_info
from stateroom.errors import EngineRefused
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
