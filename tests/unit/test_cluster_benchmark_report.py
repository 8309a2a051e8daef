"""What the benchmark against KubeSpawner says of its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmark.side_by_side import cluster_report
from benchmark.side_by_side.cluster_report import BARE, PLOTTED, K, Results, S
from benchmark.side_by_side.report import Burst, Crowd, Single, percentile_95

WATCH, LIST = "GET /api/v1/namespaces/one/pods?watch=1", "GET /api/v1/namespaces/one/pods?limit=250"


def test_a_target_that_is_missed_is_marked_and_only_that() -> None:
    results = made()
    assert missed(results) == []
    rarely_slow = Single([0.5] * 18 + [2.0] * 2, [0.5] * 20)
    assert missed(replace(results, single={**results.single, S: rarely_slow})) == ["one start, 95 of 100 within"]
    told_early = Single([0.9] * 20, [0.9] * 20, left=1)
    assert missed(replace(results, single={**results.single, S: told_early})) == [
        "one start, median of 20", "one start, 95 of 100 within", "one stop until the pod is gone, median of 20",
        "stops that were told while the pod was there",
    ]  # fmt: skip
    bursts = {PLOTTED: {**results.bursts[PLOTTED], S: [burst(last=6)]}}
    assert missed(replace(results, bursts=bursts)) == ["burst of 30: of the bare cluster's"]


def test_a_burst_of_another_size_has_no_target() -> None:
    results = made()
    assert missed(replace(results, bursts={10: {**results.bursts[PLOTTED], S: [burst(last=60)]}})) == []


def test_requests_are_told_in_the_clusters_words() -> None:
    rows = {row.what: row for row in cluster_report.rows(made())}
    row = rows["30 idle servers: the API server is asked in 60 s"]
    assert (row.ours, row.theirs) == ("2: 2 `watch pods`", "2: 1 `list pods`, 1 `watch pods`")


def test_the_page_keeps_the_figures_of_the_other_engine(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    docker = "<!-- figures -->\nof Docker\n<!-- end of figures -->\n"
    page.write_text(
        f"{docker}between\n<!-- figures of the cluster -->\n<!-- end of figures of the cluster -->\nafter\n"
    )
    cluster_report.write(made(), page)
    written = page.read_text()
    cluster_report.write(made(), page)
    assert page.read_text() == written
    assert written.startswith(f"{docker}between\n")
    assert written.endswith("after\n")
    assert "| one start, median of 20 | 0.50 s | 1.00 s | 0.40 s | 0.50 | ≤ 0.7 | met |" in written
    assert (tmp_path / "burst_cluster.svg").exists()


def test_the_95th_of_a_hundred_is_one_of_the_figures() -> None:
    assert percentile_95([float(number) for number in range(1, 21)]) == 19
    assert percentile_95([3.0, 1.0, 2.0]) == 3


def missed(results: Results) -> list[str]:
    return [row.what for row in cluster_report.rows(results) if row.met is False]


def made() -> Results:
    """Results that meet all targets."""
    theirs = Single([1.0] * 20, [1.0] * 20)
    return Results(
        "the machine",
        single={S: Single([0.5] * 20, [0.5] * 20), K: theirs, BARE: Single([0.4] * 20, [0.6] * 20)},
        bursts={PLOTTED: {S: [burst(last=4)], K: [burst(last=8)], BARE: [burst(last=3.5)]}},
        crowd={S: crowd([WATCH] * 2), K: crowd([LIST, WATCH])},
    )


def burst(last: float) -> Burst:
    return Burst([0.5 + (last - 0.5) * place / (PLOTTED - 1) for place in range(PLOTTED)], 0.05)


def crowd(idle: list[str]) -> Crowd:
    return Crowd(30, 60, 0.1, idle, 3, [LIST], [], [])
