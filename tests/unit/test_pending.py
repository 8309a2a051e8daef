"""A pod on its way: what is told of it, how long it is waited for, and when there is no hope."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from harness.fake_cluster import FakeCluster, Json, pod_of, running, unschedulable, waiting
from harness.workloads import a_server
from stateroom.backends.kubernetes import pod_start as pending_module
from stateroom.backends.kubernetes.manifests import Site
from stateroom.backends.kubernetes.observation import ObservedPod
from stateroom.backends.kubernetes.pod_start import Pending
from stateroom.backends.kubernetes.pod_watch import PodWatch
from stateroom.catalog.kubernetes import KubernetesSettings
from stateroom.common.deadline import Deadline
from stateroom.common.errors import (
    BackendError,
    BackendUnavailable,
    DeadlineExceeded,
    EngineRefused,
    HomeRefused,
    ImageUnavailable,
    ImageUnfit,
    OutOfMemory,
    ServerEnded,
)
from stateroom.common.quantity import GiB
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.progress import Progress

ADA = ServerRef("hub-1", "ada")
SPEC = a_server(
    "hub-1",
    "ada",
    home=HomeRef("hub-1", "ada", 7),
    image="team/notebook:1",
    cpu=1000,
    memory=2 * GiB,
    environment={},
    pull_timeout=30.0,
)
FULL = "0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims."


# Time passes at once, and to the hundredth.
pytestmark = pytest.mark.usefixtures("loop_clock")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_module, "_UNEVENTFUL", 0.02)
    monkeypatch.setattr(pending_module, "_LOOK_AGAIN", 0.05)
    monkeypatch.setattr(pending_module, "_PATIENCE", 0.3)


class Scene:
    """One pod that is being started, and what is reported of it."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.watch = PodWatch(self.cluster.typed, "hub-1")
        self.pod = self.cluster.put("pods", pod_of(ADA))
        self.watch.record(self.pod)
        self.told: list[str] = []
        self.allowed = 0.4  # seconds

    def begin(self, *, scaling: float | None = None) -> asyncio.Task[tuple[ObservedPod, Deadline]]:
        self.deadline = Deadline.after(self.allowed, "waiting for your server")
        site = Site(settings=KubernetesSettings(autoscaler_timeout=f"{scaling} s" if scaling else None))
        pending = Pending(self.cluster.typed, self.watch, site, SPEC, self.pod["metadata"]["uid"])
        return asyncio.create_task(pending.until_running(self.deadline, self._report))

    def becomes(self, status: Json) -> None:
        self.watch.record(self.cluster.put("pods", pod_of(ADA, status)))

    def event(self, reason: str, message: str = "", **more: Any) -> None:
        self.cluster.tell("events", "ADDED", {"reason": reason, "message": message, **more})

    def _report(self, progress: Progress) -> None:
        self.told.append(progress.message)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    await scene.watch.close()


async def refused(start: asyncio.Task[tuple[ObservedPod, Deadline]]) -> BackendError:
    with pytest.raises(BackendError) as caught:
        async with asyncio.timeout(3):
            await start
    return caught.value


async def test_a_pod_that_runs_is_told_with_its_address_and_the_deadline_as_it_was(scene: Scene) -> None:
    start = scene.begin()
    await asyncio.sleep(0)
    scene.becomes(running())
    seen, deadline = await start
    assert seen.state.address == "http://10.1.0.7:8888"
    assert deadline == scene.deadline
    assert "events" not in scene.cluster.queries, "a quick start costs the cluster no further call"


async def test_a_slow_start_asks_for_the_events_of_its_own_pod_and_no_others(scene: Scene) -> None:
    start = scene.begin()
    await asyncio.sleep(0.1)
    scene.becomes(running())
    await start
    (query,) = scene.cluster.queries["events"]
    assert query == {"fieldSelector": f"involvedObject.uid={scene.pod['metadata']['uid']}"}


async def test_a_start_has_an_end(scene: Scene) -> None:
    error = await refused(scene.begin())
    assert isinstance(error, DeadlineExceeded)
    assert "waiting for your server" in str(error)


async def test_a_start_has_an_end_also_where_there_is_news_all_the_time(scene: Scene) -> None:
    start = scene.begin()

    async def chatter() -> None:
        for number in range(200):
            await asyncio.sleep(0.02)
            scene.becomes({"phase": "Pending", "conditions": [], "observedGeneration": number})

    chattering = asyncio.create_task(chatter())
    assert isinstance(await refused(start), DeadlineExceeded)
    chattering.cancel()


@pytest.mark.parametrize("gone", [True, False])
async def test_a_pod_that_is_gone_or_another_ends_the_start(scene: Scene, gone: bool) -> None:
    start = scene.begin()
    await asyncio.sleep(0.01)
    del scene.cluster.objects["pods", ADA.name]
    if gone:
        await scene.watch.refresh(ADA.name)
    else:
        scene.becomes(running())
    assert "removed before it answered" in str(await refused(start))


async def test_a_cluster_that_is_away_for_a_moment_does_not_end_it(scene: Scene) -> None:
    scene.cluster.fail("read", *[BackendUnavailable("away")] * 3)
    start = scene.begin()
    await asyncio.sleep(0.2)
    scene.becomes(running())
    await start


async def test_news_that_no_watch_tells_is_found_by_a_look(scene: Scene) -> None:
    start = scene.begin()
    await asyncio.sleep(0.01)
    scene.cluster.put("pods", pod_of(ADA, running()))
    seen, _ = await start
    assert seen.state.address


# Pulls


async def test_a_pull_puts_the_deadline_off_by_its_time(scene: Scene) -> None:
    start = scene.begin()
    await asyncio.sleep(0.05)
    scene.event("Pulling", 'Pulling image "team/notebook:1"')
    await asyncio.sleep(0.8)  # past the deadline
    assert not start.done()
    scene.event("Pulled", "Successfully pulled image")
    await asyncio.sleep(0.1)
    scene.becomes(running())
    _, deadline = await start
    assert deadline.at - scene.deadline.at == pytest.approx(0.8, abs=0.01)
    assert scene.told[:2] == ["Fetching the image; this happens once for each node", "Starting your server"]


async def test_a_pull_has_an_end_of_its_own(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_module.Pending, "_limit", limit_with_pull_of(0.3))
    scene.event("Pulling")
    began = time.monotonic()
    assert isinstance(await refused(scene.begin()), DeadlineExceeded)
    assert time.monotonic() - began == pytest.approx(scene.allowed + 0.3, abs=0.05)


def limit_with_pull_of(seconds: float) -> Any:
    real = pending_module.Pending._limit
    return lambda self: real(self) - (SPEC.container.pull_timeout - seconds if self._pulling_since else 0)


async def test_events_that_are_told_again_put_nothing_off_twice_and_no_step_back_is_told(scene: Scene) -> None:
    scene.event("Pulling")
    scene.event("Pulled")
    start = scene.begin()
    await asyncio.sleep(0.1)
    scene.cluster.end_watch("events")
    scene.event("Pulling")
    scene.event("Pulled")
    await asyncio.sleep(0.1)
    scene.becomes(running())
    _, deadline = await start
    assert deadline.at - scene.deadline.at < 0.01
    assert scene.told == ["Fetching the image; this happens once for each node", "Starting your server"]


@pytest.mark.parametrize(
    ("reason", "message", "told"),
    [
        ("ErrImagePull", "rpc error: code = NotFound desc = docker.io/team/notebook:1: not found", "has no image"),
        ("ImagePullBackOff", 'Back-off pulling image "team/notebook:1"', "could not be fetched. The cluster says"),
        ("ErrImageNeverPull", 'Container image "team/notebook:1" is not present with pull policy of Never', "never"),
        ("InvalidImageName", 'couldn\'t parse image name "A": invalid reference format', "no name of an image"),
        ("ErrImagePull", "", "could not be fetched"),
    ],
)
async def test_an_image_that_cannot_be_had_is_told_at_once(scene: Scene, reason: str, message: str, told: str) -> None:
    start = scene.begin()
    scene.becomes(waiting(reason, message))
    error = await refused(start)
    assert isinstance(error, ImageUnavailable)
    assert told in str(error)


# Nodes


async def test_what_no_node_takes_is_refused_after_a_moment_with_the_cause(scene: Scene) -> None:
    scene.allowed = 60
    start = scene.begin()
    began = time.monotonic()
    scene.becomes(unschedulable(FULL))
    error = await refused(start)
    assert isinstance(error, EngineRefused)
    assert str(error).startswith("No node of the cluster has enough memory free for this size.")
    assert time.monotonic() - began >= pending_module._PATIENCE, "not at once: a node may just be freed"
    assert "Waiting for a node with room for your server" in scene.told


async def test_what_finds_a_node_in_time_starts(scene: Scene) -> None:
    start = scene.begin()
    scene.becomes(unschedulable(FULL))
    await asyncio.sleep(0.15)
    scene.becomes(running())
    await start


async def test_a_scheduler_that_does_not_know_of_the_claim_yet_is_waited_for(scene: Scene) -> None:
    scene.allowed = 3
    start = scene.begin()
    scene.becomes(unschedulable(f'persistentvolumeclaim "{SPEC.home.name}" not found'))
    await asyncio.sleep(0.6)
    scene.becomes(running())
    await start


async def test_a_claim_of_the_sites_that_is_not_there_is_told(scene: Scene) -> None:
    scene.allowed = 60
    start = scene.begin()
    scene.becomes(unschedulable('persistentvolumeclaim "datasets" not found'))
    assert "the claim datasets, is not in the cluster" in str(await refused(start))


UNBOUND = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."


async def test_storage_may_be_long_in_the_making(scene: Scene) -> None:
    scene.allowed = 3
    start = scene.begin()
    scene.becomes(unschedulable(UNBOUND))
    await asyncio.sleep(0.8)
    assert "Waiting for storage for your home" in scene.told
    scene.becomes(running())
    await start


async def test_storage_that_cannot_be_made_is_told(scene: Scene) -> None:
    scene.allowed = 60
    start = scene.begin()
    scene.becomes(unschedulable(UNBOUND))
    await asyncio.sleep(0.6)
    scene.event("ProvisioningFailed", 'storageclass.storage.k8s.io "nowhere" not found')
    assert "The cluster has no storage for your home." in str(await refused(start))
    asked = [query["fieldSelector"] for query in scene.cluster.queries["events"]]
    assert f"involvedObject.kind=PersistentVolumeClaim,involvedObject.name={SPEC.home.name}" in asked


async def test_a_node_that_makes_room_is_waited_for(scene: Scene) -> None:
    scene.allowed = 1.5
    start = scene.begin()
    scene.becomes(unschedulable(FULL, nominatedNodeName="node-1"))
    await asyncio.sleep(0.6)
    scene.becomes(running())
    await start


async def test_an_autoscaler_has_its_time_and_the_deadline_is_put_off_by_it(scene: Scene) -> None:
    start = scene.begin(scaling=5)
    scene.becomes(unschedulable(FULL))
    scene.event("TriggeredScaleUp", "pod triggered scale-up: [{pool 1->2 (max: 5)}]")
    await asyncio.sleep(0.8)  # past the deadline and the patience without an autoscaler
    assert not start.done()
    scene.becomes({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]})
    await asyncio.sleep(0.1)
    scene.becomes(running())
    _, deadline = await start
    assert deadline.at - scene.deadline.at == pytest.approx(0.8, abs=0.06)
    assert "The cluster is adding a node for your server" in scene.told


async def test_an_autoscaler_that_brings_none_in_its_time_is_not_waited_for(scene: Scene) -> None:
    start = scene.begin(scaling=0.6)
    scene.becomes(unschedulable(FULL))
    began = time.monotonic()
    error = await refused(start)
    assert "enough memory free" in str(error)
    assert time.monotonic() - began == pytest.approx(0.6, abs=0.06)


async def test_an_autoscaler_that_cannot_help_is_not_waited_for(scene: Scene) -> None:
    start = scene.begin(scaling=60)
    scene.becomes(unschedulable(FULL))
    await asyncio.sleep(0.05)
    scene.event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")
    error = await refused(start)
    assert isinstance(error, EngineRefused)
    assert "enough memory free" in str(error)
    assert "max node group size reached" in error.detail


# Mounts and sandboxes


async def test_a_mount_that_fails_once_may_succeed(scene: Scene) -> None:
    start = scene.begin()
    scene.event("FailedMount", 'MountVolume.SetUp failed for volume "pv" : mount failed: exit status 32')
    await asyncio.sleep(0.1)
    scene.becomes(running())
    await start


@pytest.mark.parametrize("by", ["count", "time"])
async def test_a_mount_that_fails_on_and_on_is_told(scene: Scene, by: str) -> None:
    scene.allowed = 10
    start = scene.begin()
    message = 'MountVolume.SetUp failed for volume "pv" : mount failed: access denied by server'
    scene.event("FailedMount", message, count=1)
    if by == "time":
        await asyncio.sleep(0.5)
    scene.event("FailedMount", message, count=2 if by == "time" else 4)
    error = await refused(start)
    assert isinstance(error, HomeRefused)
    assert "Your home could not be mounted" in str(error)
    assert "access denied" in error.detail


@pytest.mark.parametrize(
    "message",
    [
        (
            'MountVolume.SetUp failed for volume "certificate" : failed to sync secret cache: timed out waiting '
            "for the condition"
        ),
        'MountVolume.SetUp failed for volume "kube-api-access" : object "lab"/"kube-root-ca.crt" not registered',
    ],
)
async def test_what_passes_by_itself_is_no_failure(scene: Scene, message: str) -> None:
    start = scene.begin()
    scene.event("FailedMount", message, count=9)
    await asyncio.sleep(0.1)
    assert not start.done()
    scene.becomes(running())
    await start


async def test_a_node_without_a_place_in_its_network_is_not_the_homes_fault(scene: Scene) -> None:
    start = scene.begin()
    said = 'Failed to create pod sandbox: failed to setup network for sandbox "1": plugin type="calico" failed (add)'
    scene.event("FailedCreatePodSandBox", said, count=4)
    error = await refused(start)
    assert isinstance(error, EngineRefused)
    assert "home" not in str(error)
    assert "network" in str(error)


async def test_a_volume_on_another_node_is_waited_for_and_named_at_the_end(scene: Scene) -> None:
    start = scene.begin()
    scene.event(
        "FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) a', count=9
    )
    error = await refused(start)
    assert isinstance(error, DeadlineExceeded)
    assert "still attached to another node" in str(error)


async def test_events_that_may_not_be_read_do_not_end_a_start(scene: Scene) -> None:
    scene.cluster.fail("watch", *[EngineRefused('cannot watch resource "events"')] * 100)
    start = scene.begin()
    await asyncio.sleep(0.2)
    scene.becomes(running())
    await start


@pytest.mark.parametrize("event", [{}, {"reason": None, "message": None}, {"reason": "FailedMount", "count": None}])
async def test_an_event_without_sense_does_not_end_a_start(scene: Scene, event: Json) -> None:
    scene.cluster.tell("events", "ADDED", event)
    start = scene.begin()
    await asyncio.sleep(0.1)
    scene.becomes(running())
    await start


# Containers


@pytest.mark.parametrize(
    ("reason", "message", "kind", "told"),
    [
        ("CreateContainerConfigError", 'secret "licence" not found', EngineRefused, "needs, licence, is not"),
        ("CreateContainerError", "no command specified", EngineRefused, "cannot be started"),
        (
            "RunContainerError", 'exec: "lab": executable file not found in $PATH: unknown', EngineRefused,
            "its command is missing",
        ),
        (
            "CreateContainerConfigError", "container has runAsNonRoot and image will run as root", ImageUnfit,
            "runs as root",
        ),
    ],
)  # fmt: skip
async def test_a_container_that_cannot_be_made_is_told_at_once(
    scene: Scene, reason: str, message: str, kind: type[BackendError], told: str
) -> None:
    start = scene.begin()
    scene.becomes(waiting(reason, message))
    error = await refused(start)
    assert isinstance(error, kind)
    assert told in str(error)


async def test_a_secret_that_the_node_does_not_know_yet_is_waited_for(scene: Scene) -> None:
    start = scene.begin()
    scene.becomes(waiting("CreateContainerConfigError", "failed to sync secret cache: timed out waiting"))
    await asyncio.sleep(0.1)
    scene.becomes(running())
    await start


@pytest.mark.parametrize(
    ("ended", "kind", "told"),
    [
        ({"reason": "Error", "exitCode": 3}, ServerEnded, "exit code 3"),
        ({"reason": "OOMKilled", "exitCode": 137}, OutOfMemory, "ran out of its 2 GiB of memory"),
        (
            {"reason": "StartError", "exitCode": 128, "message": 'exec: "lab": executable file not found in $PATH'},
            EngineRefused,
            "its command is missing",
        ),
    ],
)
async def test_a_server_that_ends_is_told_with_its_cause(
    scene: Scene, ended: Json, kind: type[BackendError], told: str
) -> None:
    start = scene.begin()
    status = {"phase": "Failed", "containerStatuses": [{"name": "notebook", "state": {"terminated": ended}}]}
    scene.becomes(status)
    error = await refused(start)
    assert isinstance(error, kind)
    assert told in str(error)


async def test_what_the_cluster_says_is_told_as_plain_text_and_cut(scene: Scene) -> None:
    start = scene.begin()
    scene.becomes(waiting("CreateContainerError", "\x1b[31m{image}\u202e" + "x" * 100_000))
    error = await refused(start)
    assert str(error).isprintable()
    assert len(str(error)) < 500
    assert "{image}" in str(error)
