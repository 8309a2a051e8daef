"""`stateroom images wait` against a cluster that is made up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness.command import run
from harness.fake_cluster import FakeCluster
from stateroom.common.errors import BackendUnavailable, EngineRefused, SetupError
from stateroom.operations.kubernetes import prepull
from stateroom.operations.kubernetes.prepull import Lack, Prepull, Standing, lack_of, standing_of

PATH = "/apis/apps/v1/namespaces/space/daemonsets/puller"
IMAGE = "registry.example/notebook:1"
BACK_OFF = f'Back-off pulling image "{IMAGE}"'
NOT_FOUND = f'failed to resolve reference "{IMAGE}": {IMAGE}: not found'
AWAY = 'dial tcp: lookup registry.example: no such host"'


def daemonset(wanted: int = 2, ready: int = 0, *, newest: int | None = None, observed: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"name": "puller", "uid": "ours", "generation": 2},
        "spec": {"selector": {"matchLabels": {"app": "puller", "release": "r"}}},
        "status": {
            "observedGeneration": observed,
            "desiredNumberScheduled": wanted,
            "numberReady": ready,
            "updatedNumberScheduled": wanted if newest is None else newest,
        },
    }


def pod(node: str = "a", reason: str = "", message: str = "", *, ready: bool = False, owner: str = "ours") -> Any:
    waiting = {"waiting": {"reason": reason or "PodInitializing", "message": message}}
    return {
        "metadata": {"name": f"puller-{node}", "ownerReferences": [{"uid": owner}]},
        "spec": {
            "nodeName": node,
            "initContainers": [{"name": "first", "image": IMAGE}],
            "containers": [{"name": "pause", "image": "pause:1"}],
        },
        "status": {
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "initContainerStatuses": [{"name": "first", "image": IMAGE, "state": waiting}],
            "containerStatuses": [
                {"name": "pause", "image": "pause:1", "state": {"waiting": {"reason": "PodInitializing"}}}
            ],
        },
    }


class Scene:
    """A cluster, and what is told of it."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.cluster.paths[PATH] = daemonset()
        self.told: list[str] = []

    def wait(self, seconds: float = 5.0) -> None:
        asyncio.run(Prepull(self.cluster.typed, "puller", self.told.append).wait(seconds))

    def then(self, *states: dict[str, Any]) -> None:
        """Have the DaemonSet come this far with each look."""
        left = list(states)

        async def at(_: str) -> dict[str, Any]:
            return left.pop(0) if len(left) > 1 else left[0]

        self.cluster.at = at  # type: ignore[method-assign]

    def why_not(self, seconds: float = 0.05) -> str:
        with pytest.raises(SetupError) as caught:
            self.wait(seconds)
        return str(caught.value)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(prepull, "_PAUSE", 0.005)
    return Scene()


class TestWaiting:
    def test_it_ends_once_all_nodes_have_all_images_and_says_what_changed(self, scene: Scene) -> None:
        scene.then(daemonset(observed=1), daemonset(), daemonset(ready=1), daemonset(ready=1), daemonset(ready=2))
        scene.wait()
        assert scene.told == [
            "the cluster has yet to look at the DaemonSet",
            "0 of 2 nodes have all images",
            "1 of 2 nodes has all images",
            "2 of 2 nodes have all images",
        ]

    def test_without_nodes_there_is_nothing_to_wait_for_once_the_cluster_has_looked(self, scene: Scene) -> None:
        scene.then({**daemonset(), "status": {}}, daemonset(0))
        scene.wait()
        assert scene.told[1:] == ["there is no node that needs images"]

    def test_pods_of_the_version_before_do_not_count(self) -> None:
        assert standing_of(daemonset(2, 2, newest=1)) == Standing(2, 1, seen=True)
        assert not standing_of(daemonset(2, 2, newest=1)).done

    def test_a_cluster_that_is_away_for_a_while_ends_nothing(self, scene: Scene) -> None:
        scene.cluster.fail("at", BackendUnavailable("The cluster does not answer. Try again in a minute."))
        scene.cluster.paths[PATH] = daemonset(ready=2)
        scene.wait()
        assert scene.told == ["The cluster does not answer.", "2 of 2 nodes have all images"]

    def test_an_account_that_may_not_list_pods_waits_as_well(self, scene: Scene) -> None:
        scene.cluster.fail("list", EngineRefused("pods is forbidden"))
        scene.then(daemonset(), daemonset(ready=2))
        scene.wait()


class TestTimeOut:
    def test_the_nodes_are_named_with_what_the_kubelet_says(self, scene: Scene) -> None:
        scene.cluster.paths[PATH] = daemonset(5, 1)
        scene.cluster.put("pods", pod("ready", ready=True))
        scene.cluster.put("pods", pod("a", "ImagePullBackOff", AWAY))
        scene.cluster.put("pods", pod("b"))
        scene.cluster.put("pods", pod("not-ours", "ErrImagePull", owner="another"))
        assert scene.why_not().splitlines() == [
            "After 0.05 s: 1 of 5 nodes has all images.",
            f'  a: {IMAGE}: ImagePullBackOff: "{AWAY}"',
            f"  b: {IMAGE}: is being fetched",
            "  2 nodes without a pod of it. See why: kubectl --namespace space describe daemonset puller",
        ]

    def test_of_very_many_nodes_some_are_named(self, scene: Scene) -> None:
        scene.cluster.paths[PATH] = daemonset(20)
        for number in range(20):
            scene.cluster.put("pods", pod(f"n{number}"))
        assert scene.why_not().splitlines()[-2:] == [f"  n11: {IMAGE}: is being fetched", "  and 8 more nodes"]

    def test_what_the_account_may_not_see_it_is_told_how_to_look_at(self, scene: Scene) -> None:
        scene.cluster.fail("list", *[EngineRefused("pods is forbidden")] * 1000)
        assert "the account may not see: kubectl --namespace space describe daemonset puller" in scene.why_not()

    def test_it_is_an_exit_status_of_one(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        assert scene
        monkeypatch.setenv("KUBECONFIG", "/nonexistent")
        outcome = run("images", "wait", "puller")
        assert outcome.status == 1
        outcome.assert_failure("no kubeconfig at /nonexistent")
        run("images", "wait", "puller", "--timeout", "soon").assert_failure("write for example 2 min")

    def test_of_a_long_message_the_end_is_told_where_the_cause_is(self) -> None:
        told = Lack(
            "a", IMAGE, "ErrImagePull", f"{'failed to do this and that: ' * 20}\nconnection refused"
        ).description
        assert told.startswith(f'a: {IMAGE}: ErrImagePull: "…')
        assert told.endswith(' connection refused"')
        assert len(told) < 300

    def test_a_pod_that_no_node_takes(self) -> None:
        placed = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Too many pods."}
        field = {"key": "metadata.name", "operator": "In", "values": ["full"]}
        terms = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [field]}]}}
        waiting = {"spec": {"affinity": {"nodeAffinity": terms}}, "status": {"conditions": [placed]}}
        assert lack_of(waiting) == Lack("full", "its pod", "Unschedulable", "Too many pods.")

    def test_a_pod_of_which_nothing_is_known_yet(self) -> None:
        assert lack_of({"metadata": {}}) == Lack("a node", "its pod", "is not ready yet")


class TestNoHope:
    def test_a_name_that_is_none_is_told_at_once(self, scene: Scene) -> None:
        scene.cluster.put("pods", pod("a", "InvalidImageName", "couldn't parse image name"))
        assert scene.why_not(60) == f'"{IMAGE}" is no name of an image. Correct it in the catalog.'

    def test_an_image_that_stays_missing_is_told_with_its_name(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(prepull, "_NOT_THERE_SECONDS", 0.03)
        scene.cluster.put("pods", pod("a", "ErrImagePull", NOT_FOUND))
        said = scene.why_not(60)
        assert said.startswith(f'The registry has no image "{IMAGE}", says the node a. Correct its name in the catalog')

    def test_a_kubelet_that_backs_off_without_saying_why_still_lacks_it(self, scene: Scene) -> None:
        waiting = Prepull(scene.cluster.typed, "puller", scene.told.append)
        first, silent = Lack("a", IMAGE, "ErrImagePull", NOT_FOUND), Lack("a", IMAGE, "ImagePullBackOff", BACK_OFF)
        assert waiting._missing(silent) is None
        waiting._lacks = [first]
        waiting._require_hope()
        assert waiting._missing(silent) == ("a", IMAGE)

    @pytest.mark.parametrize(
        ("reason", "message"),
        [("ErrImagePull", AWAY), ("ErrImagePull", "401 Unauthorized"), ("", ""), ("CrashLoopBackOff", NOT_FOUND)],
    )
    def test_what_may_pass_is_waited_for(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch, reason: str, message: str
    ) -> None:
        monkeypatch.setattr(prepull, "_NOT_THERE_SECONDS", 0.0)
        scene.cluster.put("pods", pod("a", reason, message))
        assert scene.why_not().startswith("After 0.05 s: ")

    def test_a_daemonset_that_is_not_there(self, scene: Scene) -> None:
        scene.cluster.paths.clear()
        assert 'no DaemonSet "puller" in the namespace space' in scene.why_not(60)

    def test_a_right_that_is_missing_is_named(self, scene: Scene) -> None:
        scene.cluster.fail("at", EngineRefused("daemonsets.apps is forbidden"))
        assert "apiGroups [apps], resources [daemonsets], verbs [get]" in scene.why_not(60)
