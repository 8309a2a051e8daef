"""Stateroom, KubeSpawner and the bare cluster in one run, turn by turn, on the same image.

Prints a table, writes it and a plot into this folder's README, and ends with 1
where a target is not met. `--quick` takes a small sample and writes nothing.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from benchmark.side_by_side import cluster_report
from benchmark.side_by_side.cluster_report import PLOTTED, Results
from benchmark.side_by_side.cluster_sides import BareCluster, KubeSpawner, Stateroom, cluster_version, stub_image
from benchmark.side_by_side.hub import Hub, StartFailed
from benchmark.side_by_side.program import program, say, taken_down
from benchmark.side_by_side.report import machine
from benchmark.side_by_side.turns import EXTRA, burst_rounds, crowd, singles
from harness import cluster
from harness.api_proxy import ApiProxy
from harness.cluster import ClusterError
from harness.pods import namespace_of_its_own
from stateroom.cli.screen import Screen
from stateroom.common.errors import BackendError, SetupError
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.proxy import install_proxy

_README = Path(__file__).with_name("README.md")
_PROGRAMS = Path(__file__).parents[2] / ".cache" / "benchmark"

_CLEARING = 1.0  # seconds in which the node clears up after a stop
_LONG_REST = 10.0  # … and after a burst


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    # Each order of the three sides as often as any other. The kubelet's rhythm and KubeSpawner's dice spread
    # the starts over seconds, so that the figures of 24 are a matter of luck.
    pairs: int = 72
    rounds: tuple[tuple[int, int], ...] = ((PLOTTED, 3),)  # sizes of bursts, and how often
    crowd: int = 30
    idle_seconds: float = 60


QUICK = Plan(pairs=3, rounds=((6, 1),), crowd=6, idle_seconds=15)


@dataclass(frozen=True, slots=True)
class Bench:
    """All that is set up for a run."""

    hubs: tuple[Hub, Hub]
    bare: BareCluster
    folder: Path


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write; the exit code."""
    troubles = (StartFailed, SetupError, ClusterError, BackendError, ApiException, HTTPError, aiohttp.ClientError)
    return program(arguments, __doc__, run, troubles)


def run(quick: bool) -> int:
    """Set up, measure, and remove all that was made, whatever happens; 1 where a target is missed."""
    if not cluster.kubeconfig().exists():
        raise ClusterError("there is no cluster; ./test benchmark starts one")
    told = machine(f"Kubernetes {cluster_version()} on one node", "KubeSpawner", "jupyterhub-kubespawner")
    with taken_down() as stack:
        results = asyncio.run(measured(set_up(stack), QUICK if quick else Plan(), told))
    print(cluster_report.as_text(results))
    if not quick:
        cluster_report.write(results, _README)
    return 1 if any(row.met is False for row in cluster_report.rows(results)) else 0


def set_up(stack: ExitStack) -> Bench:
    """Everything but the hubs' own processes; the stack takes it all down again."""
    data = DataFolder(_PROGRAMS)
    data.path.mkdir(parents=True, exist_ok=True)
    data.make()
    proxy = install_proxy(data, Screen())
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stateroom-benchmark-")))
    image = stub_image()
    ours, theirs, bare = (
        kind(stack.enter_context(namespace_of_its_own()), image) for kind in (Stateroom, KubeSpawner, BareCluster)
    )
    hubs = []
    for side in (ours, theirs):
        place = folder / side.name
        place.mkdir()
        hubs.append(Hub(side, place, proxy))
        stack.enter_context(hubs[-1].proxied())
    say(f"what is made is in the namespaces {', '.join(side.namespace for side in (ours, theirs, bare))}")
    return Bench((hubs[0], hubs[1]), bare, folder)


async def measured(bench: Bench, plan: Plan, told: str) -> Results:
    """All measurements; requests are counted last, since what counts them takes time too."""
    users = [f"user{number}" for number in range(max(plan.crowd, *(size for size, _ in plan.rounds)))]
    sides = [*bench.hubs, bench.bare]
    async with bench.bare.watched():
        say("warming up")
        await warm_up(bench, users)
        say(f"{plan.pairs} pairs of single starts and stops")
        # A part of a second drawn each time, so that no side rides the kubelet's rhythm of one.
        single = await singles(sides, users[0], plan.pairs, random.random, _CLEARING)
        bursts = {}
        for size, rounds in plan.rounds:
            say(f"{rounds} rounds of {size} at once")
            bursts[size] = await burst_rounds(sides, users[:size], rounds, _LONG_REST)
    crowds = {}
    for hub in bench.hubs:
        crowded = users[: plan.crowd]
        say(f"{hub.name} with {len(crowded)} servers: idle, killed, started again")
        await asyncio.sleep(_LONG_REST)
        with closing(ApiProxy(cluster.kubeconfig())) as proxy:
            engine = str(proxy.write_kubeconfig(bench.folder / f"{hub.name}.kubeconfig"))
            crowds[hub.name] = await crowd(hub, crowded, plan.idle_seconds, proxy=proxy, engine=engine, image="stub")
    return Results(told, single, bursts, crowds)


async def warm_up(bench: Bench, users: Sequence[str]) -> None:
    """Each user has had a server before, and so a home."""
    for hub in bench.hubs:
        await hub.up()
        await hub.add_users([*users, EXTRA])
    await bench.bare.make_claims(users)
    for side in (*bench.hubs, bench.bare):
        await side.start_all(users)
        await side.stop_all(users)
    await asyncio.sleep(_LONG_REST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
