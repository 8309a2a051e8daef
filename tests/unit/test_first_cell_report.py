"""What the benchmark of the first cell says of its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.to_first_cell import report
from benchmark.to_first_cell.journey import covered
from benchmark.to_first_cell.report import PEER, PLAIN, UNIFIED, Journey, Loading, Request, Results, ServerStart

FIRST = "**Start to the first cell's result**, median of 3"
ALONE = "**A server alone**, from its start to its first answer, median of 1"


def test_the_target_is_met_against_both() -> None:
    assert missed(made()) == []
    assert missed(replace(made(), first=walks(6.6, 10, 20))) == [FIRST]
    assert missed(replace(made(), first=walks(6.6, 20, 10))) == [FIRST]
    assert missed(replace(made(), returning=walks(9, 10, 10))) == []


def test_a_server_that_starts_too_slowly_misses_its_target() -> None:
    slow = {UNIFIED: [ServerStart(0.5, 0.1)], PLAIN: [ServerStart(1, 1)]}
    assert missed(replace(made(), servers=slow)) == [ALONE]


def test_the_phases_are_all_of_the_walk() -> None:
    walk = journey(6.5)
    assert sum(walk.phases.values()) == pytest.approx(walk.total) == pytest.approx(6.5)
    assert all(seconds > 0 for seconds in walk.phases.values())


def test_a_line_has_the_middle_figure_of_each_side_and_both_ratios() -> None:
    row = next(iter(report.rows(made())))
    assert str(row) == f"| {FIRST} | 5.00 s | 10.00 s | 12.50 s | 0.50, 0.40 | ≤ 0.65 each | met |"


def test_the_page_keeps_its_words_and_gets_the_figures_of_the_last_run(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- the first cell -->\nof yesterday\n<!-- end of the first cell -->\nafter\n")
    report.write(made(), page)
    written = page.read_text()
    report.write(made(), page)
    assert page.read_text() == written
    assert written.startswith("before\n<!-- the first cell -->\nthe machine.\n")
    assert written.endswith("<!-- end of the first cell -->\nafter\n")
    assert "of yesterday" not in written
    assert "| … and what came over the wire | 6.0 MB | 6.0 MB | 6.0 MB | 1.00, 1.00 |  |  |" in written


def test_a_walk_tells_each_request_by_its_start() -> None:
    told = report.one_walk(
        journey(5), [Request("http://here:1/user/ada/lab?secret", "GET", 200, 101, 101.02, 101.05, 9)]
    )
    assert " 1.000 s         20 ms       50 ms         9  200 GET /user/ada/lab\n" in told
    assert "secret" not in told
    assert " 5.000 s  in all" in told


def test_time_that_requests_share_counts_once() -> None:
    assert covered([(3, 4), (0, 2), (1, 2.5), (1, 1.5)]) == pytest.approx(3.5)
    assert covered([]) == 0


def missed(results: Results) -> list[str]:
    return [row.what for row in report.rows(results) if row.met is False]


def made() -> Results:
    """Results that meet all targets."""
    servers = {UNIFIED: [ServerStart(0.4, 0.3)], PLAIN: [ServerStart(1, 0.9)]}
    return Results("the machine", walks(5, 10, 12.5), walks(4, 8, 8), servers)


def walks(*seconds: float) -> dict[str, list[Journey]]:
    """Three of each side, of which the middle one took so long."""
    sides = zip((UNIFIED, PLAIN, PEER), seconds, strict=True)
    return {side: [journey(middle), journey(middle * 2), journey(middle / 2)] for side, middle in sides}


def journey(seconds: float) -> Journey:
    moments = [100 + seconds * part / 6 for part in range(7)]
    return Journey(*moments, Loading(70, 6_000_000, 0.5, 0.4, 0.6, 1.2))
