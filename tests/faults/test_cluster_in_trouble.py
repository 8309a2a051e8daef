"""A hub that is killed, an API server or a kubelet that is away, a node that is gone: with a real cluster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import pytest

from contract.engines import tiny_stub
from harness import cluster
from harness.api_proxy import ApiProxy
from harness.cluster_hub import ClusterHub
from harness.hub import PATIENCE, Person, wait_for
from harness.pods import core, namespace_of_its_own
from harness.recovery import hurry_the_cluster, wait_for_the_cluster
from stateroom.backends.memory import Behaviour

from .cluster_scene import CATALOG, ClusterMoment, ClusterScene, assert_all_is_well
from .moments import TRIALS, assert_is_sentence, spread, start_and_hear, stop_and_hear

AWAY_SECONDS = 60.0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterScene]:
    if "STATEROOM_TEST_KUBECONFIG" in os.environ:
        pytest.skip("trouble is made with a cluster of the tests' own")
    core()
    tiny_stub(Behaviour.ANSWERS)
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "hub").mkdir()
    with namespace_of_its_own() as namespace:
        proxy = ApiProxy(cluster.kubeconfig())
        hub = ClusterHub(folder / "hub", namespace, CATALOG)
        scene = ClusterScene(hub, proxy, proxy.write_kubeconfig(folder / "proxied.kubeconfig"))
        try:
            scene.up()
            yield scene
        finally:
            scene.repair()
            scene.hub.down()
            proxy.close()


@pytest.fixture
def victim(scene: ClusterScene) -> Iterator[Person]:
    """Somebody new, whom the fault meets, while the bystander's server runs."""
    scene.bystander()
    person = scene.person()
    assert person.web
    yield person
    scene.repair()
    if person.active():
        person.stop()
    person.close()


@pytest.fixture(scope="module")
def passed(scene: ClusterScene) -> dict[str, int]:
    """How many requests a start and a stop take, of somebody new."""
    scene.bystander()
    person, counted = scene.person(), {}
    for name, step in (("start", person.started), ("stop", person.stop)):
        counting = ClusterMoment(scene.proxy, lambda: None, 0)
        step()
        counted[name] = len(counting.passed)
    scene.mark_home(person)
    return counted


@pytest.mark.parametrize("trial", range(TRIALS))
@pytest.mark.parametrize("during", ["start", "stop"])
def test_a_hub_is_killed(scene: ClusterScene, victim: Person, during: str, trial: int, passed: dict[str, int]) -> None:
    if during == "stop":
        victim.started()
    before = scene.before()
    work: Callable[[], object] = victim.start if during == "start" else lambda: stop_and_hear(victim)

    ClusterMoment(scene.proxy, scene.hub.kill, spread(trial, TRIALS, passed[during])).come(work)
    scene.up()
    assert_all_is_well(scene, before, victim)


WHEN = ("while idle", "as a server is started", "as a server is stopped")
WHAT = ("kube-apiserver is killed", "kube-apiserver hangs", "kubelet is killed")


@pytest.mark.parametrize(("when", "what"), list(product(WHEN, WHAT)))
def test_a_part_of_the_cluster_is_away(scene: ClusterScene, victim: Person, when: str, what: str) -> None:
    name, _, how = what.partition(" ")
    part = cluster.components(cluster.FOLDER)[name]
    begin, end = (part.pause, part.resume) if how == "hangs" else (partial(part.stop, signal.SIGKILL), part.start)
    if when != "as a server is started":
        victim.started()
    before = scene.before()
    going = None
    if when == "while idle":
        begin()
        time.sleep(AWAY_SECONDS)
        assert victim.active()
    else:
        verb, work = ("POST", start_and_hear) if when == "as a server is started" else ("DELETE", stop_and_hear)
        going = ClusterMoment(scene.proxy, begin, 1, verb).come(lambda: work(victim))
        time.sleep(AWAY_SECONDS)
    end()
    hurry_the_cluster()
    wait_for_the_cluster("stateroom.test/tiny-answers:1")
    if going is not None and (words := going.result(PATIENCE)):
        assert_is_sentence(words)
    assert_all_is_well(scene, before, victim)


def test_a_node_is_gone(scene: ClusterScene, victim: Person) -> None:
    """Its servers are lost with it, their owners are told, and their homes are there for the next start."""
    bystander = scene.bystander()
    before = scene.before()
    kubelet = cluster.components(cluster.FOLDER)["kubelet"]
    kubelet.stop()
    core().delete_node(cluster.NODE_NAME)
    try:
        wait_for(lambda: not bystander.active(), "the hub's word of the end", seconds=120)
    finally:
        kubelet.start()
    hurry_the_cluster()
    wait_for_the_cluster("stateroom.test/tiny-answers:1")
    assert_all_is_well(scene, before, victim, lost=[bystander.name])
