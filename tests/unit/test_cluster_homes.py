"""Homes in a cluster: made once, grown and never shrunk, never anybody else's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from harness.fake_cluster import FakeCluster, Json
from stateroom.backends.kubernetes import homes as homes_module
from stateroom.backends.kubernetes.homes import Homes
from stateroom.backends.kubernetes.manifests import Site
from stateroom.catalog.storage import KubernetesHome
from stateroom.common.errors import BackendUnavailable, EngineRefused, HomeRefused
from stateroom.storage.homes import HomeRef
from stateroom.workloads.progress import Progress

ADA = HomeRef("hub-1", "ada", 7)
CLAIMS, RECORDS = "persistentvolumeclaims", "configmaps"


class ClusterThatRuns(FakeCluster):
    """In it a pod runs, ends with `exit_code`, and is seen to at the second look."""

    exit_code = 0
    said = ""
    scripts: list[list[str]]

    def __init__(self) -> None:
        super().__init__()
        self.scripts = []
        self.put(CLAIMS, {"metadata": {"name": "homes"}})

    async def create(self, kind: str, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Json:
        made = await super().create(kind, manifest, dry_run=dry_run)
        if kind == "pods":
            self.scripts.append(manifest["spec"]["containers"][0]["command"])
            asyncio.get_running_loop().call_later(0.02, self._end, made)
        return made

    def _end(self, pod: Json) -> None:
        if ("pods", pod["metadata"]["name"]) in self.objects:
            ended = {"exitCode": self.exit_code, "message": self.said}
            status = {"containerStatuses": [{"name": "folder", "state": {"terminated": ended}}]}
            self.put("pods", {**pod, "status": status})


class ClusterThatKeepsClaims(ClusterThatRuns):
    """In it a claim that is deleted is there for some time yet; for good where `seconds` is None."""

    seconds: float | None = 0.05

    async def delete(self, kind: str, name: str, uid: str, grace: float | None = None) -> None:  # noqa: ARG002 - as the real one
        claim = self.objects[kind, name]
        self.put(kind, {**claim, "metadata": {**claim["metadata"], "deletionTimestamp": "2026-11-27T10:00:00Z"}})
        if self.seconds is not None:
            asyncio.get_running_loop().call_later(self.seconds, self.objects.pop, (kind, name))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes_module, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(homes_module, "_FOLDER_SECONDS", 0.3)
    monkeypatch.setattr(homes_module, "_GONE_SECONDS", 0.3)


@pytest.fixture
def cluster() -> ClusterThatRuns:
    return ClusterThatRuns()


def homes_in(cluster: FakeCluster, **settings: Any) -> Homes:
    site = Site(homes=KubernetesHome(**settings), image="stateroom/unified:1")
    return Homes(cluster.typed, "hub-1", lambda: site)


def nothing(_: Progress) -> None:
    pass


def asked_of(cluster: FakeCluster, home: HomeRef = ADA) -> str:
    size: str = cluster.objects[CLAIMS, home.name]["spec"]["resources"]["requests"]["storage"]
    return size


# A claim each


async def test_a_claim_is_made_once_and_told(cluster: ClusterThatRuns) -> None:
    told: list[Progress] = []
    homes = homes_in(cluster)
    for _ in range(2):
        await homes.ensure(ADA, told.append)
    assert cluster.count("create") == 1
    assert [progress.message for progress in told] == ["Making your home"]


async def test_two_servers_that_make_one_claim_both_have_it(cluster: ClusterThatRuns) -> None:
    homes = homes_in(cluster)
    await asyncio.gather(*(homes.ensure(ADA, nothing) for _ in range(3)))
    assert (CLAIMS, ADA.name) in cluster.objects


@pytest.mark.parametrize(
    ("there", "wanted", "after"),
    [
        ("10Gi", "20 GiB", "20480Mi"),
        ("10737418240", "20 GiB", "20480Mi"),
        ("10G", "20 GiB", "20480Mi"),
        ("20Gi", "10 GiB", "20Gi"),
        ("1Ti", "10 GiB", "1Ti"),
        ("10Gi", "10 GiB", "10Gi"),
        ("10240Mi", "10 GiB", "10240Mi"),
        ("1e11", "10 GiB", "1e11"),
        ("what", "10 GiB", "what"),
    ],
)
async def test_a_claim_grows_and_never_shrinks(cluster: ClusterThatRuns, there: str, wanted: str, after: str) -> None:
    await homes_in(cluster).ensure(ADA, nothing)
    cluster.objects[CLAIMS, ADA.name]["spec"]["resources"]["requests"]["storage"] = there
    await homes_in(cluster, size=wanted).ensure(ADA, nothing)
    assert asked_of(cluster) == after


async def test_a_claim_that_cannot_grow_serves_on_and_that_is_told_once(
    cluster: ClusterThatRuns, caplog: pytest.LogCaptureFixture
) -> None:
    await homes_in(cluster).ensure(ADA, nothing)
    cluster.fail("patch", *[EngineRefused("only dynamically provisioned pvc can be resized")] * 5)
    homes = homes_in(cluster, size="20 GiB")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await homes.ensure(ADA, nothing)
    (record,) = caplog.records
    assert "The home of ada stays at 10240Mi, since the cluster does not let it grow to 20 GiB" in record.message
    assert "only dynamically provisioned" in record.message
    assert cluster.count("patch") == 1


async def test_a_cluster_that_is_away_is_no_claim_that_cannot_grow(cluster: ClusterThatRuns) -> None:
    await homes_in(cluster).ensure(ADA, nothing)
    homes = homes_in(cluster, size="20 GiB")
    cluster.fail("patch", BackendUnavailable("away"))
    with pytest.raises(BackendUnavailable):
        await homes.ensure(ADA, nothing)
    await homes.ensure(ADA, nothing)
    assert asked_of(cluster) == "20480Mi"


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        ({}, 'There is a claim "{name}" that is no home of this hub'),
        (HomeRef("hub-2", "ada", 7).labels, "is no home of this hub"),
        (HomeRef("hub-1", "ada", 8).labels, "belongs to the hub's user number 8, not to ada (number 7)"),
        (HomeRef("hub-1", "bob", 7).labels, "belongs to the hub's user number 7"),
    ],
)
@pytest.mark.parametrize("shared", [False, True])
async def test_somebody_elses_home_is_neither_mounted_grown_nor_removed(
    cluster: ClusterThatRuns, owner: Mapping[str, str], words: str, shared: bool
) -> None:
    kind = RECORDS if shared else CLAIMS
    body = {"metadata": {"name": ADA.name, "annotations": dict(owner)}, "spec": {}}
    cluster.put(kind, body)
    homes = homes_in(cluster, claim="homes" if shared else "per-user")
    calls = len(cluster.calls)
    for verb in (homes.ensure(ADA, nothing), homes.remove(ADA)):
        with pytest.raises(HomeRefused) as caught:
            await verb
        told = words.replace("{name}", ADA.name)
        assert (told.replace("a claim", "a ConfigMap") if shared else told) in str(caught.value)
    assert {call[0] for call in cluster.calls[calls:]} == {"read"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metadata": {"deletionTimestamp": "2026-11-24T10:00:00Z"}}, "is being deleted"),
        ({"status": {"phase": "Lost"}}, "has lost its storage"),
    ],
)
async def test_a_claim_that_holds_no_home_any_more_is_told_and_can_be_removed(
    cluster: ClusterThatRuns, change: Json, words: str
) -> None:
    homes = homes_in(cluster)
    await homes.ensure(ADA, nothing)
    await cluster.patch(CLAIMS, ADA.name, change)
    with pytest.raises(HomeRefused, match=words):
        await homes.ensure(ADA, nothing)
    await homes.remove(ADA)
    assert (CLAIMS, ADA.name) not in cluster.objects


async def test_a_home_is_removed_once_and_must_be_proven_anew(cluster: ClusterThatRuns) -> None:
    homes = homes_in(cluster)
    await homes.ensure(ADA, nothing)
    homes.prove(ADA)
    assert homes.is_proven(ADA)
    for _ in range(2):
        await homes.remove(ADA)
    assert not homes.is_proven(ADA)
    assert (CLAIMS, ADA.name) not in cluster.objects


# A folder each in one claim


async def test_a_folder_is_made_by_a_pod_that_goes_and_a_record_says_whose_it_is(cluster: ClusterThatRuns) -> None:
    homes = homes_in(cluster, claim="homes")
    for _ in range(2):
        await homes.ensure(ADA, nothing)
    assert [command[-1] for command in cluster.scripts] == [f"/homes/{ADA.name}"]
    assert cluster.objects[RECORDS, ADA.name]["metadata"]["annotations"].items() >= ADA.labels.items()
    assert not [name for kind, name in cluster.objects if kind == "pods"]


async def test_no_record_is_made_of_a_folder_that_could_not_be_made(cluster: ClusterThatRuns) -> None:
    cluster.exit_code, cluster.said = 1, "mkdir: Permission denied\n"
    homes = homes_in(cluster, claim="homes")
    with pytest.raises(HomeRefused, match="writable by user 1000 or group 100") as caught:
        await homes.ensure(ADA, nothing)
    assert caught.value.detail == "mkdir: Permission denied"
    assert (RECORDS, ADA.name) not in cluster.objects
    assert not [name for kind, name in cluster.objects if kind == "pods"]


async def test_two_servers_that_make_one_folder_both_have_it(cluster: ClusterThatRuns) -> None:
    """Neither takes the other's pod away before its end was seen."""
    homes = homes_in(cluster, claim="homes")
    await asyncio.gather(*(homes.ensure(ADA, nothing) for _ in range(4)))
    assert (RECORDS, ADA.name) in cluster.objects
    assert len(cluster.scripts) == 1


async def test_a_pod_that_a_killed_hub_left_is_waited_for_and_replaced(cluster: ClusterThatRuns) -> None:
    status = {"containerStatuses": [{"name": "folder", "state": {"terminated": {"exitCode": 0}}}]}
    cluster.put("pods", {"metadata": {"name": f"{ADA.name}-folder"}, "status": status})
    await homes_in(cluster, claim="homes").ensure(ADA, nothing)
    assert (RECORDS, ADA.name) in cluster.objects


async def test_a_folder_goes_before_its_record(cluster: ClusterThatRuns) -> None:
    """One whose folder could not be removed is still known."""
    homes = homes_in(cluster, claim="homes")
    await homes.ensure(ADA, nothing)
    cluster.exit_code = 1
    with pytest.raises(HomeRefused):
        await homes.remove(ADA)
    assert (RECORDS, ADA.name) in cluster.objects
    cluster.exit_code = 0
    await homes.remove(ADA)
    assert (RECORDS, ADA.name) not in cluster.objects
    assert cluster.scripts[-1][2].startswith("rm -rf --")
    assert (CLAIMS, "homes") in cluster.objects, "the claim that all share stays"


async def test_a_shared_claim_that_is_not_there_is_told_at_once(cluster: ClusterThatRuns) -> None:
    with pytest.raises(HomeRefused, match="The claim elsewhere, in which the homes are, is not in the cluster"):
        await homes_in(cluster, claim="elsewhere").ensure(ADA, nothing)
    assert not cluster.scripts


async def test_a_start_that_is_given_up_leaves_no_pod(cluster: ClusterThatRuns) -> None:
    making = asyncio.create_task(homes_in(cluster, claim="homes").ensure(ADA, nothing))
    await asyncio.sleep(0.005)
    assert cluster.scripts
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert not [name for kind, name in cluster.objects if kind == "pods"]


async def test_a_home_that_is_removed_is_gone_then() -> None:
    cluster = ClusterThatKeepsClaims()
    homes = homes_in(cluster)
    await homes.ensure(ADA, nothing)
    await homes.remove(ADA)
    assert (CLAIMS, ADA.name) not in cluster.objects
    await homes.ensure(HomeRef("hub-1", "ada", 8), nothing)


async def test_a_claim_that_stays_keeps_nobody_waiting_and_is_said_to_be_on_its_way() -> None:
    cluster = ClusterThatKeepsClaims()
    cluster.seconds = None
    homes = homes_in(cluster)
    await homes.ensure(ADA, nothing)
    await homes.remove(ADA)
    for later in (ADA, HomeRef("hub-1", "ada", 8)):
        with pytest.raises(HomeRefused, match="is being deleted"):
            await homes.ensure(later, nothing)


@pytest.mark.parametrize("access", ["ReadWriteOnce", "ReadWriteMany"])
async def test_on_how_many_nodes_a_home_is_mounted_its_claim_says_and_not_the_catalog(access: str) -> None:
    cluster = ClusterThatRuns()
    made = await homes_in(cluster, access=access).ensure(ADA, nothing)
    assert made is (access == "ReadWriteOnce")
    edited = "ReadWriteMany" if access == "ReadWriteOnce" else "ReadWriteOnce"
    assert await homes_in(cluster, access=edited).ensure(ADA, nothing) is made
    assert await homes_in(cluster, claim="homes").ensure(HomeRef("hub-1", "bob", 8), nothing) is False
