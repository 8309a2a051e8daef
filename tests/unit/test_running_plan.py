"""Which jobs a run has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from running import plan, runners
from running.ledger import Ledger, Proof
from running.outcome import Outcome
from running.plan import ROTATION_SECONDS, History
from running.suite import Job, Part, Suite, numbered
from running.suites import SUITES

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
TESTS = Path(runners.__file__).parents[1]


def suite(name: str, *parts: Part, each_run: int = 0, on_request: bool = False) -> Suite:
    some = parts or (Part(),)
    return Suite(name, "", lambda job, _: Outcome(job.name), parts=some, each_run=each_run, on_request=on_request)


def history(commit: str = "c0ffee", inputs: str = "", **days_ago: int) -> History:
    """What a ledger of proofs some days old knows; `_` is for `/` in a name."""
    dates = {name.replace("_", "/"): (NOW - timedelta(days=days)).isoformat() for name, days in days_ago.items()}
    proofs = [Proof(name, date, "0", "1234", 1, 0, 0.0, 60.0) for name, date in dates.items()]
    return History(Ledger(proofs), NOW, commit, lambda _: 0, lambda job: inputs if job.part.inputs else "")


def chosen(suites: list[Suite], known: History, *names: str, everything: bool = False) -> list[str]:
    return [job.name for job in plan.select(suites, names, everything=everything, history=known)]


FAULTS = suite("faults", *numbered("", 4, 300), each_run=1)
HUB5 = suite("hub5", Part("api"), *numbered("rest", 3, 100))
SOAK = suite("soak", on_request=True)
IMAGES = suite("docker", Part(), Part("images", inputs=("images",)))


def test_a_suite_that_is_named_runs_whole_and_a_part_alone() -> None:
    assert chosen([FAULTS, HUB5, SOAK], history(), "soak", "hub5") == [
        "hub5/api", "hub5/rest1", "hub5/rest2", "hub5/rest3", "soak",
    ]  # fmt: skip
    assert chosen([FAULTS, HUB5], history(), "faults/2") == ["faults/2"]
    assert plan.unknown([FAULTS, HUB5], ["faults", "faults/2", "faults/9", "unti"]) == {"faults/9", "unti"}


def test_everything_is_every_part_of_every_suite() -> None:
    assert len(chosen([FAULTS, HUB5, SOAK], history(), everything=True)) == 9


def test_rotated_parts_have_their_turn_by_the_commit() -> None:
    known = dict.fromkeys(["faults_1", "faults_2", "faults_3", "faults_4"], 1)
    turns = [chosen([FAULTS], history(f"commit {number}", **known)) for number in range(40)]
    assert {len(turn) for turn in turns} == {1}
    assert {turn[0] for turn in turns} == {"faults/1", "faults/2", "faults/3", "faults/4"}


def test_a_due_part_goes_before_one_that_is_not() -> None:
    known = {"faults_1": 1, "faults_2": 9, "faults_3": 1, "faults_4": 1}
    assert {*(chosen([FAULTS], history(f"commit {number}", **known))[0] for number in range(10))} == {"faults/2"}


def test_the_oldest_due_parts_are_taken_along_as_time_allows() -> None:
    assert ROTATION_SECONDS < 300
    known = history(hub5_api=1, hub5_rest1=9, hub5_rest2=20, hub5_rest3=2)
    assert chosen([HUB5, SOAK], known) == ["hub5/api", "hub5/rest2", "hub5/rest1"]
    assert len(chosen([HUB5], history())) == 1 + ROTATION_SECONDS // 100


def test_what_was_postponed_comes_first() -> None:
    known = history(hub5_api=1, hub5_rest1=1, hub5_rest2=1, hub5_rest3=1)
    known.ledger.postponed["last"] = NOW.isoformat()
    assert chosen([HUB5, suite("unit"), suite("last")], known) == ["last", "hub5/api", "unit"]


def test_a_part_with_inputs_runs_when_they_have_changed() -> None:
    known = {"docker": 1, "docker_images": 1}
    assert chosen([IMAGES], history(**known)) == ["docker"]
    assert chosen([IMAGES], history(inputs="changed", **known)) == ["docker", "docker/images"]
    assert chosen([IMAGES], history(docker=1, docker_images=9)) == ["docker", "docker/images"]


def test_durations_are_those_of_the_last_proof() -> None:
    known = history(hub5_rest1=1)
    assert known.seconds(Job(HUB5, HUB5.parts[1])) == 60
    assert known.seconds(Job(HUB5, HUB5.parts[2])) == 100


# The table


def test_every_suite_of_tests_has_its_folder_and_its_parts_their_files() -> None:
    for each in SUITES:
        folder = TESTS / {"hub5": "hub", "images": "docker"}.get(each.name, each.name)
        assert each.run not in {runners.run_pytest, runners.run_hub5} or folder.is_dir()
        files = [option.removeprefix("--ignore-glob=*/") for part in each.parts for option in part.options]
        assert [name for name in files if name.endswith(".py") and not (folder / name).exists()] == []


def test_every_folder_of_tests_is_a_suite() -> None:
    folders = {path.parent.name for path in TESTS.glob("*/test_*.py")}
    assert folders == {each.name for each in SUITES if each.run is runners.run_pytest}


def test_each_job_has_a_name_of_its_own() -> None:
    found = [job.name for each in SUITES for job in each.jobs]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("each", SUITES, ids=lambda each: each.name)
def test_rotated_parts_fit_into_the_time_for_them_or_into_each_run(each: Suite) -> None:
    assert each.each_run or all(part.seconds <= ROTATION_SECONDS for part in each.parts if part.rotated)


def test_every_benchmark_is_a_part() -> None:
    found = {path.stem for path in (TESTS / "benchmark").glob("*.py")}
    # One has a suite of its own; the others compare with a commit or a machine that somebody must name.
    others = {"scale_kubernetes", "against_commit", "bare_run"}
    assert {benchmark.module for benchmark in runners.BENCHMARKS} == found - others
