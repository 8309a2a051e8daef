"""Ten thousand servers, on an API server whose nodes only pretend: what they cost a hub.

Prints a table and ends with 1 where a target is not met. `--quick` takes a few
hundred. It starts a cluster of its own, so no other test cluster may run. With
`--why` it tells what runs while the loop stands still.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

from benchmark.at_scale.fakes import answered_here, make_servers, trickle
from benchmark.at_scale.heartbeat import LONGEST
from benchmark.side_by_side.program import say, taken_down
from benchmark.side_by_side.report import Row, machine, table
from harness import cluster
from harness.cluster import FAKE_PODS, ClusterError
from harness.pods import namespace_of_its_own
from stateroom.common.errors import BackendError
from stateroom.workloads.names import ServerRef

_NOBODY = "benchmark-nobody"  # a hub without servers
_PODS_A_NODE = 1000
_REST = 10.0  # seconds in which the cluster comes to rest after much was made
_SLOWER = 1.5  # times, that a start may take among many servers


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    few: int = 100
    many: int = 10_000
    starts: int = 100
    idle_seconds: float = 60

    @property
    def nodes(self) -> int:
        """How many have room for all."""
        return nodes_for(self.many + self.starts)


QUICK = Plan(few=20, many=500, starts=20, idle_seconds=15)


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of a run, as the hubs' processes told them."""

    machine: str
    nobody: Mapping[str, Any]
    ours: Mapping[str, Any]
    theirs_nobody: Mapping[str, Any]
    theirs: Mapping[str, Any]
    few: Mapping[str, Any]
    many: Mapping[str, Any]


class Unmeasured(Exception):
    """A hub's process failed."""


def main(arguments: Sequence[str]) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few hundred servers")
    parser.add_argument("--why", action="store_true", help="tell what runs while the loop stands still")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = QUICK if asked.quick else Plan()
    try:
        with taken_down() as stack:
            set_up(stack, plan.nodes)
            results = asyncio.run(measured(stack, plan, why=asked.why))
    except KeyboardInterrupt:
        print("\nInterrupted; what was made is removed.", file=sys.stderr)
        return 130
    except (ClusterError, BackendError, Unmeasured, subprocess.CalledProcessError) as error:
        print(f"The benchmark could not be run: {error}", file=sys.stderr)
        return 2
    lines = rows(results, plan)
    print(table(results.machine, ("Stateroom", "KubeSpawner", f"Stateroom with {plan.few} servers"), lines))
    return 1 if any(row.met is False for row in lines) else 0


def nodes_for(servers: int) -> int:
    """Return how many nodes have room for so many servers."""
    return servers // _PODS_A_NODE + 1


def set_up(stack: ExitStack, nodes: int) -> None:
    """Start a cluster whose nodes only pretend; the stack takes it down again."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stateroom-scale-")))
    say("starting an API server without nodes")
    stack.callback(cluster.down, folder)
    os.environ["STATEROOM_TEST_KUBECONFIG"] = str(cluster.up(folder, node=False))
    cluster.fake_nodes(folder, nodes, FAKE_PODS, _PODS_A_NODE)
    stack.enter_context(answered_here(FAKE_PODS))


async def measured(stack: ExitStack, plan: Plan, *, why: bool) -> Results:
    """All measurements."""
    told = machine("Kubernetes on nodes that pretend", "KubeSpawner", "jupyterhub-kubespawner")
    hub = f"benchmark-{uuid4().hex[:10]}"
    namespace = stack.enter_context(namespace_of_its_own())

    async def process(what: str, hub: str, **options: float) -> dict[str, Any]:
        return await hub_process(what, hub, namespace, options, why=why)

    say(f"{plan.few} servers, and {plan.starts} starts on top")
    await make_servers(namespace, hub, range(plan.few), plan.nodes)
    await process("start", hub, starts=plan.starts)  # which makes the homes
    await asyncio.sleep(_REST)  # kwok removes pods by their names, and late: the next one of a name too
    few = await process("start", hub, starts=plan.starts)
    say(f"{plan.many} servers")
    await make_servers(namespace, hub, range(plan.few, plan.many), plan.nodes)
    await asyncio.sleep(_REST)
    say("restarts, and hubs that are idle while pods change")
    async with trickle(namespace, [ServerRef(hub, f"user{number}").name for number in range(plan.many)]):
        figures = {
            f"{what} {whose}": await process(what, whose, seconds=plan.idle_seconds if whose == hub else 1)
            for what in ("adopt", "reflect")
            for whose in (_NOBODY, hub)
        }
    say(f"{plan.starts} starts on top")
    await asyncio.sleep(_REST)
    many = await process("start", hub, starts=plan.starts)
    return Results(
        told,
        nobody=figures[f"adopt {_NOBODY}"],
        ours=figures[f"adopt {hub}"],
        theirs_nobody=figures[f"reflect {_NOBODY}"],
        theirs=figures[f"reflect {hub}"],
        few=few,
        many=many,
    )


async def hub_process(
    what: str, hub: str, namespace: str, options: Mapping[str, float], *, why: bool = False
) -> dict[str, Any]:
    """The figures of a process that does what a hub does."""
    words = [f"--{name}={value}" for name, value in options.items()]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmark.at_scale.hub_process", what),
        *(f"--hub={hub}", f"--namespace={namespace}", *words, *(["--why"] if why else [])),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        told, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise Unmeasured(f"the process for `{what}` ended with {process.returncode}; its words are above")
    figures: dict[str, Any] = json.loads(told)
    return figures


def rows(results: Results, plan: Plan) -> list[Row]:
    """The table's lines. Of a stall counts what the loop's own code computes."""
    ours, theirs, few, many = results.ours, results.theirs, results.few, results.many
    seconds = f"{plan.idle_seconds:.0f} s idle, pods changing"
    return [
        _stall_row(
            f"the loop's longest stall: the first list of {ours['servers']} servers", ours["first"], theirs["first"]
        ),
        _stall_row("… asking for each of them", ours["each"]),
        _stall_row("… listing them again, as for quotas", ours["again"]),
        _stall_row(f"… {seconds}", ours["idle"], theirs["idle"]),
        _stall_row(f"… {plan.starts} starts one after another", many["alone"], few=few["alone"]),
        _stall_row(f"… {plan.starts} starts at once", many["crowd"], few=few["crowd"]),
        _stall_row(f"… {plan.starts} stops at once", many["stops"], few=few["stops"]),
        Row(
            "a restart knows all servers, and of each",
            f"{ours['listed_seconds']:.2f} s + {ours['each_seconds']:.2f} s",
            f"{theirs['listed_seconds']:.2f} s",
            target="all",
            met=ours["servers"] == plan.many,
        ),
        Row(
            "memory for a server",
            _memory(ours, results.nobody),
            _memory(theirs, results.theirs_nobody),
        ),
        _start_row(f"{plan.starts} starts one after another: median", median, many["one_by_one"], few["one_by_one"]),
        _start_row(f"{plan.starts} starts at once: median", median, many["at_once"], few["at_once"]),
        _start_row(f"{plan.starts} starts at once: last", max, many["at_once"], few["at_once"]),
    ]


def _stall_row(
    what: str,
    ours: Mapping[str, float],
    theirs: Mapping[str, float] | None = None,
    few: Mapping[str, float] | None = None,
) -> Row:
    return Row(
        what,
        *(_stall(it) if it else "" for it in (ours, theirs, few)),
        target=f"≤ {LONGEST * 1000:.0f} ms",
        met=ours["longest_computed"] <= LONGEST,
    )


def _stall(stalls: Mapping[str, float]) -> str:
    often = f", {stalls['over']} over {LONGEST * 1000:.0f} ms" if stalls["over"] else ""
    return f"{stalls['longest_computed'] * 1000:.0f} ms{often} (with the machine's {stalls['longest'] * 1000:.0f} ms)"


def _memory(many: Mapping[str, Any], none: Mapping[str, Any]) -> str:
    each = (many["memory"] - none["memory"]) / max(1, many["servers"])
    return f"{each / 1024:.1f} KiB ({none['memory'] / 1024**2:.0f} MiB without any)"


def _start_row(what: str, figure: Any, many: Sequence[float], few: Sequence[float]) -> Row:
    ratio = figure(many) / figure(few)
    return Row(
        what,
        f"{figure(many):.2f} s",
        bare=f"{figure(few):.2f} s",
        ratio=f"{ratio:.2f}",
        target=f"≤ {_SLOWER}",
        met=ratio <= _SLOWER,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
