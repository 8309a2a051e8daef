"""How jobs run: their needs, their lanes, their output, and their end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import cluster
from running import jobs, lanes, needs, output, processes, runners
from running.budget import GRACE_SECONDS, Budget
from running.jobs import Runner, run_job
from running.lanes import run_lanes
from running.outcome import MissingRequirement, Outcome
from running.runners import Benchmark
from running.suite import Job, Lane, Need, Part, Suite

PATIENCE = 30
ENDLESS = "import time; print('begun', flush=True); time.sleep(3600)"


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runners, "RESULTS", tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def commands(monkeypatch: pytest.MonkeyPatch) -> Iterator[processes._Commands]:
    own = processes._Commands()
    monkeypatch.setattr(processes, "commands", own)
    yield own
    own.end_all()


def job(
    name: str,
    run: Callable[[], object] = lambda: None,
    lane: Lane = Lane.ENGINE,
    wanted: tuple[Need, ...] = (),
    *,
    optional_needs: bool = False,
) -> Job:
    def passed(job: Job, _options: object) -> Outcome:
        run()
        return Outcome(job.name, passed=1)

    suite = Suite(name, "", passed, lane, needs=wanted, optional_needs=optional_needs)
    return suite.jobs[0]


def runner(budget: Budget | None = None, *, live: bool = False) -> Runner:
    return Runner(budget or Budget(), [], lambda job: job.part.seconds, live)


def missing() -> None:
    raise MissingRequirement("no engine")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


# Needs


def test_a_job_whose_needs_are_missing_is_skipped_with_the_reason() -> None:
    outcome = run_job(job("hub", wanted=(missing,)), [])
    assert (outcome.passed, outcome.skipped) == (0, ["all of it: no engine"])


def test_a_job_with_optional_needs_runs_without_them() -> None:
    assert run_job(job("contract", wanted=(missing,), optional_needs=True), []).passed == 1


def test_a_need_is_met_once_whichever_thread_asks_first() -> None:
    tried, go_on = [], threading.Event()

    @needs.once
    def need() -> None:
        tried.append(1)
        go_on.wait(PATIENCE)
        raise MissingRequirement("no engine")

    def ask() -> None:
        with pytest.raises(MissingRequirement, match="no engine"):
            need()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE)
    ask()
    assert tried == [1]


def test_what_the_images_build_would_install_is_there_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(needs, "may_install_packages", lambda: True)
    monkeypatch.setattr(needs.shutil, "which", lambda _: None)
    monkeypatch.setattr(needs, "install_packages", lambda *packages: done.extend(packages))
    monkeypatch.setattr(needs, "call", lambda words, **_: done.append(words[-1]) or 0)
    needs.once(needs.need_image.__wrapped__)()
    assert done == ["mmdebstrap", "debian-archive-keyring", "unified"]


def test_set_up_and_tests_are_timed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(jobs.time, "monotonic", clock)
    outcome = run_job(job("hub", lambda: set_to(clock, 350), wanted=(lambda: set_to(clock, 50),)), [])
    assert (outcome.setup_seconds, outcome.test_seconds) == (50, 300)


def set_to(clock: Clock, now: float) -> None:
    clock.now = now


# Lanes


def test_two_lanes_run_side_by_side_and_each_in_its_order() -> None:
    both, order = threading.Barrier(2, timeout=PATIENCE), []

    def run(name: str) -> Callable[[], object]:
        return lambda: (both.wait(PATIENCE), order.append(name))

    places = {"a": Lane.ENGINE, "b": Lane.CLUSTER}
    chosen = [job(name, run(name), places[name[0]]) for name in ("a1", "b1", "a2", "b2")]
    outcomes: list[Outcome] = []
    run_lanes(chosen, runner().run, outcomes.append, alone_first=False)
    assert order.index("a1") < order.index("a2")
    assert order.index("b1") < order.index("b2")
    assert {outcome.job for outcome in outcomes} == {"a1", "a2", "b1", "b2"}


def test_now_and_then_a_run_says_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lanes, "_REPORT_SECONDS", 0.01)
    said = ""

    def until_said() -> None:
        nonlocal said
        until = time.monotonic() + PATIENCE
        while "-- running: a" not in said and time.monotonic() < until:
            said += capsys.readouterr().out
            time.sleep(0.01)

    run_lanes([job("a", until_said)], runner().run, lambda _: None, alone_first=False)
    assert "-- running: a\n" in said


@pytest.mark.parametrize(("first", "order"), [(True, ["c", "a", "b"]), (False, ["a", "b", "c"])])
def test_what_runs_alone_runs_before_or_after_the_lanes(order: list[str], *, first: bool) -> None:
    began: list[str] = []
    chosen = [job(name, lambda name=name: began.append(name), lane) for name, lane in zip("abc", Lane, strict=True)]
    run_lanes(chosen, runner().run, lambda _: None, alone_first=first)
    assert began.index("c") == order.index("c")


def test_what_goes_wrong_in_a_lane_is_raised_at_once() -> None:
    go_on = threading.Event()

    def fail() -> None:
        raise ValueError("a fault of ours")

    chosen = [job("a", lambda: go_on.wait(PATIENCE)), job("b", fail, Lane.CLUSTER)]
    ended = threading.Event()
    with pytest.raises(ValueError, match="a fault of ours"):
        run_lanes(chosen, runner().run, lambda _: ended.set(), alone_first=False)
    go_on.set()
    assert ended.wait(PATIENCE)


# Output


def test_output_of_lanes_comes_whole_when_a_job_has_ended(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    first, second = threading.Event(), threading.Event()

    def run(name: str, mine: threading.Event, other: threading.Event) -> Callable[[], object]:
        def talk() -> None:
            assert processes.call(python(f"print('{name} begins')")) == 0
            mine.set()
            assert other.wait(PATIENCE)
            assert processes.call(python(f"print('{name} ends')")) == 0

        return talk

    chosen = [job("a", run("a", first, second)), job("b", run("b", second, first), Lane.CLUSTER)]
    run_lanes(chosen, runner().run, lambda _: None, alone_first=False)
    lines = capfdbinary.readouterr().out.decode().splitlines()
    for name in "ab":
        at = lines.index(f"== {name}: ")
        assert lines[at + 1 : at + 3] == [f"{name} begins", f"{name} ends"]


def test_output_of_a_job_that_runs_alone_appears_at_once(
    capfdbinary: pytest.CaptureFixture[bytes], results: Path
) -> None:
    seen = bytearray()

    def talk() -> None:
        assert processes.call(python("print('hello')")) == 0
        until = time.monotonic() + PATIENCE
        while b"hello" not in seen and time.monotonic() < until:
            seen.extend(capfdbinary.readouterr().out)
            time.sleep(0.01)

    runner(live=True).run(job("unit", talk))
    assert b"== unit: \nhello\n" in bytes(seen)
    assert (results / "unit.log").read_text() == "\n== unit: \nhello\n"


def test_counts_and_durations_are_written_for_each_job(results: Path) -> None:
    runner().run(job("unit"))
    assert '"passed": 1' in (results / "unit.json").read_text()


# The end


def test_a_job_that_would_not_end_in_time_is_postponed(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = runner(Budget(59)).run(job("hub", lambda: pytest.fail("it ran")))  # a part takes 60 s
    assert outcome.postponed.startswith("it takes about 60 s here, and 5")
    assert "-- hub is postponed: it takes about 60 s here" in capsys.readouterr().out


def test_the_pace_is_learnt_from_jobs_that_have_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, budget = Clock(), Budget(3600)
    monkeypatch.setattr(jobs.time, "monotonic", clock)
    runner(budget).run(job("unit", lambda: set_to(clock, 180)))
    assert budget.estimate(100) == 300


def cut_off(seconds: float, monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> Outcome:
    """Run a job that the budget's end cuts off after some seconds."""
    clock = Clock()
    budget = Budget(100, clock)
    monkeypatch.setattr(jobs.time, "monotonic", clock)

    def run(_job: Job, _options: object) -> Outcome:
        clock.now = seconds
        return outcome

    budget.began = seconds - 100 - GRACE_SECONDS
    (job,) = Suite("hub", "", run).jobs
    return Runner(budget, [], lambda _: 60, live=False)._judged(job, run_job(job, []))


def test_a_job_that_is_cut_off_is_postponed_and_what_failed_in_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = cut_off(120, monkeypatch, Outcome("hub", 5, ["a::test_bad", "pytest took too long and was ended"]))
    assert outcome.postponed.startswith("it was cut off, unfinished, after 120 s")
    assert outcome.failed == ["a::test_bad"]
    assert not outcome.proves


def test_a_job_that_took_far_too_long_before_it_was_cut_off_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = cut_off(500, monkeypatch, Outcome("hub", 5, ["pytest took too long and was ended"]))
    assert outcome.postponed == ""
    assert outcome.failed[-1] == "not ended after 500 s, where 60 s are usual"


def test_a_command_that_takes_too_long_is_interrupted_and_cleans_up(capfd: pytest.CaptureFixture[str]) -> None:
    code = """
import time
try:
    time.sleep(3600)
finally:
    print('cleaned up', flush=True)
"""
    assert processes.call(python(code), limit=1) == processes.TIMED_OUT
    assert "cleaned up" in capfd.readouterr().out


def test_no_command_runs_longer_than_the_whole_run(commands: processes._Commands) -> None:
    commands.end_by(0)
    assert processes.call(python(ENDLESS)) == processes.TIMED_OUT


def test_a_command_that_cleans_up_for_too_long_is_killed_with_its_children(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "_CLEAN_UP_SECONDS", 0.1)
    pid = tmp_path / "pid"
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); import subprocess, sys, time, pathlib;"
    child = f"child = subprocess.Popen(['sleep', '3600']); pathlib.Path({str(pid)!r}).write_text(str(child.pid));"
    assert processes.call(python(f"{deaf}{child}time.sleep(3600)"), limit=1.5) == processes.TIMED_OUT
    until = time.monotonic() + PATIENCE
    while is_alive(int(pid.read_text())):
        assert time.monotonic() < until
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_interrupted_run_ends_its_commands_and_its_lanes_begin_no_other(commands: processes._Commands) -> None:
    codes: list[object] = []
    begun = threading.Event()

    def lane() -> None:
        begun.set()
        codes.append(processes.call(python(ENDLESS)))
        try:
            processes.call(python(ENDLESS))
        except KeyboardInterrupt:
            codes.append("refused")

    thread = threading.Thread(target=lane)
    thread.start()
    assert begun.wait(PATIENCE)
    until = time.monotonic() + PATIENCE
    while not commands._children and time.monotonic() < until:
        time.sleep(0.01)
    commands.end_all()
    thread.join(PATIENCE)
    assert codes[1:] == ["refused"]
    assert codes[0] != 0
    assert processes.call(python("pass")) == 0, "the main thread cleans up"


# Particular suites


def test_a_benchmark_whose_needs_are_missing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "call", lambda *_, **__: 0)
    monkeypatch.setattr(runners, "BENCHMARKS", (Benchmark("a", "a", (missing,)), Benchmark("b", "b")))
    suite = Suite("benchmark", "", runners.run_benchmark, parts=(Part("a"), Part("b")))
    outcomes = [run_job(each, []) for each in suite.jobs]
    assert [(outcome.passed, outcome.skipped) for outcome in outcomes] == [(0, ["no engine"]), (1, [])]


def test_a_cluster_that_is_named_is_taken_and_none_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATEROOM_TEST_KUBECONFIG", "/somewhere/kubeconfig")
    monkeypatch.setattr(needs, "call", lambda *_, **__: pytest.fail("something was started"))
    needs.need_cluster()
    assert cluster.kubeconfig() == Path("/somewhere/kubeconfig")


def test_a_folder_of_programs_that_is_named_and_missing_has_no_substitute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STATEROOM_CLUSTER_PROGRAMS", str(tmp_path))
    assert cluster.programs_folder() == tmp_path
    monkeypatch.setenv("STATEROOM_CLUSTER_PROGRAMS", str(tmp_path / "nowhere"))
    assert cluster.programs_folder() is None


def test_pytest_reports_what_it_ran_and_which_tests_were_slow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, results: Path
) -> None:
    folder = tmp_path / "tests" / "small"
    folder.mkdir(parents=True)
    (folder / "test_small.py").write_text("def test_good(): pass\ndef test_bad(): assert 0\n")
    monkeypatch.setattr(processes, "ROOT", tmp_path)
    monkeypatch.setattr(runners, "tool", lambda *_: sys.executable)
    outcome = runners.run_pytest(Job(Suite("small", "", runners.run_pytest), Part(options=("test_small.py",))), [])
    assert (outcome.passed, [name.rpartition("::")[2] for name in outcome.failed]) == (1, ["test_bad"])
    assert "test_good" in (results / "small.durations.txt").read_text()
    none = runners.run_pytest(Job(Suite("small", "", runners.run_pytest), Part(options=("-k", "nothing"))), [])
    assert none.failed == ["tests/small holds no tests"]


def test_terminal_lines_of_several_threads_do_not_mix(capfd: pytest.CaptureFixture[str]) -> None:
    threads = [threading.Thread(target=output.announce, args=(letter * 50,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(capfd.readouterr().out.splitlines()) == [letter * 50 for letter in "abcdefgh"]


def test_the_command_line_knows_suites_and_refuses_others() -> None:
    runs = [sys.executable, str(Path(runners.__file__).parent)]
    listed = subprocess.run([*runs, "--list"], capture_output=True, text=True, check=True, timeout=60)
    assert "hub5        the hub suite with JupyterHub 5" in listed.stdout
    refused = subprocess.run([*runs, "unti"], capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 2
    assert "there is no suite unti; the suites are lint, types" in refused.stderr


def test_sigterm_is_as_ctrl_c() -> None:
    from running.main import terminated_as_interrupted

    with pytest.raises(KeyboardInterrupt), terminated_as_interrupted():
        signal.raise_signal(signal.SIGTERM)
