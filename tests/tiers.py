"""Runs the tiers of the tests, having installed what they need: the inside of `./test`.

Runs with any Python 3.11 before anything is installed, so it imports nothing
but the standard library, and harness.cluster, which does the same. A tier is a
command or a pytest process of its own; a failed one does not keep the next from
running.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from harness import cluster

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_OF_HUB5 = ROOT / ".venv-jupyterhub5"
ENGINE = ROOT / ".cache" / "test-engine"  # its log stays there
SCRIPTS = ("run", "test", ".ci/run")

# Far beyond what a tier takes; a tier that hangs must not take the rest with it.
LONGEST_TIER = (90 if "STATEROOM_FAULT_TRIALS" in os.environ else 30) * 60
NO_TESTS = 5  # pytest's exit code where nothing was selected
EXPECTED_FAILURE = "pytest.xfail"  # how its report tells them from the skipped

# Where a tier that runs beside another keeps what it says until that has ended; None for the terminal.
kept: ContextVar[IO[str] | None] = ContextVar("kept", default=None)


class Unmet(Exception):
    """Something that a tier needs cannot be had here; the message is the reason for skipping it."""


@dataclass(slots=True)
class Outcome:
    """What became of a tier."""

    tier: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    expected: int = 0  # failures that the tier's own list expects
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier.

    `needs` are met in their order before it runs; `partly`: some of it runs
    without them. `on_request`: it runs only where it is named. `beside`: the
    tier that it runs at the same time as, where both run.
    """

    name: str
    about: str
    run: Callable[[str, Sequence[str]], Outcome]
    needs: tuple[Callable[[], None], ...] = ()
    partly: bool = False
    on_request: bool = False
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: what it is called on the command line, and its module."""

    name: str
    module: str
    needs: tuple[Callable[[], None], ...] = ()


def main(arguments: Sequence[str]) -> int:
    """Run the tiers that were asked for; the exit code."""
    own, options = split_at_dashes(arguments)
    asked = parser().parse_args(own)
    if asked.list:
        for tier in TIERS:
            print(f"{tier.name:12}{tier.about}")
        return 0
    if unknown := set(asked.tiers) - set(names()):
        parser().error(f"there is no tier {', '.join(sorted(unknown))}; the tiers are {', '.join(names())}")
    chosen = [tier for tier in TIERS if tier.name in asked.tiers or not (asked.tiers or tier.on_request)]
    outcomes: list[Outcome] = []
    try:
        install_package()
        for outcome in run_all(chosen, options):
            outcomes.append(outcome)  # noqa: PERF402 - one at a time, to have those before a Ctrl-C
    except Unmet as reason:
        print(f"./test: {reason}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    finally:
        stop_own_engine()
        stop_own_cluster()
    return summary(outcomes, no_skips=asked.require_all or os.environ.get("CI") == "true")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="./test",
        usage="./test [tier...] [-- options of pytest, of the benchmarks or of the soak]",
        description="Runs the tests, having installed what they need. Without a tier it runs all of them, in order, "
        "but for the benchmark, the scale and the soak.",
        epilog="A Docker engine or a Kubernetes cluster that had to be started is stopped at the end, unless "
        "STATEROOM_KEEP_ENGINE is set. STATEROOM_TEST_KUBECONFIG=FILE names a cluster to use instead; "
        "STATEROOM_CLUSTER_PROGRAMS=FOLDER has the programs of which one is started. "
        "STATEROOM_SCREENSHOTS=FOLDER keeps what the browser tier saw; "
        "STATEROOM_FAULT_TRIALS=20 runs all trials of the faults tier, which take an hour, and not a sample. "
        "STATEROOM_README_PICTURE=1 renews the README's picture. "
        "Example: ./test unit -- -k choice",
    )
    made.add_argument("tiers", nargs="*", metavar="tier", help=", ".join(names()))
    made.add_argument("--list", action="store_true", help="name the tiers and what they check")
    made.add_argument("--require-all", action="store_true", help="count what was skipped as failed, as CI=true does")
    return made


def run_all(chosen: Sequence[Tier], options: Sequence[str]) -> Iterator[Outcome]:
    """One after the other, but for those that run beside another."""
    companions = {tier.beside: tier for tier in chosen if tier.beside in {other.name for other in chosen}}
    for tier in chosen:
        if companion := companions.get(tier.name):
            yield from run_side_by_side(tier, companion, options)
        elif tier not in companions.values():
            yield run_tier(tier, options)


def run_side_by_side(tier: Tier, companion: Tier, options: Sequence[str]) -> Iterator[Outcome]:
    """Two tiers at the same time. What the second says comes when the first has ended."""
    with tempfile.TemporaryFile("w+") as said, ThreadPoolExecutor(1) as thread:
        for each in (tier, companion):
            with contextlib.suppress(Unmet):  # which its own run tells
                meet(each)
        apart = copy_context()
        apart.run(kept.set, said)
        running = thread.submit(apart.run, run_tier, companion, options)
        yield run_tier(tier, options)
        outcome = running.result()
        said.seek(0)
        shutil.copyfileobj(said, sys.stdout)
        yield outcome


def say(words: str) -> None:
    """Print for whoever waits, at once."""
    print(words, file=kept.get(), flush=True)


def run_tier(tier: Tier, options: Sequence[str]) -> Outcome:
    """Meet the tier's needs, run it and take the time."""
    say(f"\n== {tier.name}: {tier.about}")
    started = time.monotonic()
    try:
        meet(tier)
    except Unmet as reason:
        say(f"skipped: {reason}")
        outcome = Outcome(tier.name, skipped=[f"the whole tier: {reason}"])
    else:
        outcome = tier.run(tier.name, options)
    outcome.seconds = time.monotonic() - started
    return outcome


def meet(tier: Tier) -> None:
    """Meet the tier's needs. Raises Unmet, unless part of the tier runs without them."""
    try:
        for need in tier.needs:
            need()
    except Unmet as reason:
        if not tier.partly:
            raise
        say(f"Without all it needs: {reason}")


# How tiers run


def run_lint(name: str, _options: Sequence[str]) -> Outcome:
    """Style of the Python code, and the shell scripts."""
    scripts = [script for script in SCRIPTS if (ROOT / script).exists()]
    return run_commands(
        name,
        [tool("ruff"), "check", "."],
        [tool("ruff"), "format", "--check", "."],
        *(["bash", "-n", script] for script in scripts),
        [tool("shellcheck"), *scripts],
    )


def run_types(name: str, _options: Sequence[str]) -> Outcome:
    """The package's types, strictly."""
    return run_commands(name, [tool("mypy")])


def run_imports(name: str, _options: Sequence[str]) -> Outcome:
    """Who may import whom."""
    return run_commands(name, [tool("lint-imports")])


def run_benchmark(name: str, options: Sequence[str]) -> Outcome:
    """Figures to read; a benchmark fails where one misses its target. `-- --only docker` runs that one alone."""
    own = argparse.ArgumentParser(prog="./test benchmark --")
    own.add_argument("--only", choices=[benchmark.name for benchmark in BENCHMARKS])
    asked, options = own.parse_known_args(options)
    outcome = Outcome(name)
    for benchmark in BENCHMARKS:
        if asked.only in {None, benchmark.name}:
            run_one_benchmark(benchmark, options, outcome)
    return outcome


def run_one_benchmark(benchmark: Benchmark, options: Sequence[str], outcome: Outcome) -> None:
    """Meet its needs only now: a cluster that runs costs the others' figures something."""
    try:
        for need in benchmark.needs:
            need()
    except Unmet as reason:
        say(f"skipped: {benchmark.name}: {reason}")
        outcome.skipped.append(f"{benchmark.name}: {reason}")
        return
    done = run_commands(outcome.tier, [*python_of_tests(), "-m", f"benchmark.{benchmark.module}", *options])
    outcome.passed += done.passed
    outcome.failed += done.failed


def run_scale(name: str, options: Sequence[str]) -> Outcome:
    """Ten thousand servers; `-- --quick` takes a few hundred. Its cluster has no room beside that of other tiers."""
    stop_own_cluster()
    return run_commands(name, [*python_of_tests(), "-m", "benchmark.scale_kubernetes", *options])


def run_soak(name: str, options: Sequence[str]) -> Outcome:
    """Thousands of starts and stops; `-- --starts 100` makes it a short one."""
    return run_commands(name, [*python_of_tests(), "-m", "soak.run", *options])


def python_of_tests() -> list[str]:
    """Python with the tests' folders as packages."""
    return ["env", "PYTHONPATH=tests", tool("python")]


def run_commands(name: str, *commands: Sequence[str]) -> Outcome:
    """Each command is one check."""
    outcome = Outcome(name)
    for command in commands:
        words = " ".join([Path(command[0]).name, *command[1:]])
        say(f"$ {words}")
        if call(command) == 0:
            outcome.passed += 1
        else:
            outcome.failed.append(words)
    return outcome


def run_pytest(name: str, options: Sequence[str]) -> Outcome:
    """One pytest process over the tier's folder."""
    return pytest_over(name, name, VENV, options)


def run_hub5(name: str, options: Sequence[str]) -> Outcome:
    """The hub tier's tests, with another virtual environment's hub."""
    return pytest_over(name, "hub", VENV_OF_HUB5, options)


def pytest_over(name: str, tests: str, venv: Path, options: Sequence[str]) -> Outcome:
    """One pytest process over a folder."""
    with tempfile.TemporaryDirectory(prefix="stateroom-test-") as folder:
        report = Path(folder) / "report.xml"
        pytest = [tool("python", venv), "-m", "pytest", "-q", "--tb=short", f"tests/{tests}", f"--junitxml={report}"]
        code = call([*pytest, *options], venv)
        outcome = outcome_from_report(name, report) if report.exists() else Outcome(name)
    if code == NO_TESTS and not options:
        outcome.failed.append(f"tests/{tests} holds no tests")
    elif code not in {0, 1, NO_TESTS} or (code == 1 and not outcome.failed):
        outcome.failed.append(f"pytest ended with exit code {code}")
    return outcome


def outcome_from_report(name: str, report: Path) -> Outcome:
    """The counts of a JUnit report. A test that fails twice, as in its clean-up, is one failed test."""
    outcome = Outcome(name)
    cases: dict[str, list[ET.Element]] = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        words = [case.get("classname", ""), case.get("name", "")]
        cases.setdefault("::".join(word for word in words if word), []).extend(case)
    for case, parts in cases.items():
        kinds = {part.tag: part for part in parts}
        if kinds.keys() & {"failure", "error"}:
            outcome.failed.append(case)
        elif "skipped" in kinds and kinds["skipped"].get("type") == EXPECTED_FAILURE:
            outcome.expected += 1
        elif "skipped" in kinds:
            outcome.skipped.append(f"{case}: {kinds['skipped'].get('message', '')}")
        else:
            outcome.passed += 1
    return outcome


def call(command: Sequence[str], venv: Path = VENV, limit: float = LONGEST_TIER) -> int:
    """Run a command in the checkout, its output straight to the terminal; the exit code."""
    path = f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PATH": path}, stdout=kept.get(), stderr=kept.get())
    try:
        return child.wait(limit)
    except subprocess.TimeoutExpired:
        say(f"Took longer than {limit:.0f} s; ended.")
        child.send_signal(signal.SIGINT)  # so that pytest still cleans up
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(60)
        return 124
    except KeyboardInterrupt:
        # The child has got it as well.
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(60)
        raise
    finally:
        child.kill()
        child.wait()


def tool(name: str, venv: Path = VENV) -> str:
    """A program of a virtual environment."""
    return str(venv / "bin" / name)


# What tiers need


def once(meet: Callable[[], None]) -> Callable[[], None]:
    """Meet a need once a run; what could not be met the first time is not tried again."""

    @cache
    def unmet() -> Unmet | None:
        try:
            meet()
        except Unmet as reason:
            return reason
        return None

    def met() -> None:
        if reason := unmet():
            raise reason

    return met


def install_package(venv: Path = VENV, *limits: str) -> None:
    """A virtual environment with the package and the tools of its tests, made anew when they change."""
    words = "\n".join([(ROOT / "pyproject.toml").read_text(), sys.version, *limits])
    wanted = hashlib.sha256(words.encode()).hexdigest()
    stamp = venv / ".tested-with"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say(f"Installing the package and the tools of its tests into {venv.relative_to(ROOT)} ...")
    if not venv_works(venv):
        make_venv(venv)
    if call(pip_install(".[test]", venv, *limits), venv) != 0:
        raise Unmet("the package and its tools could not be installed; pip's words are above.")
    stamp.write_text(wanted)


def pip_install(package: str, venv: Path = VENV, *limits: str) -> list[str]:
    """The command that installs the checkout with one of its extras."""
    pip = [tool("python", venv), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [*pip, "--editable", package, *limits]


def venv_works(venv: Path) -> bool:
    """Whether there is one, made here: one that was moved along with the checkout starts the wrong programs."""
    made = venv / "pyvenv.cfg"
    return Path(tool("pip", venv)).exists() and made.exists() and str(venv) in made.read_text()


def make_venv(venv: Path) -> None:
    """Debian keeps what this takes in a package of its own."""
    make = [sys.executable, "-m", "venv", "--clear", str(venv)]
    if subprocess.run(make, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        return
    install_packages("python3-venv")
    if call(make) != 0:
        raise Unmet("a virtual environment could not be made; python's words are above.")


@once
def need_hub5() -> None:
    """The newest JupyterHub 5, beside the one of every other tier."""
    install_package(VENV_OF_HUB5, "jupyterhub<6")


@once
def need_engine() -> None:
    """A Docker engine that answers: one that is there, else one of our own."""
    if call([tool("python"), "tests/harness/engine.py", "up", str(ENGINE)]) != 0:
        raise Unmet("no Docker engine answers, and none could be started; the reason is above")


def stop_own_engine() -> None:
    """Stop the engine that the tests started, unless it shall stay for the next run."""
    if ENGINE.exists() and not os.environ.get("STATEROOM_KEEP_ENGINE"):
        call([tool("python"), "tests/harness/engine.py", "down", str(ENGINE)])


@once
def need_cluster() -> None:
    """A Kubernetes cluster: the one that STATEROOM_TEST_KUBECONFIG names, else one of our own."""
    if os.environ.get("STATEROOM_TEST_KUBECONFIG"):
        return
    need_cluster_programs()
    if call([tool("python"), "tests/harness/cluster.py", "up", str(cluster.FOLDER)]) != 0:
        raise Unmet("no Kubernetes cluster could be started; the reason is above")


@once
def need_cluster_programs() -> None:
    """What a cluster of our own is started from."""
    if cluster.programs_folder() is None:
        raise Unmet(
            "the programs of a Kubernetes cluster are not found: no shared/cluster/bin beside or above the checkout, "
            "and STATEROOM_CLUSTER_PROGRAMS names no folder. STATEROOM_TEST_KUBECONFIG may name a cluster that runs"
        )
    if packages := cluster.missing_packages():
        install_packages(*packages)


def stop_own_cluster() -> None:
    """Stop the cluster that the tests started, unless it shall stay for the next run."""
    if cluster.FOLDER.exists() and not os.environ.get("STATEROOM_KEEP_ENGINE"):
        call([tool("python"), "tests/harness/cluster.py", "down", str(cluster.FOLDER)])


@once
def need_image() -> None:
    """The unified image, built from these very files."""
    say("Building the unified image, if its files changed ...")
    if call([tool("stateroom"), "images", "build", "unified"]) != 0:
        raise Unmet("the unified image could not be built; the words of `stateroom images build` are above")


@once
def need_peer() -> None:
    """The spawners that ours is compared with."""
    pip = [
        tool("python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--editable",
        ".[benchmark]",
    ]
    if call(pip) != 0:
        raise Unmet("DockerSpawner and KubeSpawner could not be installed; pip's words are above")


@once
def need_browser() -> None:
    """Debian's Chromium, with letters to show."""
    if not shutil.which("chromium"):
        install_packages("chromium", "fonts-dejavu-core")


@once
def need_registry() -> None:
    """Debian's image registry, of which the tests start one on the loopback interface, and what a small image takes."""
    if not (shutil.which("docker-registry") and shutil.which("busybox")):
        install_packages("docker-registry", "busybox-static")


@once
def need_lab() -> None:
    """What engines and networks of the test's own take: a disk that runs full, a host outside, a registry."""
    need_registry()
    if not (shutil.which("mkfs.ext4") and shutil.which("ip")):
        install_packages("e2fsprogs", "iproute2")


@once
def need_podman() -> None:
    """Debian's Podman, with what makes networks and is the first process of a server."""
    if not (shutil.which("podman") and Path("/usr/lib/podman/netavark").exists() and shutil.which("catatonit")):
        install_packages("podman", "netavark", "catatonit")


@once
def need_postgresql() -> None:
    """Debian's PostgreSQL, of which the tests start one of their own."""
    if not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        install_packages("postgresql")


def install_packages(*packages: str) -> None:
    """Debian packages, where this may install them."""
    words = " ".join(packages)
    if not shutil.which("apt-get"):
        raise Unmet(f"{words} cannot be installed here, where there is no apt-get; install them and run ./test again")
    if os.geteuid() != 0:
        raise Unmet(f"{words} can only be installed by root; run: apt-get install {words}")
    say(f"Installing {words} ...")
    update_package_lists()
    quietly = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    install = [*quietly, "install", "--yes", "--no-install-recommends", *packages]
    result = subprocess.run(install, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        say(result.stdout)
        raise Unmet(f"{words} could not be installed; apt's words are above")


@cache
def update_package_lists() -> None:
    """Once a run; what fails here shows at the installing."""
    subprocess.run(["apt-get", "-qq", "update"], check=False)


# What the reader sees at the end


def summary(outcomes: Sequence[Outcome], *, no_skips: bool) -> int:
    """Print the table and the reasons; the exit code."""
    print(f"\n{'tier':12}{'passed':>8}{'failed':>8}{'skipped':>9}{'seconds':>9}")
    for outcome in outcomes:
        print(
            f"{outcome.tier:12}{outcome.passed:8}{len(outcome.failed):8}{len(outcome.skipped):9}{outcome.seconds:9.1f}"
        )
    print()
    for line in reasons(outcomes):
        print(line)
    failed = sum(len(outcome.failed) for outcome in outcomes)
    skipped = sum(len(outcome.skipped) for outcome in outcomes)
    if skipped and no_skips:
        print("What was skipped counts as failed here.")
    print(f"{sum(outcome.passed for outcome in outcomes)} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or (skipped and no_skips) else 0


def reasons(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for each test that did not pass."""
    for outcome in outcomes:
        yield from (f"skipped in {outcome.tier}: {reason}" for reason in outcome.skipped)
    for outcome in outcomes:
        if outcome.expected:
            yield f"failed in {outcome.tier} as its list expects: {outcome.expected}"
    for outcome in outcomes:
        yield from (f"failed in {outcome.tier}: {test}" for test in outcome.failed)


def split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our own arguments, and pytest's, which follow `--`."""
    if "--" not in arguments:
        return list(arguments), []
    at = list(arguments).index("--")
    return list(arguments[:at]), list(arguments[at + 1 :])


def names() -> list[str]:
    """The tiers' names."""
    return [tier.name for tier in TIERS]


BENCHMARKS = (
    Benchmark("catalog", "large_catalog"),
    Benchmark("docker", "against_dockerspawner", (need_engine, need_image, need_peer)),
    Benchmark("first-cell", "first_cell", (need_engine, need_image, need_peer, need_browser)),
    Benchmark("kubernetes", "against_kubespawner", (need_engine, need_lab, need_peer, need_cluster)),
)

TIERS = (
    Tier("lint", "style of the code and the scripts", run_lint),
    Tier("types", "mypy, strictly", run_types),
    Tier("imports", "who may import whom", run_imports),
    Tier("unit", "each module alone; needs no engine", run_pytest),
    Tier(
        "contract",
        "every backend keeps the same promises",
        run_pytest,
        (need_engine, need_image, need_lab, need_cluster),
        partly=True,
        beside="unit",
    ),
    Tier("docker", "the Docker backend against a real engine", run_pytest, (need_engine, need_image, need_lab)),
    Tier(
        "kubernetes",
        "the Kubernetes backend against a real cluster",
        run_pytest,
        (need_engine, need_image, need_lab, need_cluster),
    ),
    Tier(
        "chart",
        "the Helm chart, rendered and on a real cluster",
        run_pytest,
        (need_cluster_programs, need_engine, need_image, need_postgresql, need_browser, need_lab, need_cluster),
        partly=True,
    ),
    Tier("podman", "the contract on Podman", run_pytest, (need_engine, need_image, need_podman)),
    Tier("hub", "a real hub, from the login to the cgroup", run_pytest, (need_engine, need_image, need_postgresql)),
    Tier(
        "faults",
        "what is left when hub, engine or cluster die, or are in trouble",
        run_pytest,
        (need_engine, need_lab, need_cluster),
    ),
    Tier(
        "hub5",
        "the same with a JupyterHub 5",
        run_hub5,
        (need_engine, need_image, need_postgresql, need_hub5),
        beside="hub",
    ),
    Tier(
        "jupyterhub",
        "JupyterHub's own tests, with our class for their spawners",
        run_pytest,
        (need_engine, need_image),
        partly=True,
    ),
    Tier(
        "browser",
        "a person's walk in a real browser",
        run_pytest,
        (need_engine, need_image, need_browser, need_lab, need_cluster),
    ),
    Tier("benchmark", "what things cost, in figures", run_benchmark, on_request=True),
    Tier(
        "scale",
        "what 10,000 servers on Kubernetes cost a hub",
        run_scale,
        (need_peer, need_cluster_programs),
        on_request=True,
    ),
    Tier("soak", "2,000 starts and stops leave nothing behind", run_soak, (need_engine, need_image), on_request=True),
)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
