"""How the benchmark that compares two commits judges its figures, and in which order it takes them."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path
from statistics import median

import pytest

from benchmark import against_commit
from benchmark.before_and_after.checkouts import CheckoutFailed, is_checkout, make_checkout
from benchmark.before_and_after.docker_turns import in_turn
from benchmark.before_and_after.pairs import FEWEST, LIMIT, Pair, compare
from benchmark.before_and_after.progress import Part, Progress, time_left
from benchmark.before_and_after.report import Measure, as_text, differences, rows


class TestCompare:
    def test_the_ratio_is_that_of_the_medians(self) -> None:
        found = compare([Pair(1.0, 1.2), Pair(2.0, 2.2), Pair(3.0, 9.0)])
        assert (found.before, found.after, found.ratio) == (2.0, 2.2, 1.1)

    def test_the_interval_holds_the_ratio_and_is_the_same_each_time(self) -> None:
        pairs = drawn(20, slower=1.02)
        found = compare(pairs)
        assert found.low <= found.ratio <= found.high
        assert compare(pairs) == found

    def test_pairs_that_are_all_alike_leave_no_doubt(self) -> None:
        found = compare([Pair(0.4, 0.5)] * 20)
        assert (found.low, found.ratio, found.high) == (1.25, 1.25, 1.25)

    def test_a_machine_that_becomes_slower_during_the_run_widens_the_interval_by_little(self) -> None:
        drift = [Pair(0.4 + place / 100, (0.4 + place / 100) * 1.01) for place in range(20)]
        alone = [Pair(pair.before, other.after) for pair, other in zip(drift, reversed(drift), strict=True)]
        paired, unpaired = compare(drift), compare(alone)
        assert paired.high - paired.low < 0.01 < unpaired.high - unpaired.low

    def test_more_pairs_make_the_interval_narrower(self) -> None:
        few, many = compare(drawn(8)), compare(drawn(200))
        assert many.high - many.low < few.high - few.low

    def test_the_interval_holds_the_truth_in_most_runs(self) -> None:
        dice = random.Random(3)
        runs = [compare(drawn(20, slower=1.1, dice=dice)) for _ in range(20)]
        assert sum(run.low <= 1.1 <= run.high for run in runs) >= 17

    @pytest.mark.parametrize(
        ("slower", "met"), [(0.9, True), (1.0, True), (1.04, True), (1.2, False), (LIMIT + 0.05, False)]
    )
    def test_only_a_commit_that_is_slower_beyond_doubt_misses_the_limit(self, slower: float, *, met: bool) -> None:
        assert compare(drawn(100, slower=slower)).met is met

    def test_few_pairs_give_no_verdict(self) -> None:
        assert [compare([Pair(1, 2)] * number).met for number in (1, FEWEST - 1, FEWEST)] == [None, None, False]

    @pytest.mark.parametrize(
        ("pairs", "ratio", "met"), [([Pair(0, 0)] * 6, 1.0, True), ([Pair(0, 2)] * 6, float("inf"), False)]
    )
    def test_figures_of_nothing_are_compared_as_well(self, pairs: list[Pair], ratio: float, *, met: bool) -> None:
        found = compare(pairs)
        assert (found.ratio, found.met) == (ratio, met)


class TestReport:
    def test_a_line_has_both_medians_the_pairs_the_interval_and_the_verdict(self) -> None:
        slower = Measure("one stop", [Pair(0.2, 0.3)] * 6)
        stall = Measure("longest stall", [Pair(4.0, 4.0)], "ms")
        assert as_text("the machine", [slower, stall]).splitlines() == [
            "the machine.",
            "",
            "|  | before | after | pairs | ratio | target |  |",
            "|---|---|---|---|---|---|---|",
            "| one stop | 0.20 s | 0.30 s | 6 | 1.50 (1.50 to 1.50) | reaches below 1.05 | **not met** |",
            "| longest stall | 4.0 ms | 4.0 ms | 1 | 1.00 (1.00 to 1.00) | reaches below 1.05 |  |",
        ]
        assert [row.met for row in rows([slower, stall])] == [False, None]

    def test_packages_that_differ_are_named_with_both_versions(self) -> None:
        before = {"stateroom": "1", "docker": "7.1", "rich": "13", "gone": "1"}
        after = {"stateroom": "2", "docker": "7.2", "rich": "13", "new": "2"}
        assert differences(before, after) == ["docker 7.1 and 7.2", "gone 1 and none", "new none and 2"]


class TestProgress:
    def test_estimates_give_way_to_what_a_step_took(self) -> None:
        ticks = count(step=10.0)
        lines: list[str] = []
        progress = Progress(report=lines.append, clock=lambda: next(ticks))
        starts = progress.add(Part("single start", 3, 60))
        progress.add(Part("restart", 2, 30))
        assert time_left(progress.parts) == "about 4 min left"
        for result in ("before 1 s, after 2 s", ""):
            with progress.step(starts) as step:
                step.result = result
        assert lines == [
            "single start 1 of 3: before 1 s, after 2 s; about 80 s left",
            "single start 2 of 3; about 70 s left",
        ]

    def test_a_step_that_fails_is_not_counted(self) -> None:
        progress = Progress(report=lambda _: pytest.fail("nothing was done"))
        part = progress.add(Part("restart", 1, 30))
        with pytest.raises(ValueError, match="the hub"), progress.step(part):
            raise ValueError("the hub ended")
        assert (part.done, part.spent) == (0, 0.0)

    def test_nothing_is_left_at_the_end(self) -> None:
        assert time_left([Part("checkout", 2, 30, done=2, spent=5), Part("restart", 0, 15)]) == "all done"


class TestTurns:
    def test_who_is_first_changes_with_each_turn(self) -> None:
        order = [side for turn in range(4) for side in in_turn(["before", "after"], turn)]
        assert order == ["before", "after", "after", "before"] * 2


class TestCommandLine:
    def test_the_whole_run_has_as_many_pairs_as_a_verdict_takes(self) -> None:
        plan = planned("--before", "HEAD~1")
        assert (plan.pairs, plan.servers, plan.pods) == (20, 30, 10_000)

    def test_an_amount_that_is_named_counts_in_a_small_sample_too(self) -> None:
        plan = planned("--before", "HEAD~1", "--quick", "--pairs", "7")
        assert (plan.pairs, plan.pods) == (7, against_commit.QUICK.pods)

    @pytest.mark.parametrize("words", [[], ["--before", "x", "--only", "stop"], ["--before", "x", "--pairs", "0"]])
    def test_what_cannot_be_measured_is_refused(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            against_commit.parser().parse_args(words)
        assert "error: " in capsys.readouterr().err


class TestCheckouts:
    def test_a_folder_is_told_from_a_commit(self, tmp_path: Path) -> None:
        assert not is_checkout(tmp_path)
        (tmp_path / "spawner" / "stateroom").mkdir(parents=True)
        assert is_checkout(tmp_path)
        assert not is_checkout(Path("f9d1a7c"))

    def test_a_commit_that_does_not_exist_is_reported_in_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(CheckoutFailed, match=r'^"no-such" is neither a checkout of Stateroom nor one of its'):
            make_checkout("before", tmp_path, "no-such", tmp_path)


def planned(*words: str) -> against_commit.Plan:
    return against_commit.plan_of(against_commit.parser().parse_args(words))


def drawn(number: int, slower: float = 1.0, dice: random.Random | None = None) -> list[Pair]:
    """Return pairs of a machine whose figures vary by a tenth, and by the same for both sides of a pair by a fifth."""
    dice = dice or random.Random(7)
    moods = [dice.uniform(0.9, 1.1) for _ in range(number)]
    return [Pair(mood * dice.uniform(0.95, 1.05), slower * mood * dice.uniform(0.95, 1.05)) for mood in moods]


def test_the_drawn_figures_are_what_they_are_said_to_be() -> None:
    pairs = drawn(500, slower=1.1)
    assert median(pair.after for pair in pairs) / median(pair.before for pair in pairs) == pytest.approx(1.1, abs=0.02)
