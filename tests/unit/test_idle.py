from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import stateroom.hub.services.idle as service
from stateroom.catalog.watch import CatalogFile
from stateroom.hub.services.idle import is_idle

CATALOG = Path(__file__).parents[2] / "config" / "catalog.yaml"
HOUR = 3600.0


@pytest.mark.parametrize(
    ("inactive", "idle"), [(0, False), (HOUR - 1, False), (HOUR, True), (HOUR + 1, True), (10 * HOUR, True)]
)
def test_a_server_is_idle_once_the_rules_time_has_passed(inactive: float, idle: bool) -> None:
    assert told(inactive, HOUR, {"state": {"activity_interval": 300}}) is idle


def test_a_server_that_was_never_used_is_not_idle_for_any_length_of_time() -> None:
    assert is_idle(inactive=None, inactive_limit=HOUR, server={}) is False


@pytest.mark.parametrize(
    ("activity_interval", "inactive", "idle"),
    [(300, 61, False), (300, 599, False), (300, 600, True), (10, 59, False), (10, 60, True), (30, 60, True)],
)
def test_it_has_two_chances_to_say_that_it_is_used(activity_interval: int, inactive: float, idle: bool) -> None:
    """Under a rule of a minute, which a server started before it came knows nothing of."""
    assert told(inactive, 60, {"state": {"activity_interval": activity_interval}}) is idle


@pytest.mark.parametrize("server", [{}, {"state": None}, {"state": {}}, {"state": {"accepted": {}}}])
def test_one_of_which_it_is_not_known_how_often_it_reports_has_as_long_as_the_hubs_own(server: dict[str, Any]) -> None:
    assert told(599, 60, server) is False
    assert told(600, 60, server) is True


def told(inactive: float, limit: float, server: dict[str, Any]) -> bool:
    return is_idle(inactive=timedelta(seconds=inactive), inactive_limit=limit, server=server)


@pytest.mark.usefixtures("loop_clock")
async def test_a_hub_that_cannot_be_asked_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rounds: list[float] = []

    async def round_that_fails_once(**_: object) -> None:
        rounds.append(asyncio.get_running_loop().time())
        if len(rounds) == 1:
            raise ConnectionRefusedError

    monkeypatch.setattr(service, "cull_idle", round_that_fails_once)
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(CATALOG.read_text())  # whose rule, 8 h, makes the pause five minutes
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(200):
            await service.stop_idle_servers(CatalogFile(catalog), "http://127.0.0.1:1", "")
    first, second = rounds
    assert second - first == pytest.approx(service._SHORTEST_PAUSE, abs=service._LOOK_SECONDS)
