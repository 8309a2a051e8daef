"""What the benchmark against DockerSpawner says of its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmark.side_by_side import docker_report
from benchmark.side_by_side.docker_report import BARE, PLOTTED, D, Disturbance, Results, S
from benchmark.side_by_side.report import Burst, Crowd, Single

PING = "GET /_ping"
LIST, LOOK = "GET /containers/json?all=1", "GET /containers/one/json"


def test_a_target_that_is_missed_is_marked_and_only_that() -> None:
    results = made()
    assert missed(results) == []
    slower = {S: [burst(last=9)], D: [burst(last=10)], BARE: [burst(last=4)]}
    assert missed(replace(results, bursts={PLOTTED: slower})) == [
        "burst of 30: servers a second", "burst of 30: of the bare engine's", "burst of 30: median wait",
    ]  # fmt: skip
    assert missed(replace(results, single={S: Single([0.4], [0.2], left=1), D: Single([0.3], [0.2])})) == [
        "one start, median of 1", "stops that were told while the container was there",
    ]  # fmt: skip
    assert missed(replace(results, slow_pull={S: Disturbance([0.3], [0.5]), D: Disturbance([0.3], [0.3])})) == [
        "one user's pull is slow: median delay of 1 others",
    ]  # fmt: skip


@pytest.mark.parametrize("idle", [[PING, LOOK], [PING] * 8, ["GET /events"]])
def test_an_idle_hub_that_asks_for_more_than_a_sign_of_life_misses_its_target(idle: list[str]) -> None:
    assert missed(replace(made(), crowd={S: crowd(idle, [LIST]), D: crowd([], [])})) == [
        "100 idle servers: the engine is asked in 60 s"
    ]


@pytest.mark.parametrize("asked", [[], [LIST, LIST], [LIST, LOOK]])
def test_a_hub_that_restarts_asks_for_one_list_and_for_no_server_alone(asked: list[str]) -> None:
    assert missed(replace(made(), crowd={S: crowd([PING], asked), D: crowd([], [])})) == ["… and the engine is asked"]


def test_the_page_keeps_its_words_and_gets_the_figures_of_the_last_run(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- figures -->\nof yesterday\n<!-- end of figures -->\nafter\n")
    docker_report.write(made(), page)
    written = page.read_text()
    docker_report.write(made(), page)
    assert page.read_text() == written
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "| burst of 30: servers a second | 7.50/s | 3.75/s | 8.57/s | 2.00 | ≥ 1.6 | met |" in written
    assert "of yesterday" not in written
    assert len(ET.parse(tmp_path / "burst.svg").findall("{*}path")) == 1 + 3  # the axes, and each side


def missed(results: Results) -> list[str]:
    return [row.what for row in docker_report.rows(results) if row.met is False]


def made() -> Results:
    """Results that meet all targets."""
    single, calm = Single([0.3], [0.2]), Disturbance([0.3], [0.3])
    return Results(
        "the machine",
        single={S: single, D: single},
        bursts={PLOTTED: {S: [burst(last=4)], D: [burst(last=8, first=7)], BARE: [burst(last=3.5)]}},
        stuck_stop={S: calm, D: calm},
        slow_pull={S: calm, D: calm},
        crowd={S: crowd([PING] * 6, [LIST, "GET /events"]), D: crowd([LOOK] * 200, [LOOK] * 100)},
    )


def burst(last: float, first: float = 0.5) -> Burst:
    return Burst([first + (last - first) * place / (PLOTTED - 1) for place in range(PLOTTED)], 0.05)


def crowd(idle: list[str], restart: list[str]) -> Crowd:
    return Crowd(100, 60, 0.1, idle, 3, restart, [], [])
