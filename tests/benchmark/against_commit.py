"""Another commit of Stateroom and this checkout in one run, by turns: has a change made anything slower?

`python -m benchmark.against_commit --before COMMIT` copies both, installs each
into a virtual environment of its own, and measures through real hubs on Docker
and on an API server whose nodes only pretend:

  start    one server started and stopped
  burst    30 servers started at once
  restart  a hub killed and started again while its servers run
  pods     10,000 servers on Kubernetes: stalls, memory, and starts on top

Prints a table in Markdown: the medians, their ratio (after by before) with its
95 % interval, and whether that reaches below 1.05, which takes at least six
pairs to tell. Ends with 1 where one does not, with 2 where something could not
be measured. All of it takes about three quarters of an hour. Figures of a
machine that does something else meanwhile are worth nothing.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import aiohttp
import docker
from docker.errors import DockerException
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from benchmark.before_and_after import pod_turns, report
from benchmark.before_and_after.checkouts import Checkout, CheckoutFailed, is_checkout, make_checkout
from benchmark.before_and_after.docker_turns import SERVERS_OF_A_BURST, DockerTurns, hubs_of
from benchmark.before_and_after.pod_turns import PodTurns, ProcessFailed
from benchmark.before_and_after.progress import Part, Progress
from benchmark.before_and_after.report import Measure
from benchmark.scale_kubernetes import nodes_for
from benchmark.side_by_side.hub import StartFailed
from benchmark.side_by_side.program import ended, say, taken_down
from benchmark.side_by_side.report import put, surroundings
from harness.cluster import ClusterError
from stateroom.cli.screen import Screen
from stateroom.common.errors import BackendError, SetupError
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.proxy import install_proxy

_ROOT = Path(__file__).parents[2]
_README = Path(__file__).with_name("README.md")
_PROGRAMS = _ROOT / ".cache" / "benchmark"

START, BURST, RESTART, PODS = PARTS = ("start", "burst", "restart", "pods")
_ON_DOCKER = {START, BURST, RESTART}

_TROUBLES = (
    CheckoutFailed, ProcessFailed, StartFailed, SetupError, ClusterError, BackendError, DockerException, ApiException,
    HTTPError, aiohttp.ClientError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    pairs: int = 20
    bursts: int = 10
    restarts: int = 20
    servers: int = 30  # that run while a hub is restarted
    rounds: int = 6  # among the pods
    pods: int = 10_000
    starts: int = 100  # on top of the pods

    @property
    def users(self) -> list[str]:
        """Return the names of everybody who gets a server on Docker."""
        return [f"user{number}" for number in range(max(SERVERS_OF_A_BURST, self.servers))]

    @property
    def nodes(self) -> int:
        """Return how many nodes have room for both sides' pods."""
        return nodes_for(2 * (self.pods + self.starts))


QUICK = Plan(pairs=3, bursts=2, restarts=2, servers=6, rounds=2, pods=500, starts=20)


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write; the exit code."""
    asked = parser().parse_args(arguments)
    return ended(partial(run, asked), _TROUBLES)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = argparse.ArgumentParser(
        prog="python -m benchmark.against_commit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m benchmark.against_commit --before v0.1.0 --only start --pairs 40",
    )
    full = Plan()
    made.add_argument(
        "--before",
        required=True,
        metavar="COMMIT",
        help="what this checkout is compared with: a commit, branch or tag of this repository, or the folder of "
        "another checkout, whose files are taken as they are now",
    )
    made.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help="measure these parts")
    made.add_argument("--quick", action="store_true", help="a small sample, which proves no more than that it works")
    made.add_argument("--write", action="store_true", help="put the table into tests/benchmark/README.md")
    amounts = made.add_argument_group("how much is measured on each side")
    for name, about in (
        ("pairs", "single starts"),
        ("bursts", f"bursts of {SERVERS_OF_A_BURST}"),
        ("restarts", "restarts of the hub"),
        ("servers", "servers that run while the hub is restarted"),
        ("rounds", "rounds among the pods"),
        ("pods", "pods"),
    ):
        usual = f"{about} ({getattr(full, name)}; {getattr(QUICK, name)} with --quick)"
        amounts.add_argument(f"--{name}", type=_number, metavar="N", help=usual)
    return made


def plan_of(asked: argparse.Namespace) -> Plan:
    """Return the plan with the amounts that were asked for."""
    named = {name: getattr(asked, name) for name in ("pairs", "bursts", "restarts", "servers", "rounds", "pods")}
    return replace(QUICK if asked.quick else Plan(), **{name: value for name, value in named.items() if value})


def run(asked: argparse.Namespace) -> int:
    """Set up, measure, and remove all that was made, whatever happens; 1 where a ratio's interval is too high."""
    plan, progress, measures = plan_of(asked), Progress(), []
    if PODS in asked.only:
        pod_turns.require_cluster()
    with taken_down() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stateroom-commits-")))
        runs = Runs(plan, asked.only, progress)
        checkouts = both_checkouts(asked.before, folder, progress, runs.checkouts)
        told = origin(checkouts)
        say(told)
        if _ON_DOCKER & set(asked.only):
            measures += on_docker(stack, checkouts, runs)
        if PODS in asked.only:
            measures += on_kubernetes(stack, checkouts, runs)
    text = report.as_text(told, measures)
    print(f"\n{text}")
    if asked.write:
        put(_README, "figures of two commits", text)
    return 1 if any(row.met is False for row in report.rows(measures)) else 0


class Runs:
    """The parts of the run, with the seconds that a step of each took on a machine of two cores."""

    def __init__(self, plan: Plan, only: Sequence[str], progress: Progress) -> None:
        self.plan = plan
        self.only = only
        self.progress = progress
        docker_too, pods_too = bool(_ON_DOCKER & set(only)), PODS in only

        def part(name: str, steps: int, estimate: float, *, wanted: bool = True) -> Part:
            return progress.add(Part(name, steps if wanted else 0, estimate))

        self.checkouts = part("checkout", 2, 30)
        self.warm_up = part("warm-up on Docker", 2, 30, wanted=docker_too)
        self.start = part("single start", plan.pairs, 4, wanted=START in only)
        self.burst = part(f"burst of {SERVERS_OF_A_BURST}", plan.bursts, 40, wanted=BURST in only)
        self.restart = part("restart", plan.restarts, 15, wanted=RESTART in only)
        self.making = part(f"making {plan.pods} pods", 2, 30 + plan.pods / 100, wanted=pods_too)
        self.rounds = part(f"round among {plan.pods} pods", plan.rounds, 120, wanted=pods_too)


def both_checkouts(before: str, folder: Path, progress: Progress, part: Part) -> tuple[Checkout, Checkout]:
    """Copy and install the other commit and this checkout."""
    made = []
    other = Path(before)
    sources = (other.resolve(), "") if is_checkout(other) else (_ROOT, before)
    for name, (source, revision) in (("before", sources), ("after", (_ROOT, ""))):
        with progress.step(part) as step:
            made.append(make_checkout(name, source, revision, folder))
            step.result = f"{name} is {made[-1].commit}"
    return made[0], made[1]


def origin(checkouts: tuple[Checkout, Checkout]) -> str:
    """Describe the machine and the commits, with the packages that are not the same for both."""
    before, after = checkouts
    others = report.differences(before.versions, after.versions)
    return surroundings(
        f"before is {before.commit} and after is {after.commit}",
        f"Docker {docker.from_env().api.version()['Version']}",
        f"JupyterHub {after.versions['jupyterhub']}",
        *(["different packages: " + "; ".join(others)] if others else []),
    )


def on_docker(stack: ExitStack, checkouts: Sequence[Checkout], runs: Runs) -> list[Measure]:
    """Measure what takes a hub of each commit. The hubs are gone when this returns."""
    data = DataFolder(_PROGRAMS)
    data.path.mkdir(parents=True, exist_ok=True)
    data.make()
    proxy = install_proxy(data, Screen())
    own = stack.enter_context(ExitStack())
    turns = DockerTurns(hubs_of(own, checkouts, proxy), runs.progress)
    measures = asyncio.run(docker_measures(turns, runs))
    own.close()
    return measures


async def docker_measures(turns: DockerTurns, runs: Runs) -> list[Measure]:
    """Return the measures that were asked for."""
    users, measures = runs.plan.users, []
    await turns.warm_up(runs.warm_up, users)
    if START in runs.only:
        measures += printed(await turns.single_starts(runs.start, users[0]))
    if BURST in runs.only:
        measures += printed(await turns.bursts(runs.burst, users[:SERVERS_OF_A_BURST]))
    if RESTART in runs.only:
        measures += printed(await turns.restarts(runs.restart, users[: runs.plan.servers]))
    return measures


def on_kubernetes(stack: ExitStack, checkouts: Sequence[Checkout], runs: Runs) -> list[Measure]:
    """Measure what many servers cost a hub of each commit."""
    plan = runs.plan
    sides = pod_turns.sides_of(stack, checkouts, plan.nodes)
    turns = PodTurns(sides, plan.pods, plan.starts, runs.progress)

    async def measured() -> list[Measure]:
        await turns.warm_up(runs.making, plan.nodes)
        return await turns.rounds(runs.rounds)

    return printed(asyncio.run(measured()))


def printed(measures: list[Measure]) -> list[Measure]:
    """Print the lines of a part and return its measures: a run that fails later has measured them."""
    for row in report.rows(measures):
        print(row, flush=True)
    return measures


def _number(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
