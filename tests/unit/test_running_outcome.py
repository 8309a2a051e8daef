"""How results are counted and reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from running.outcome import Outcome, outcome_from_cases, read_cases, slowest
from running.report import report

REPORT = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_good" time="0.5"/>
<testcase classname="tests.unit.test_a" name="test_bad" time="3"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_a" name="test_twice" time="1"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_a" name="test_twice" time="1"><error message="clean-up"/></testcase>
<testcase classname="tests.unit.test_a" name="test_late"><error message="clean-up"/></testcase>
<testcase classname="" name="tests.unit.test_b"><error message="collection failure"/></testcase>
<testcase classname="tests.unit.test_a" name="test_away"><skipped message="no engine"/></testcase>
<testcase classname="tests.unit.test_a" name="test_ours"><skipped type="pytest.xfail" message="not so"/></testcase>
</testsuite></testsuites>"""

GREEN = Outcome("unit", passed=3)
RED = Outcome("unit", passed=3, failed=["test_bad"])
LISTED = Outcome("jupyterhub/memory", passed=2, expected=3)
PARTLY = Outcome("hub", passed=1, skipped=["test_away: no engine"])
POSTPONED = Outcome("faults/3", postponed="it takes about 300 s here, and 20 s are left of the budget")


@pytest.fixture
def xml(tmp_path: Path) -> Path:
    path = tmp_path / "report.xml"
    path.write_text(REPORT)
    return path


def test_a_report_is_counted_test_by_test(xml: Path) -> None:
    outcome = outcome_from_cases("unit", read_cases(xml))
    assert outcome.passed == 1
    assert [test.rpartition("::")[2] for test in outcome.failed] == [
        "test_bad", "test_twice", "test_late", "tests.unit.test_b",
    ]  # fmt: skip
    assert outcome.skipped == ["tests.unit.test_a::test_away: no engine"]
    assert outcome.expected == 1


def test_the_slowest_tests_come_first(xml: Path) -> None:
    assert slowest(read_cases(xml), 2) == [("tests.unit.test_a::test_bad", 3.0), ("tests.unit.test_a::test_twice", 2.0)]


@pytest.mark.parametrize(
    ("outcomes", "no_skips", "code"),
    [
        ([GREEN], False, 0),
        ([GREEN], True, 0),
        ([GREEN, LISTED], True, 0),
        ([GREEN, RED], False, 1),
        ([GREEN, PARTLY], False, 0),
        ([GREEN, PARTLY], True, 1),
        ([GREEN, POSTPONED], True, 0),
        ([RED, POSTPONED], True, 1),
    ],
)
def test_failures_are_red_and_so_are_skips_where_all_is_required(
    outcomes: list[Outcome], code: int, *, no_skips: bool
) -> None:
    assert report(outcomes, no_skips=no_skips) == code


def test_the_last_line_counts_and_each_skip_has_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    report([RED, PARTLY, LISTED], no_skips=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "6 passed, 1 failed, 1 skipped"
    assert "failed in jupyterhub/memory as its list expects: 3" in lines
    assert "skipped in hub: test_away: no engine" in lines
    assert "failed in unit: test_bad" in lines


def test_a_postponed_job_counts_as_neither_passed_nor_failed(capsys: pytest.CaptureFixture[str]) -> None:
    report([GREEN, POSTPONED], no_skips=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "3 passed, 0 failed, 0 skipped"
    assert f"postponed: faults/3: {POSTPONED.postponed}" in lines
    assert "1 of 2 jobs postponed and not proven. The next run begins with: faults/3" in lines


def test_set_up_and_tests_have_columns_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    report([Outcome("hub", passed=1, setup_seconds=61.5, test_seconds=300.25)], no_skips=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line][:2] == [
        ["job", "passed", "failed", "skipped", "set-up", "tests"],
        ["hub", "1", "0", "0", "61.5", "300.2"],
    ]


@pytest.mark.parametrize(
    ("outcome", "proves"),
    [(GREEN, True), (LISTED, True), (RED, False), (PARTLY, False), (POSTPONED, False), (Outcome("unit"), False)],
)
def test_a_job_is_proven_if_all_of_it_ran_as_expected(outcome: Outcome, *, proves: bool) -> None:
    assert outcome.proves is proves
