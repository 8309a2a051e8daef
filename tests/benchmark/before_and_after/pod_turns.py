"""Two commits' hubs among many servers on Kubernetes, by turns.

The API server's nodes and pods are only objects. Each commit has a namespace of
its own, with pods that its own code made, and what a hub does is done by that
commit's `benchmark.at_scale.hub_process` in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import uuid4

from benchmark import scale_kubernetes
from benchmark.at_scale.fakes import trickle
from benchmark.before_and_after.checkouts import Checkout
from benchmark.before_and_after.docker_turns import in_turn
from benchmark.before_and_after.pairs import Pair
from benchmark.before_and_after.progress import Part, Progress
from benchmark.before_and_after.report import Measure, shown
from harness import cluster
from harness.cluster import ClusterError
from harness.pods import core, namespace_of_its_own

_MIB = 1024**2
_REST_SECONDS = 10.0  # in which the cluster comes to rest after much was made or removed
_IDLE_SECONDS = 20
_PROCESS_TIMEOUT_SECONDS = 600
_NOBODY = "benchmark-nobody"  # a hub without servers
_MAKE_SERVERS = """\
import asyncio, sys
from benchmark.at_scale.fakes import make_servers
namespace, hub, servers, nodes = sys.argv[1:]
asyncio.run(make_servers(namespace, hub, range(int(servers)), int(nodes)))
"""

Figures = Mapping[str, Any]


class ProcessFailed(Exception):
    """A process of a checkout failed."""


@dataclass(frozen=True, slots=True)
class PodSide:
    """One commit's hub, and the namespace of its servers."""

    checkout: Checkout
    hub: str
    namespace: str

    async def make_servers(self, servers: int, nodes: int) -> None:
        """Make the pods, as this commit makes them, and wait until they run."""
        await self._python("-c", _MAKE_SERVERS, self.namespace, self.hub, str(servers), str(nodes))

    async def process(self, what: str, hub: str, **options: float) -> Figures:
        """Return the figures of a process that does what a hub does."""
        words = [f"--{name}={value}" for name, value in options.items()]
        command = ["-m", "benchmark.at_scale.hub_process", what, f"--hub={hub}", f"--namespace={self.namespace}"]
        figures: Figures = json.loads(await self._python(*command, *words))
        return figures

    def pods(self) -> list[str]:
        """Return the names of all pods of the namespace."""
        answer = core().list_namespaced_pod(self.namespace, _preload_content=False)
        return [pod["metadata"]["name"] for pod in json.loads(answer.data)["items"]]

    async def _python(self, *words: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(self.checkout.python, *words),
            cwd=self.checkout.folder,
            env=self.checkout.tests_environment,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), _PROCESS_TIMEOUT_SECONDS)
        except TimeoutError:
            raise ProcessFailed(f"{' '.join(words)} took longer than {_PROCESS_TIMEOUT_SECONDS} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise ProcessFailed(f"{' '.join(words)} ended with {process.returncode}; what it wrote is above")
        return output


def require_cluster() -> None:
    """Raise ClusterError where no cluster can be started."""
    if packages := cluster.missing_packages():
        raise ClusterError(f"a cluster needs packages that are not there; apt install {' '.join(packages)}")
    if cluster.programs_folder() is None:
        raise ClusterError("the cluster's programs are not found; name their folder in STATEROOM_CLUSTER_PROGRAMS")
    if _is_address_of_this_machine(cluster.HOST):
        raise ClusterError("another test cluster runs on this machine, and there is no room for two")


def sides_of(stack: ExitStack, checkouts: Sequence[Checkout], nodes: int) -> list[PodSide]:
    """Start a cluster with a namespace for each checkout; the stack takes it down again."""
    scale_kubernetes.set_up(stack, nodes)
    return [
        PodSide(checkout, f"benchmark-{uuid4().hex[:10]}", stack.enter_context(namespace_of_its_own()))
        for checkout in checkouts
    ]


def _is_address_of_this_machine(address: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


class PodTurns:
    """The measurements on two sides. Which is first changes with each turn: A B, B A, A B."""

    def __init__(self, sides: Sequence[PodSide], servers: int, starts: int, progress: Progress) -> None:
        self._sides = list(sides)
        self._servers = servers
        self._starts = starts
        self._progress = progress

    async def warm_up(self, part: Part, nodes: int) -> None:
        """Make all pods, and start servers once, so that their homes are there."""
        for side in self._sides:
            with self._progress.step(part):
                await side.make_servers(self._servers, nodes)
                await asyncio.sleep(_REST_SECONDS)
                await side.process("start", side.hub, starts=self._starts)
                await asyncio.sleep(_REST_SECONDS)

    async def rounds(self, part: Part) -> list[Measure]:
        """Restart each hub among its pods, let it be idle while pods change, and start servers on top."""
        found: list[tuple[_Round, _Round]] = []
        pods = [side.pods() for side in self._sides]
        for turn in range(part.steps):
            with self._progress.step(part) as step:
                found.append(await self._round(in_turn(self._sides, turn), pods))
                step.result = shown(Pair(*(it.known_seconds for it in found[-1])))
        return self._measures(found)

    async def _round(self, turn: Sequence[PodSide], pods: Sequence[Sequence[str]]) -> tuple[_Round, _Round]:
        nobody, adopted, started = {}, {}, {}
        async with AsyncExitStack() as changing:
            for side, names in zip(self._sides, pods, strict=True):
                await changing.enter_async_context(trickle(side.namespace, names))
            for side in turn:
                nobody[side.hub] = await side.process("adopt", _NOBODY, seconds=0)
                adopted[side.hub] = await side.process("adopt", side.hub, seconds=_IDLE_SECONDS)
        await asyncio.sleep(_REST_SECONDS)
        for side in turn:
            started[side.hub] = await side.process("start", side.hub, starts=self._starts)
            await asyncio.sleep(_REST_SECONDS)  # pods are removed late, by their names: the next round's too
        before, after = (_Round(nobody[side.hub], adopted[side.hub], started[side.hub]) for side in self._sides)
        for it in (before, after):
            if it.adopted["servers"] != self._servers:
                raise ProcessFailed(f"a hub knew {it.adopted['servers']} of {self._servers} servers")
        return before, after

    def _measures(self, found: Sequence[tuple[_Round, _Round]]) -> list[Measure]:
        many, some = f"{self._servers} pods", f"{self._starts} starts"

        def measure(what: str, name: str, unit: str = "s") -> Measure:
            return Measure(what, [Pair(*(getattr(it, name) for it in pair)) for pair in found], unit)

        return [
            measure(f"{many}: a restart knows all", "known_seconds"),
            measure(f"{many}: longest stall of a restart", "restart_stall", "ms"),
            measure(f"{many}: longest stall in {_IDLE_SECONDS} s idle, pods changing", "idle_stall", "ms"),
            measure(f"{many}: longest stall of {some} and stops", "starts_stall", "ms"),
            measure(f"{many}: memory of the process", "memory", "MiB"),
            measure(f"{many}: memory for the pods", "memory_for_pods", "MiB"),
            measure(f"{many}: {some} one after another on top, median", "one_by_one"),
            measure(f"{many}: {some} at once on top, median", "at_once"),
            measure(f"{many}: {some} at once on top, last", "at_once_last"),
        ]


@dataclass(frozen=True, slots=True)
class _Round:
    """One side's figures of one round: of a hub without servers, of one among all, and of starts."""

    nobody: Figures
    adopted: Figures
    started: Figures

    @property
    def known_seconds(self) -> float:
        return float(self.adopted["listed_seconds"] + self.adopted["each_seconds"])

    @property
    def restart_stall(self) -> float:
        return _longest_stall(self.adopted, "first", "each", "again")

    @property
    def idle_stall(self) -> float:
        return _longest_stall(self.adopted, "idle")

    @property
    def starts_stall(self) -> float:
        return _longest_stall(self.started, "alone", "crowd", "stops")

    @property
    def memory(self) -> float:
        return float(self.adopted["memory"] / _MIB)

    @property
    def memory_for_pods(self) -> float:
        return float((self.adopted["memory"] - self.nobody["memory"]) / _MIB)

    @property
    def one_by_one(self) -> float:
        return median(self.started["one_by_one"])

    @property
    def at_once(self) -> float:
        return median(self.started["at_once"])

    @property
    def at_once_last(self) -> float:
        return float(max(self.started["at_once"]))


def _longest_stall(figures: Figures, *parts: str) -> float:
    """Return the longest stall that the loop's own code computed, in milliseconds."""
    return max(float(figures[part]["longest_computed"]) for part in parts) * 1000
