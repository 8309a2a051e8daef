"""What the cluster says of pods, in the words and forms of Kubernetes 1.27 to 1.34."""

from __future__ import annotations

from typing import Any

import pytest

from stateroom.backends.base import Life
from stateroom.backends.kubernetes.manifests import ADDRESS
from stateroom.backends.kubernetes.observation import ObservedPod, Waiting, pod_from_json, version_of
from stateroom.common.labels import SPEC, TLS
from stateroom.common.quantity import GiB, Resources
from stateroom.workloads.names import ServerRef
from stateroom.workloads.resources import resources_as_labels

Json = dict[str, Any]
HUB_ID = "hub-1"
RUNS: Json = {"running": {"startedAt": "2026-11-24T10:00:00Z"}}
CREATING: Json = {"waiting": {"reason": "ContainerCreating"}}


def container(state: Json, name: str = "notebook") -> Json:
    return {"name": name, "state": state, "ready": "running" in state, "restartCount": 0, "image": "a:1"}


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Json:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def pod(status: Json, *, going: bool = False, annotations: dict[str, str] | None = None) -> Json:
    metadata: Json = {
        "name": "stateroom-ada",
        "uid": "5d2c9f1e",
        "resourceVersion": "4711",
        "annotations": {SPEC: "0a1b", **(annotations or {})},
    }
    if going:
        metadata |= {"deletionTimestamp": "2026-11-24T10:00:30Z", "deletionGracePeriodSeconds": 30}
    containers = [{"name": "proxy", "image": "proxy:1"}, {"name": "notebook", "image": "stateroom/unified:1"}]
    return {"metadata": metadata, "spec": {"containers": containers}, "status": status}


def seen(status: Json, **more: Any) -> ObservedPod:
    return pod_from_json(pod(status, **more), HUB_ID)


def scheduled(*containers: Json, phase: str = "Pending", **more: Any) -> Json:
    return {
        "phase": phase,
        "conditions": [condition("PodScheduled", "True")],
        "hostIP": "10.0.0.1",
        "containerStatuses": list(containers),
        **more,
    }


def ended(reason: str, code: int, message: str = "", /, *, phase: str = "Failed", **more: Any) -> Json:
    state = {"terminated": {"reason": reason, "exitCode": code, "message": message}}
    return scheduled(container(state), phase=phase, podIP="10.1.0.7", **more)


# On the way


@pytest.mark.parametrize(
    ("status", "waiting"),
    [
        ({}, Waiting()),
        ({"phase": "Pending", "qosClass": "Burstable"}, Waiting()),
        (
            {
                "phase": "Pending",
                "conditions": [
                    condition("PodScheduled", "False", "SchedulingGated", "Scheduling is blocked due to gates")
                ],
            },
            Waiting("SchedulingGated", "Scheduling is blocked due to gates"),
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")
                ],
            },
            Waiting("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu."),
        ),
        (scheduled(container(CREATING)), Waiting()),
        (scheduled(container({"waiting": {"reason": "PodInitializing"}})), Waiting()),
        (scheduled(container({})), Waiting()),
        (scheduled(container({"waiting": None})), Waiting()),
        ({"phase": "Pending", "conditions": None, "containerStatuses": None}, Waiting()),
        (
            scheduled(container({"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}})),
            Waiting("ErrImagePull", "manifest unknown"),
        ),
        (
            scheduled(
                container({"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "a:1"'}})
            ),
            Waiting("ImagePullBackOff", 'Back-off pulling image "a:1"'),
        ),
        (
            scheduled(
                container({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}})
            ),
            Waiting("CreateContainerConfigError", 'secret "x" not found'),
        ),
        (scheduled(container({"waiting": {"reason": "CrashLoopBackOff"}})), Waiting("CrashLoopBackOff", "")),
    ],
)
def test_a_pod_on_its_way_is_starting_and_says_what_it_waits_for(status: Json, waiting: Waiting) -> None:
    found = seen(status)
    assert found.state.life is Life.STARTING
    assert found.waiting == waiting
    assert not found.finished
    assert not found.state.address


def test_a_pod_for_which_a_node_makes_room_is_not_without_hope() -> None:
    """What is ended for it may take its time of grace."""
    told = condition("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")
    found = seen({"phase": "Pending", "conditions": [told], "nominatedNodeName": "node-1"})
    assert found.waiting.reason == "Nominated"


def test_a_container_that_runs_but_has_no_address_is_starting() -> None:
    assert seen(scheduled(container(RUNS), phase="Running")).state.life is Life.STARTING


def test_a_sidecar_that_cannot_start_keeps_the_server_waiting_and_is_told() -> None:
    stuck = container({"waiting": {"reason": "ImagePullBackOff", "message": "no proxy"}}, "proxy")
    assert seen(scheduled(stuck, container(CREATING))).waiting == Waiting("ImagePullBackOff", "no proxy")
    status = scheduled(container({"waiting": {"reason": "PodInitializing"}}))
    status["initContainerStatuses"] = [container({"waiting": {"reason": "ErrImagePull", "message": "x"}}, "setup")]
    assert seen(status).waiting == Waiting("ErrImagePull", "x")


def test_the_servers_own_trouble_is_told_before_a_sidecars() -> None:
    sidecar = container({"waiting": {"reason": "CrashLoopBackOff", "message": "proxy"}}, "proxy")
    own = container({"waiting": {"reason": "ErrImagePull", "message": "notebook"}})
    assert seen(scheduled(sidecar, own)).waiting == Waiting("ErrImagePull", "notebook")


# Running


@pytest.mark.parametrize(
    ("ip", "annotations", "address"),
    [
        ("10.1.0.7", {}, "http://10.1.0.7:8888"),
        ("fd00::7", {}, "http://[fd00::7]:8888"),
        ("10.1.0.7", {TLS: "true", ADDRESS: "10.96.0.3"}, "https://10.96.0.3:8888"),
        ("10.1.0.7", {TLS: "true", ADDRESS: "fd00:96::3"}, "https://[fd00:96::3]:8888"),
        ("10.1.0.7", {ADDRESS: ""}, "http://10.1.0.7:8888"),
    ],
)
def test_a_pod_that_runs_has_its_own_address_or_its_services(
    ip: str, annotations: dict[str, str], address: str
) -> None:
    found = seen(scheduled(container(RUNS), phase="Running", podIP=ip), annotations=annotations)
    assert found.state.life is Life.RUNNING
    assert found.state.address == address
    assert found.state.spec_hash == "0a1b"
    assert (found.name, found.uid, found.version) == ("stateroom-ada", "5d2c9f1e", 4711)


def test_a_server_runs_whatever_its_sidecars_do() -> None:
    """Also while the pod as a whole counts as pending or not ready."""
    sidecars = [
        container({"waiting": {"reason": "CrashLoopBackOff"}}, "proxy"),
        container({"terminated": {"exitCode": 1, "reason": "Error"}}, "other"),
    ]
    found = seen(scheduled(*sidecars, container(RUNS), phase="Running", podIP="10.1.0.7"))
    assert found.state.life is Life.RUNNING


def test_the_image_is_that_of_the_servers_own_container() -> None:
    assert seen({}).image == "stateroom/unified:1"
    assert pod_from_json({"metadata": {"name": "a", "uid": "b"}, "spec": {"containers": []}}, HUB_ID).image == ""


def test_a_pod_that_somebody_deletes_runs_until_it_has_ended() -> None:
    status = scheduled(container(RUNS), phase="Running", podIP="10.1.0.7")
    assert seen(status, going=True).state.life is Life.RUNNING


# The end


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (ended("Completed", 0, phase="Succeeded"), 0, ""),
        (ended("Error", 3), 3, ""),
        (ended("StartError", 128, "exec: no such file"), 128, ""),
        (ended("OOMKilled", 137), 137, "It ran out of memory."),
        ({"phase": "Failed"}, 137, ""),
        ({"phase": "Succeeded"}, 0, ""),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            137,
            "The node that it ran on had too little memory or disk left, and ended it.",
        ),
        (
            ended(
                "Error",
                137,
                reason="Evicted",
                conditions=[
                    condition("DisruptionTarget", "True", "TerminationByKubelet", "The node was low on memory")
                ],
            ),
            137,
            "The node that it ran on had too little memory or disk left, and ended it.",
        ),
        (
            ended(
                "Error",
                137,
                conditions=[condition("DisruptionTarget", "True", "PreemptionByScheduler", "higher priority pod")],
            ),
            137,
            "The cluster gave its place to something of higher priority.",
        ),
        (
            ended(
                "Error",
                143,
                conditions=[condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting")],
            ),
            143,
            "The node that it ran on was emptied, as for maintenance.",
        ),
        (
            ended(
                "Error",
                137,
                reason="Terminated",
                message="Pod was terminated in response to imminent node shutdown.",
                conditions=[condition("DisruptionTarget", "True", "TerminationByKubelet")],
            ),
            137,
            "The node that it ran on was shut down.",
        ),
        (
            scheduled(
                container(RUNS),
                phase="Failed",
                conditions=[condition("DisruptionTarget", "True", "DeletionByPodGC", "PodGC: node no longer exists")],
            ),
            137,
            "The node that it ran on is gone.",
        ),
        (
            ended("Error", 137, conditions=[condition("DisruptionTarget", "True", "SomethingNew")]),
            137,
            "The cluster ended it.",
        ),
        (ended("Error", 1, conditions=[condition("DisruptionTarget", "False", "PreemptionByScheduler")]), 1, ""),
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, 137, "Its time in the cluster was over."),
    ],
)
def test_a_pod_that_ended_says_how_and_why(status: Json, code: int, reason: str) -> None:
    found = seen(status)
    assert found.state.life is Life.ENDED
    assert found.state.exit_code == code
    assert found.state.reason == reason
    assert found.state.out_of_memory is ("memory." in reason and "ran out" in reason)
    assert found.finished


def test_a_server_has_ended_while_its_sidecars_run_on_but_its_pod_has_not() -> None:
    over = container({"terminated": {"exitCode": 1, "reason": "Error"}})
    found = seen(scheduled(container(RUNS, "proxy"), over, phase="Running", podIP="10.1.0.7"))
    assert found.state.life is Life.ENDED
    assert not found.finished, "a sidecar may still hold the home"


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("PreemptionByScheduler", "higher priority"),
        ("EvictionByEvictionAPI", "emptied"),
        ("DeletionByTaintManager", "out of order"),
    ],
)
def test_a_pod_that_is_being_taken_away_counts_as_ended_at_once(cause: str, words: str) -> None:
    """On a node that is lost it would count as running for ever."""
    status = scheduled(container(RUNS), phase="Running", podIP="10.1.0.7")
    status["conditions"].append(condition("DisruptionTarget", "True", cause))
    found = seen(status, going=True)
    assert found.state.life is Life.ENDED
    assert words in found.state.reason
    assert not found.finished


def test_a_disruption_that_has_not_come_about_changes_nothing() -> None:
    """The scheduler may mark a pod and then find room elsewhere."""
    status = scheduled(container(RUNS), phase="Running", podIP="10.1.0.7")
    status["conditions"].append(condition("DisruptionTarget", "True", "PreemptionByScheduler"))
    assert seen(status).state.life is Life.RUNNING


def test_a_node_that_is_not_heard_of_does_not_end_its_servers() -> None:
    """They may well run; the hub's own probes and the node's return decide."""
    status = scheduled(container(RUNS), phase="Running", podIP="10.1.0.7")
    status["conditions"].append(condition("Ready", "False", "NodeNotReady"))
    assert seen(status).state.life is Life.RUNNING


def test_a_container_that_could_not_be_run_says_so() -> None:
    found = seen(ended("StartError", 128, 'exec: "lab": executable file not found in $PATH'))
    assert found.waiting == Waiting("StartError", 'exec: "lab": executable file not found in $PATH')


def test_a_pod_that_ends_with_a_container_of_the_sites_own_says_which() -> None:
    setup = container({"terminated": {"exitCode": 3, "reason": "Error", "message": "no licence"}}, "setup")
    status = scheduled(container({"waiting": {"reason": "PodInitializing"}}), phase="Failed")
    found = seen(status | {"initContainerStatuses": [setup]})
    assert found.state.life is Life.ENDED
    assert found.state.exit_code == 3
    assert found.state.reason == 'It was the container "setup", which the catalog adds.'


def test_a_container_of_the_sites_own_that_did_its_work_is_not_to_blame() -> None:
    setup = container({"terminated": {"exitCode": 0, "reason": "Completed"}}, "setup")
    found = seen(ended("Error", 1) | {"initContainerStatuses": [setup]})
    assert (found.state.exit_code, found.state.reason) == (1, "")


# Versions


@pytest.mark.parametrize(
    ("metadata", "version"),
    [({"resourceVersion": "12"}, 12), ({"resourceVersion": ""}, 0), ({}, 0), ({"resourceVersion": "x1"}, 0)],
)
def test_a_version_is_a_number_and_0_where_it_is_none(metadata: Json, version: int) -> None:
    assert version_of(metadata) == version


# What it has


def sized(cpu: str, memory: str, reserved: str) -> Json:
    return {"limits": {"cpu": cpu, "memory": memory}, "requests": {"cpu": "250m", "memory": reserved}}


MADE = Resources(1000, 2 * GiB, 1, GiB)
SMALL, LARGE = sized("1", "2Gi", "1Gi"), sized("2500m", "4096Mi", "3Gi")
IS_SMALL, IS_LARGE = MADE, Resources(2500, 4 * GiB, 1, 3 * GiB)


def resized(wanted: Json | None, actual: Json | None, **status: Any) -> ObservedPod:
    """A pod on which `kubectl patch --subresource resize` was used (KEP-1287)."""
    runs = container(RUNS) | ({"resources": actual, "allocatedResources": actual["requests"]} if actual else {})
    whole = pod(
        scheduled(container(RUNS, "proxy") | {"resources": sized("9", "9Gi", "9Gi")}, runs, **status),
        annotations=dict(resources_as_labels(MADE)),
    )
    whole["spec"]["containers"][1] |= {"resources": wanted} if wanted else {}
    return pod_from_json(whole, HUB_ID)


@pytest.mark.parametrize(
    ("wanted", "actual", "status", "has"),
    [
        (LARGE, LARGE, {}, IS_LARGE),
        (LARGE, SMALL, {"resize": "InProgress"}, IS_SMALL),
        (LARGE, SMALL, {"resize": "Infeasible"}, IS_SMALL),
        (LARGE, SMALL, {"conditions": [condition("PodResizePending", "True", "Deferred", "...")]}, IS_SMALL),
        (LARGE, None, {}, IS_LARGE),  # before 1.27, and before it runs
        (LARGE, {"requests": {"memory": "3Gi"}}, {}, IS_LARGE),
        (None, None, {}, MADE),
        (sized("one", "much", "-1"), None, {}, MADE),
        ({"limits": {"memory": "4Gi"}}, None, {}, Resources(1000, 4 * GiB, 1, 2 * GiB)),
        ({"limits": {"memory": "4294967296", "cpu": "1e0"}}, None, {}, Resources(1000, 4 * GiB, 1, 2 * GiB)),
    ],
)
def test_a_pod_has_what_its_node_enforces(
    wanted: Json | None, actual: Json | None, status: Json, has: Resources
) -> None:
    assert resized(wanted, actual, **status).resources == has


# Who it is for


def test_a_pod_is_the_server_that_its_annotations_and_its_name_say() -> None:
    ref = ServerRef(HUB_ID, "ada")
    whole = pod({}, annotations=dict(ref.labels))
    assert pod_from_json(whole, HUB_ID).ref is None, "a copy has a name of its own"
    whole["metadata"]["name"] = ref.name
    assert pod_from_json(whole, HUB_ID).ref == ref
    assert pod_from_json(whole, "another-hub").ref is None
