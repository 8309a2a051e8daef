"""A whole run, with suites that are commands of a moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from running import main
from running.processes import ROOT

PROGRAM = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "tests")!r})
from pathlib import Path
from running import budget, jobs, main, processes, runners, source_tree
from running.runners import run_commands
from running.suite import Lane, Part, Suite

folder = Path(sys.argv[1])
main.LEDGER = folder / "proven.json"
runners.RESULTS = folder / "results"
main.install_package = lambda: None
main.needs.stop_own_cluster = lambda: print("cluster stopped", flush=True)
main.needs.stop_own_engine = lambda: print("engine stopped", flush=True)
main.source_tree.digest = lambda *_, **__: "1234"

def command(code):
    return lambda job, options: run_commands(job, [sys.executable, "-c", code])

def hangs(job, options):
    time.sleep(3600)
"""
QUICK = """
main.SUITES = (
    Suite("good", "", command("print('hello')"), parts=(Part(seconds=1),)),
    Suite("other", "", command("print('hello')"), Lane.CLUSTER, parts=(Part(seconds=1),)),
    Suite("long", "", command("print('hello')"), parts=(Part(seconds=1000),)),
)
"""


def run(tmp_path: Path, setting: str, *words: str) -> subprocess.CompletedProcess[str]:
    program = f"{PROGRAM}{setting}\nsys.exit(main.main(sys.argv[2:]))"
    env = {key: value for key, value in os.environ.items() if key not in {"CI", "STATEROOM_TEST_BUDGET"}}
    command = [sys.executable, "-c", program, str(tmp_path), *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


def test_a_run_postpones_what_does_not_fit_and_is_green(tmp_path: Path) -> None:
    done = run(tmp_path, QUICK, "--budget", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "2 passed, 0 failed, 0 skipped"
    kept = json.loads((tmp_path / "proven.json").read_text())
    assert [proof["job"] for proof in kept["proofs"]] == ["good", "other"]
    assert list(kept["postponed"]) == ["long"]


def test_what_was_postponed_is_the_first_of_the_next_run(tmp_path: Path) -> None:
    run(tmp_path, QUICK, "--budget", "5")
    again = run(tmp_path, QUICK)
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.index("== long") < again.stdout.index("== good")
    assert json.loads((tmp_path / "proven.json").read_text())["postponed"] == {}


def test_results_of_a_run_elsewhere_are_recorded_from_its_log(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "log").write_text(run(there, QUICK, "good", "other").stdout)
    done = run(here, QUICK, "--record", str(here / "log"))
    assert "2 proofs from" in done.stdout
    assert (here / "proven.json").read_text() == (there / "proven.json").read_text()
    assert run(here, QUICK, "--record", os.devnull).returncode == 1


def test_a_release_names_what_is_not_proven(tmp_path: Path) -> None:
    setting = QUICK + "main.source_tree.is_clean = lambda *_: True\n"
    run(tmp_path, setting, "good", "other")
    refused = run(tmp_path, setting, "--release")
    assert refused.returncode == 1
    assert refused.stdout.splitlines()[0].startswith("not proven on ")
    assert [line.rpartition(" ")[2] for line in refused.stdout.splitlines()] == ["long"]
    run(tmp_path, setting, "long")
    assert run(tmp_path, setting, "--release").returncode == 0
    changed = setting + "main.source_tree.digest = lambda *_, **__: '5678'\n"
    assert len(run(tmp_path, changed, "--release").stdout.splitlines()) == 3


def test_a_checkout_with_changes_is_not_released(tmp_path: Path) -> None:
    done = run(tmp_path, QUICK + "main.source_tree.is_clean = lambda *_: False\n", "--release")
    assert (done.returncode, "a release is made of a commit" in done.stdout) == (1, True)


def test_a_run_with_options_proves_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, QUICK, "good", "--", "-k", "x")
    assert "The ledger keeps nothing of a run with options." in done.stdout
    assert not (tmp_path / "proven.json").exists()


def test_a_tree_that_changed_meanwhile_is_not_proven(tmp_path: Path) -> None:
    setting = QUICK + "trees = iter('abc')\nmain.source_tree.digest = lambda *_, **__: next(trees)\n"
    assert "the source tree changed meanwhile" in run(tmp_path, setting, "good").stdout
    assert not (tmp_path / "proven.json").exists()


def test_a_command_that_hangs_is_cut_off_and_the_run_ends_and_cleans_up(tmp_path: Path) -> None:
    setting = """
budget.GRACE_SECONDS = 3
main.SUITES = (
    Suite("good", "", command("print('hello')"), parts=(Part(seconds=0.1),)),
    Suite("slow", "", command("import time; time.sleep(3600)"), Lane.CLUSTER, parts=(Part(seconds=0.1),)),
)
"""
    done = run(tmp_path, setting, "--budget", "0.02")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "postponed: slow: it was cut off, unfinished" in done.stdout
    assert "cluster stopped\nengine stopped" in done.stdout
    assert list(json.loads((tmp_path / "proven.json").read_text())["postponed"]) == ["slow"]


def test_a_run_that_is_stuck_ends_red_and_cleans_up(tmp_path: Path) -> None:
    setting = """
main._STUCK_AFTER = 2
main.SUITES = (Suite("good", "", command("print('hello')")), Suite("stuck", "", hangs, Lane.CLUSTER))
for suite in main.SUITES:
    object.__setattr__(suite, "parts", (Part(seconds=0.1),))
"""
    done = run(tmp_path, setting, "--budget", "0.02")
    assert done.returncode == 1
    assert "Not run, or not ended: stuck" in done.stdout
    assert "the run did not end after all of its commands were ended" in done.stdout
    assert "cluster stopped\nengine stopped" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "split"),
    [
        (["unit", "--", "-k", "choice", "--", "x"], (["unit"], ["-k", "choice", "--", "x"])),
        (["unit"], (["unit"], [])),
    ],
)
def test_what_follows_the_dashes_is_pytests(arguments: list[str], split: tuple[list[str], list[str]]) -> None:
    assert main.split_at_dashes(arguments) == split


@pytest.mark.parametrize(
    ("env", "words", "minutes"),
    [
        ({}, [], 0),
        ({"CI": "true"}, [], 60),
        ({"CI": "true", "STATEROOM_TEST_BUDGET": "45"}, [], 45),
        ({"CI": "true", "STATEROOM_TEST_BUDGET": "45"}, ["--budget", "30"], 30),
        ({"STATEROOM_TEST_BUDGET": "45"}, ["--budget", "0"], 0),
    ],
)
def test_ci_has_a_budget_of_an_hour_and_others_have_what_they_ask_for(
    env: dict[str, str], words: list[str], minutes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CI", "STATEROOM_TEST_BUDGET"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main.parser().parse_args(words).budget == minutes
