"""As `scene`, with a cluster: a hub outside of it, a faulty way to its API, and what must hold when trouble is over."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from harness import cluster
from harness.api_proxy import ApiProxy, Request
from harness.cluster_hub import ClusterHub
from harness.hub import PATIENCE, Person, wait_for
from harness.pods import core, read_or_none
from harness.recovery import cluster_answers
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef

CATALOG = """\
version: 1
images: [{id: tiny, image: "stateroom.test/tiny-answers:1", default: true}]
sizes: [{id: small, cpu: 0.1, memory: 64 MiB, default: true}]
start: {timeout: 2 min}
"""

_MARKER = "marker"

_Result = TypeVar("_Result")


@dataclass
class ClusterScene:
    """All that takes part. The bystander's server runs while others are started and stopped."""

    hub: ClusterHub
    proxy: ApiProxy
    kubeconfig: Path  # which leads to the proxy
    people: dict[str, Person] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)  # whose homes hold something

    def up(self) -> None:
        """Start the hub, which knows the cluster only through the proxy."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KUBECONFIG", str(self.kubeconfig))
            self.hub.up()

    def person(self) -> Person:
        """Somebody new."""
        person = self.hub.person()
        self.people[person.name] = person
        return person

    def bystander(self) -> Person:
        """The first one, whose server runs, and is started if it does not."""
        person = next(iter(self.people.values()), None) or self.person()
        if not person.active():
            person.started()
        self.mark_home(person)
        return person

    def before(self) -> Mapping[str, str]:
        """The pod of each server that runs now."""
        self.settle()
        return {name: self.pod(name) for name, person in self.people.items() if person.active()}

    def settle(self) -> None:
        """Wait until the hub is about nothing any more."""
        wait_for(lambda: not any(_is_pending(person) for person in self.people.values()), "the hub to settle")

    def repair(self) -> None:
        """Leave to the next trial nothing of this one but homes, even if it has failed."""
        self.proxy.passing = lambda _: None
        for part in cluster.components(cluster.FOLDER).values():
            part.start()
            part.resume()
        wait_for(cluster_answers, "the cluster")
        if not self.hub.runs:
            self.up()
        homes = self.homes()
        for name, person in self.people.items():
            if HomeRef(self.hub.id, name, 0).name in homes:
                self.mark_home(person)

    def pod(self, name: str) -> str:
        """The unique id of the pod of somebody's server; "" if there is none."""
        ref = ServerRef(self.hub.id, name)
        found = read_or_none(core().read_namespaced_pod, ref.name, self.hub.namespace)
        return str(found.metadata.uid) if found else ""

    def objects(self) -> tuple[set[str], int]:
        """The names of all pods, and how many Secrets there are."""
        pods = core().list_namespaced_pod(self.hub.namespace).items
        secrets = core().list_namespaced_secret(self.hub.namespace).items
        return {pod.metadata.name for pod in pods}, len(secrets)

    def home(self, name: str) -> Path:
        """Where the cluster keeps somebody's home."""
        home = HomeRef(self.hub.id, name, 0).name
        claim = core().read_namespaced_persistent_volume_claim(home, self.hub.namespace)
        return Path(core().read_persistent_volume(claim.spec.volume_name).spec.host_path.path)

    def homes(self) -> set[str]:
        """The names of all claims."""
        found = core().list_namespaced_persistent_volume_claim(self.hub.namespace).items
        return {claim.metadata.name for claim in found}

    def mark_home(self, person: Person) -> None:
        """Leave something in it, which must stay."""
        (self.home(person.name) / _MARKER).write_text(person.name)
        self.marked.add(person.name)

    def tokens(self) -> list[str]:
        """The tokens of servers that are valid, each by the note that the hub gave it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.hub.data}/jupyterhub.sqlite?mode=ro", uri=True)) as hub:
            return sorted(note for (note,) in hub.execute("select note from api_tokens where note like 'Server at %'"))


class ClusterMoment:
    """Calls `act` once, in the `number`th request that passes the proxy and is no watch; 0 only counts."""

    def __init__(self, proxy: ApiProxy, act: Callable[[], object], number: int, part: str = "") -> None:
        self.passed: list[str] = []
        self.over = threading.Event()
        self._act = act
        self._number = number
        self._part = part
        self._begun = threading.Lock()
        proxy.passing = self._pass

    def come(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Begin `work`, and return once it was met. What never passes is done at its end: the moment after the last."""
        asides = ThreadPoolExecutor(1)
        going = asides.submit(work)
        asides.shutdown(wait=False)
        going.add_done_callback(lambda _: self._do())
        assert self.over.wait(PATIENCE)
        return going

    def _pass(self, request: Request) -> None:
        if request.verb == "watch" or self._part not in str(request):
            return
        self.passed.append(str(request))
        if len(self.passed) == self._number:
            self._do()

    def _do(self) -> None:
        if self._begun.acquire(blocking=False):
            try:
                self._act()
            finally:
                self.over.set()


def assert_all_is_well(
    scene: ClusterScene, before: Mapping[str, str], victim: Person, *, lost: Collection[str] = ()
) -> None:
    """What must hold after every fault, as in `scene`; those in `lost` went with their node."""
    scene.settle()
    for name in lost:
        wait_for(lambda name=name: not scene.people[name].active(), f"the end of {name}'s server")
    for name, pod in before.items():
        if name not in {victim.name, *lost}:
            assert scene.people[name].active(), f"the hub has forgotten {name}'s server"
            assert scene.pod(name) == pod
            assert answers(scene.people[name])
    assert_nothing_is_left_over(scene)
    if victim.active():
        victim.stop()
    victim.started()
    assert answers(victim)
    for name in scene.marked:
        assert (scene.home(name) / _MARKER).read_text() == name
    assert scene.homes() == {HomeRef(scene.hub.id, name, 0).name for name in {*scene.marked, victim.name}}
    scene.mark_home(victim)
    victim.stop()
    assert_nothing_is_left_over(scene)


def assert_nothing_is_left_over(scene: ClusterScene) -> None:
    """The cluster holds the pods and Secrets of the active servers and no other; they alone have tokens."""

    def found() -> Any:
        return (*scene.objects(), scene.tokens())

    def expected() -> Any:
        active = [name for name, person in scene.people.items() if person.active()]
        names = {ServerRef(scene.hub.id, name).name for name in active}
        return names, len(active), sorted(f"Server at /user/{name}/" for name in active)

    with contextlib.suppress(AssertionError):  # the comparison below tells more
        wait_for(lambda: found() == expected(), "the clean-up", seconds=40)
    is_there, shall_be = found(), expected()
    assert is_there == shall_be, f"pods, number of Secrets and tokens are {is_there} and not {shall_be}"


def answers(person: Person) -> bool:
    """Whether a server is reached through the hub's proxy."""
    answer = requests.get(f"{person.hub.url}/user/{person.name}/api", timeout=PATIENCE)
    return (answer.status_code, answer.text) == (200, "alive\n")


def _is_pending(person: Person) -> bool:
    found = person.server()
    return found is not None and (bool(found["pending"]) or not found["ready"])
