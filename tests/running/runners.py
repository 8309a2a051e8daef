"""How a job's tests are run: commands, each of them one check, or a pytest process."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from running import needs
from running.environments import VENV_OF_HUB5
from running.outcome import Case, MissingRequirement, Outcome, outcome_from_cases, read_cases, slowest
from running.output import say
from running.processes import CACHE, LONGEST_SECONDS, ROOT, TIMED_OUT, VENV, call, tool
from running.suite import Job, Need

RESULTS = CACHE / "test-results"
SCRIPTS = ("run", "test", ".ci/run")

_NO_TESTS = 5  # pytest's exit code where nothing was selected
_LONGEST_FACTOR = 4  # so many times its usual duration, and at least half an hour, a job may take


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: its name on the command line, its module, and its needs."""

    name: str
    module: str
    needs: tuple[Need, ...] = ()


BENCHMARKS = (
    Benchmark("catalog", "large_catalog"),
    Benchmark("docker", "against_dockerspawner", (needs.need_engine, needs.need_image, needs.need_comparison_spawners)),
    Benchmark(
        "first-cell",
        "first_cell",
        (needs.need_engine, needs.need_image, needs.need_comparison_spawners, needs.need_browser),
    ),
    Benchmark(
        "kubernetes",
        "against_kubespawner",
        (needs.need_engine, needs.need_network_tools, needs.need_comparison_spawners, needs.need_cluster),
    ),
)


def run_lint(job: Job, _options: Sequence[str]) -> Outcome:
    """Check the style of the Python code, and the shell scripts."""
    scripts = [script for script in SCRIPTS if (ROOT / script).exists()]
    return run_commands(
        job,
        [tool("ruff"), "check", "."],
        [tool("ruff"), "format", "--check", "."],
        *(["bash", "-n", script] for script in scripts),
        [tool("shellcheck"), *scripts],
    )


def run_types(job: Job, _options: Sequence[str]) -> Outcome:
    """Check the package's types, strictly."""
    return run_commands(job, [tool("mypy")])


def run_imports(job: Job, _options: Sequence[str]) -> Outcome:
    """Check which modules import which."""
    return run_commands(job, [tool("lint-imports")])


def run_benchmark(job: Job, options: Sequence[str]) -> Outcome:
    """Run the benchmark of the job's name; it fails if a figure misses its target."""
    benchmark = next(each for each in BENCHMARKS if each.name == job.part.name)
    try:
        for need in benchmark.needs:  # only now: a cluster that runs would change other benchmarks' figures
            need()
    except MissingRequirement as reason:
        say(f"skipped: {reason}")
        return Outcome(job.name, skipped=[str(reason)])
    return run_commands(job, [*python_of_tests(), "-m", f"benchmark.{benchmark.module}", *options])


def run_scale(job: Job, options: Sequence[str]) -> Outcome:
    """Start ten thousand servers; `-- --quick` takes a few hundred. There is no room for another cluster beside it."""
    needs.stop_own_cluster()
    return run_commands(job, [*python_of_tests(), "-m", "benchmark.scale_kubernetes", *options])


def run_soak(job: Job, options: Sequence[str]) -> Outcome:
    """Start and stop thousands of servers; `-- --starts 100` makes it a short one."""
    return run_commands(job, [*python_of_tests(), "-m", "soak.run", *options])


def python_of_tests() -> list[str]:
    """Return the command of Python with the tests' folders as packages."""
    return ["env", "PYTHONPATH=tests", tool("python")]


def run_commands(job: Job, *commands: Sequence[str]) -> Outcome:
    """Run commands, each of which is one check."""
    outcome = Outcome(job.name)
    for command in commands:
        text = " ".join([Path(command[0]).name, *command[1:]])
        say(f"$ {text}")
        if call(command, limit=longest(job)) == 0:
            outcome.passed += 1
        else:
            outcome.failed.append(text)
    return outcome


def run_pytest(job: Job, options: Sequence[str]) -> Outcome:
    """Run the tests of the suite's folder."""
    return pytest_over(job, job.suite.name, VENV, options)


def run_properties(job: Job, options: Sequence[str]) -> Outcome:
    """Run the unit suite's tests with generated examples."""
    return pytest_over(job, "unit", VENV, options)


def run_images(job: Job, options: Sequence[str]) -> Outcome:
    """Run the docker suite's tests of what is in the images."""
    return pytest_over(job, "docker", VENV, options)


def run_hub5(job: Job, options: Sequence[str]) -> Outcome:
    """Run the hub suite's tests with JupyterHub 5."""
    return pytest_over(job, "hub", VENV_OF_HUB5, options)


def _is_file(option: str) -> bool:
    return option.endswith(".py") and not option.startswith("-")


def pytest_over(job: Job, folder: str, venv: Path, options: Sequence[str]) -> Outcome:
    """Run one pytest process over a folder, or over the files that the job names."""
    with tempfile.TemporaryDirectory(prefix="stateroom-test-") as temporary:
        report = Path(temporary) / "report.xml"
        files = [option for option in job.part.options if _is_file(option)] or [""]
        others = [option for option in job.part.options if not _is_file(option)]
        code = call(
            [
                *[tool("python", venv), "-m", "pytest", "-q", "--tb=short", "--durations=15"],
                *[str(Path("tests", folder, file)) for file in files],
                *[f"--junitxml={report}", f"--color={color()}", *others, *options],
            ],
            venv,
            longest(job),
        )
        cases = _cases(report)
    outcome = outcome_from_cases(job.name, cases)
    if code == _NO_TESTS and not options:
        outcome.failed.append(f"tests/{folder} holds no tests")
    elif code == TIMED_OUT:
        outcome.failed.append("pytest took too long and was ended")
    elif code not in {0, 1, _NO_TESTS} or (code == 1 and not outcome.failed):
        outcome.failed.append(f"pytest ended with exit code {code}")
    write_durations(job, cases)
    return outcome


def color() -> str:
    """Return whether pytest's output, which goes to a file first, ends on a terminal."""
    return "yes" if sys.stdout.isatty() else "no"


def _cases(report: Path) -> list[Case]:
    """Read the report; a process that was killed leaves none, or half of one."""
    try:
        return read_cases(report)
    except (OSError, SyntaxError):  # xml's ParseError is a SyntaxError
        return []


def longest(job: Job) -> float:
    """Return how long a command of a job may take."""
    return max(LONGEST_SECONDS, _LONGEST_FACTOR * job.part.seconds)


# Files for whoever looks for what takes long


def file_of_results(job: str, suffix: str) -> Path:
    """Return the file of a job's results."""
    return RESULTS / f"{job.replace('/', '-')}{suffix}"


def write_durations(job: Job, cases: Sequence[Case]) -> None:
    """Write a job's slowest tests."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    lines = [f"{seconds:8.2f} s  {name}\n" for name, seconds in slowest(cases)]
    file_of_results(job.name, ".durations.txt").write_text("".join(lines))


def write_outcome(outcome: Outcome) -> None:
    """Write a job's counts and durations."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    file_of_results(outcome.job, ".json").write_text(json.dumps(asdict(outcome), indent=1) + "\n")
