"""What makes `./test` red or green."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import tiers
from harness import cluster
from tiers import Outcome, Tier, Unmet, outcome_from_report, run_tier, split_at_dashes, summary

REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_good"/>
<testcase classname="tests.unit.test_a" name="test_bad"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_a" name="test_twice"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_a" name="test_twice"><error message="clean-up"/></testcase>
<testcase classname="tests.unit.test_a" name="test_late"><error message="clean-up"/></testcase>
<testcase classname="" name="tests.unit.test_b"><error message="collection failure"/></testcase>
<testcase classname="tests.unit.test_a" name="test_away"><skipped message="no engine"/></testcase>
<testcase classname="tests.unit.test_a" name="test_ours"><skipped type="pytest.xfail" message="not so"/></testcase>
</testsuite></testsuites>"""

GREEN = Outcome("unit", passed=3)
RED = Outcome("unit", passed=3, failed=["test_bad"])
LISTED = Outcome("jupyterhub", passed=2, expected=3)
PARTLY = Outcome("hub", passed=1, skipped=["test_away: no engine"])


def test_a_report_is_counted_test_by_test(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    outcome = outcome_from_report("unit", report)
    assert outcome.passed == 1
    assert [test.rpartition("::")[2] for test in outcome.failed] == [
        "test_bad", "test_twice", "test_late", "tests.unit.test_b",
    ]  # fmt: skip
    assert outcome.skipped == ["tests.unit.test_a::test_away: no engine"]
    assert outcome.expected == 1


@pytest.mark.parametrize(
    ("outcomes", "no_skips", "code"),
    [
        ([GREEN], False, 0),
        ([GREEN], True, 0),
        ([GREEN, LISTED], True, 0),
        ([GREEN, RED], False, 1),
        ([GREEN, PARTLY], False, 0),
        ([GREEN, PARTLY], True, 1),
    ],
)
def test_failures_are_red_and_so_are_skips_where_all_is_required(
    outcomes: list[Outcome], code: int, *, no_skips: bool
) -> None:
    assert summary(outcomes, no_skips=no_skips) == code


def test_the_last_line_counts_and_each_skip_has_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    summary([RED, PARTLY, LISTED], no_skips=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "6 passed, 1 failed, 1 skipped"
    assert "failed in jupyterhub as its list expects: 3" in lines
    assert "skipped in hub: test_away: no engine" in lines
    assert "failed in unit: test_bad" in lines


def test_a_tier_whose_needs_cannot_be_met_is_skipped_with_the_reason() -> None:
    outcome = run_tier(Tier("hub", "", lambda name, _: Outcome(name, passed=1), (unmet,)), [])
    assert (outcome.passed, outcome.skipped) == (0, ["the whole tier: no engine"])


def test_a_tier_that_runs_in_part_runs_without_its_needs() -> None:
    tier = Tier("contract", "", lambda name, _: Outcome(name, passed=1), (unmet,), partly=True)
    assert run_tier(tier, []).passed == 1


def test_a_tier_beside_another_runs_at_the_same_time_and_is_told_of_after_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    both = threading.Barrier(2)

    def run(name: str, _: object) -> Outcome:
        both.wait(10)
        assert tiers.call([sys.executable, "-c", f"print('from {name}')"]) == 0
        return Outcome(name)

    chosen = [
        Tier("hub", "", run),
        Tier("last", "", lambda name, _: Outcome(name)),
        Tier("hub5", "", run, beside="hub"),
    ]
    assert [outcome.tier for outcome in tiers.run_all(chosen, [])] == ["hub", "hub5", "last"]
    said = [line for line in capfd.readouterr().out.splitlines() if line]
    assert said == ["== hub: ", "from hub", "== hub5: ", "from hub5", "== last: "]


def test_a_tier_beside_one_that_does_not_run_runs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = [Tier("hub5", "", lambda name, _: Outcome(name), beside="hub")]
    assert [outcome.tier for outcome in tiers.run_all(chosen, [])] == ["hub5"]
    assert capsys.readouterr().out == "\n== hub5: \n"


def test_what_could_not_be_met_is_not_tried_again() -> None:
    tried = []

    @tiers.once
    def need() -> None:
        tried.append(1)
        raise Unmet("no engine")

    for _ in range(2):
        with pytest.raises(Unmet, match="no engine"):
            need()
    assert tried == [1]


def test_what_follows_the_dashes_is_pytests() -> None:
    assert split_at_dashes(["unit", "--", "-k", "choice", "--", "x"]) == (["unit"], ["-k", "choice", "--", "x"])
    assert split_at_dashes(["unit"]) == (["unit"], [])


def test_every_tier_with_tests_has_its_folder() -> None:
    tests = Path(tiers.__file__).parent
    assert [
        tier.name for tier in tiers.TIERS if tier.run is tiers.run_pytest and not (tests / tier.name).is_dir()
    ] == []


def test_every_benchmark_is_run_by_a_tier() -> None:
    found = {path.stem for path in (Path(tiers.__file__).parent / "benchmark").glob("*.py")}
    assert {benchmark.module for benchmark in tiers.BENCHMARKS} == found - {"scale_kubernetes"}


def test_one_benchmark_may_be_chosen_and_the_other_options_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = []
    monkeypatch.setattr(tiers, "call", lambda command: commands.append(command) or 0)
    assert tiers.run_benchmark("benchmark", ["--only", "catalog", "--quick"]).passed == 1
    assert [command[-3:] for command in commands] == [["-m", "benchmark.large_catalog", "--quick"]]


def test_a_benchmark_whose_needs_cannot_be_met_keeps_no_other_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiers, "call", lambda _: 0)
    monkeypatch.setattr(tiers, "BENCHMARKS", (tiers.Benchmark("a", "a", (unmet,)), tiers.Benchmark("b", "b")))
    outcome = tiers.run_benchmark("benchmark", [])
    assert (outcome.passed, outcome.failed, outcome.skipped) == (1, [], ["a: no engine"])


def test_an_unknown_tier_is_refused_with_the_known_ones() -> None:
    done = subprocess.run([sys.executable, tiers.__file__, "unti"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no tier unti; the tiers are lint, types" in done.stderr


def test_a_cluster_that_is_named_is_taken_and_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATEROOM_TEST_KUBECONFIG", "/somewhere/kubeconfig")
    monkeypatch.setattr(tiers, "call", lambda *_: pytest.fail("something was started"))
    tiers.need_cluster()
    assert cluster.kubeconfig() == Path("/somewhere/kubeconfig")


def test_a_folder_of_programs_that_is_named_and_missing_is_not_made_up_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STATEROOM_CLUSTER_PROGRAMS", str(tmp_path))
    assert cluster.programs_folder() == tmp_path
    monkeypatch.setenv("STATEROOM_CLUSTER_PROGRAMS", str(tmp_path / "nowhere"))
    assert cluster.programs_folder() is None


def unmet() -> None:
    raise Unmet("no engine")
