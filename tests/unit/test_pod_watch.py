"""The one watch of a cluster: what it knows, and that it never gives up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from harness.fake_cluster import FakeCluster, pod_of, running
from stateroom.backends.base import Life
from stateroom.backends.kubernetes import pod_watch as watch_module
from stateroom.backends.kubernetes.answers import Expired
from stateroom.backends.kubernetes.pod_watch import PodWatch
from stateroom.common.errors import BackendUnavailable, EngineRefused
from stateroom.common.quantity import GiB, Resources
from stateroom.workloads.names import ServerRef

ADA, BOB = ServerRef("hub-1", "ada"), ServerRef("hub-1", "bob")
AWAY = BackendUnavailable("The cluster does not answer.", detail="connection refused")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(watch_module, "_LONGEST_PAUSE", 0.02)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
async def watch(cluster: FakeCluster) -> AsyncIterator[PodWatch]:
    watch = PodWatch(cluster.typed, "hub-1")
    yield watch
    await watch.close()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - a fake sets no event
            await asyncio.sleep(0.005)


def lives(watch: PodWatch, *refs: ServerRef) -> list[Life]:
    return [watch.picture.last(ref.name).life for ref in refs]


async def test_it_lists_once_and_then_hears(cluster: FakeCluster, watch: PodWatch) -> None:
    cluster.put("pods", pod_of(ADA))
    cluster.put("pods", pod_of(BOB, running()))
    assert (await watch.picture.state(ADA.name)).life is Life.STARTING
    assert {seen.name for seen in await watch.picture.all()} == {ADA.name, BOB.name}
    cluster.tell("pods", "MODIFIED", cluster.put("pods", pod_of(ADA, running())))
    state = await asyncio.wait_for(watch.picture.changed(ADA.name, watch.picture.last(ADA.name)), 30)
    assert state.address == "http://10.1.0.7:8888"
    gone = cluster.put("pods", pod_of(BOB, running()))
    cluster.tell("pods", "DELETED", gone)
    end = await asyncio.wait_for(watch.picture.changed(BOB.name, watch.picture.last(BOB.name)), 30)
    assert end.life is Life.ABSENT
    assert cluster.lists == 1
    assert cluster.queries["pods"][0]["labelSelector"] == "io.stateroom.hub=hub-1,io.stateroom.kind=server"


def sized(memory: str, status: dict[str, Any]) -> dict[str, Any]:
    """A pod that has so much memory on its node."""
    (runs,) = status["containerStatuses"]
    resources = {"limits": {"cpu": "1", "memory": memory}, "requests": {"cpu": "500m", "memory": memory}}
    return {**status, "containerStatuses": [{**runs, "resources": resources}]}


async def test_a_pod_that_is_resized_is_listed_with_what_it_has_now(cluster: FakeCluster, watch: PodWatch) -> None:
    cluster.put("pods", pod_of(ADA, sized("2Gi", running())))
    assert [seen.resources for seen in await watch.picture.all()] == [Resources(1000, 2 * GiB, 0, 2 * GiB)]
    cluster.tell("pods", "MODIFIED", cluster.put("pods", pod_of(ADA, sized("3Gi", running()))))
    larger = Resources(1000, 3 * GiB, 0, 3 * GiB)
    await until(lambda: (seen := watch.picture.get(ADA.name)) is not None and seen.resources == larger)
    again = PodWatch(cluster.typed, "hub-1")
    assert [seen.resources for seen in await again.picture.all()] == [larger]
    await again.close()


async def test_another_server_of_the_user_is_known_or_taken_for_there(cluster: FakeCluster, watch: PodWatch) -> None:
    second = ServerRef(ADA.hub, ADA.user, "second")
    assert watch.has_sibling_of(second), "nothing is known yet"
    cluster.put("pods", pod_of(ADA, running()))
    await watch.picture.all()
    assert watch.has_sibling_of(second)
    assert not watch.has_sibling_of(ADA)
    assert not watch.has_sibling_of(BOB)
    cluster.tell("pods", "DELETED", cluster.put("pods", pod_of(ADA, running())))
    await until(lambda: not watch.has_sibling_of(second))


async def test_what_is_told_of_a_pod_that_was_replaced_does_not_take_its_successor(
    cluster: FakeCluster, watch: PodWatch
) -> None:
    first = cluster.put("pods", pod_of(ADA))
    await watch.picture.state(ADA.name)
    del cluster.objects["pods", ADA.name]
    second = cluster.put("pods", pod_of(ADA, running()))
    cluster.tell("pods", "ADDED", second)
    cluster.tell("pods", "DELETED", first)
    cluster.tell("pods", "ADDED", cluster.put("pods", pod_of(BOB)))
    await until(lambda: watch.picture.get(BOB.name) is not None)
    assert lives(watch, ADA) == [Life.RUNNING]


async def test_a_watch_that_ends_goes_on_from_where_it_ended(cluster: FakeCluster, watch: PodWatch) -> None:
    cluster.put("pods", pod_of(ADA))
    await watch.picture.state(ADA.name)
    cluster.tell("pods", "BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": "500"}})
    cluster.end_watch("pods")
    await until(lambda: len(cluster.queries["pods"]) == 2)
    assert [query["resourceVersion"] for query in cluster.queries["pods"]] == ["2", "500"]
    assert cluster.lists == 1


@pytest.mark.parametrize(
    "error",
    [AWAY, EngineRefused("forbidden"), BackendUnavailable("The cluster's API answered with an error.")],
)
async def test_a_watch_that_breaks_goes_on_from_its_version_without_a_list(
    cluster: FakeCluster, watch: PodWatch, error: Exception
) -> None:
    cluster.put("pods", pod_of(ADA, running()))
    await watch.picture.state(ADA.name)
    cluster.fail("watch", error, error, error)
    cluster.end_watch("pods", error)
    await until(lambda: len(cluster.queries["pods"]) == 5)
    assert {query["resourceVersion"] for query in cluster.queries["pods"]} == {"2"}
    assert cluster.lists == 1
    assert (await watch.picture.state(ADA.name)).life is Life.RUNNING, "what was known stays known"


async def test_a_forgotten_version_leads_to_one_new_list(cluster: FakeCluster, watch: PodWatch) -> None:
    cluster.put("pods", pod_of(ADA, running()))
    cluster.put("pods", pod_of(BOB))
    await watch.picture.state(ADA.name)
    del cluster.objects["pods", ADA.name]
    cluster.put("pods", pod_of(BOB, running()))
    cluster.end_watch("pods", Expired("too old resource version"))
    await until(lambda: len(cluster.queries["pods"]) == 2)
    assert cluster.lists == 2
    assert lives(watch, ADA, BOB) == [Life.ABSENT, Life.RUNNING]
    assert cluster.queries["pods"][1]["resourceVersion"] == str(cluster.version)


async def test_a_new_list_that_fails_leaves_what_was_known(cluster: FakeCluster, watch: PodWatch) -> None:
    cluster.put("pods", pod_of(ADA, running()))
    await watch.picture.state(ADA.name)
    cluster.fail("list", AWAY, AWAY)
    cluster.end_watch("pods", Expired("too old resource version"))
    await until(lambda: cluster.count("list") == 3)
    assert (await watch.picture.state(ADA.name)).life is Life.RUNNING


async def test_versions_never_go_back(cluster: FakeCluster, watch: PodWatch) -> None:
    await watch.picture.all()
    old = cluster.put("pods", pod_of(ADA))
    new = cluster.put("pods", pod_of(ADA, running()))
    watch.record(new)
    cluster.tell("pods", "ADDED", old)
    cluster.tell("pods", "BOOKMARK", {"metadata": {"resourceVersion": "1"}})
    cluster.end_watch("pods")
    await until(lambda: len(cluster.queries["pods"]) == 2)
    assert lives(watch, ADA) == [Life.RUNNING]
    assert int(cluster.queries["pods"][1]["resourceVersion"]) >= 2


async def test_what_was_made_during_a_list_is_not_forgotten_by_it(cluster: FakeCluster, watch: PodWatch) -> None:
    """The list is of an older version than the pod."""
    await watch.picture.all()
    made = pod_of(ADA)
    made["metadata"] |= {"uid": "u", "resourceVersion": "999"}
    watch.record(made)
    cluster.end_watch("pods", Expired("too old resource version"))
    await until(lambda: len(cluster.queries["pods"]) == 2)
    assert lives(watch, ADA) == [Life.STARTING]


@pytest.mark.parametrize("strange", [KeyError("metadata"), RuntimeError("what"), RecursionError()])
async def test_an_error_that_nobody_thought_of_does_not_end_it(
    cluster: FakeCluster, watch: PodWatch, strange: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    await watch.picture.all()
    with caplog.at_level(logging.CRITICAL):
        cluster.end_watch("pods", strange)
        await until(lambda: len(cluster.queries["pods"]) == 2)
    cluster.tell("pods", "ADDED", cluster.put("pods", pod_of(ADA, running())))
    await until(lambda: lives(watch, ADA) == [Life.RUNNING])


async def test_a_pod_without_sense_does_not_end_it(
    cluster: FakeCluster, watch: PodWatch, caplog: pytest.LogCaptureFixture
) -> None:
    await watch.picture.all()
    with caplog.at_level(logging.CRITICAL):
        cluster.tell("pods", "ADDED", {"metadata": {}})
        await until(lambda: cluster.lists == 2)
    cluster.tell("pods", "ADDED", cluster.put("pods", pod_of(ADA)))
    await until(lambda: lives(watch, ADA) == [Life.STARTING])


async def test_as_long_as_nothing_is_known_that_is_said_and_not_that_servers_are_gone(
    cluster: FakeCluster, watch: PodWatch
) -> None:
    cluster.fail("list", *[AWAY] * 1000)
    with pytest.raises(BackendUnavailable, match="does not answer") as caught:
        await watch.picture.state(ADA.name)
    assert caught.value.detail == "connection refused"
    waiting = asyncio.create_task(watch.picture.changed(ADA.name, None))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    cluster.put("pods", pod_of(ADA, running()))
    cluster.failures.clear()
    assert (await asyncio.wait_for(waiting, 30)).life is Life.RUNNING
    assert (await watch.picture.state(ADA.name)).life is Life.RUNNING


async def test_an_account_that_may_not_list_is_told_as_such(cluster: FakeCluster, watch: PodWatch) -> None:
    cluster.fail("list", *[EngineRefused('cannot list resource "pods"')] * 1000)
    with pytest.raises(EngineRefused, match="cannot list"):
        await watch.picture.state(ADA.name)


async def test_pods_that_are_no_servers_of_this_hub_are_not_known(cluster: FakeCluster, watch: PodWatch) -> None:
    """Their labels say so, and anyone may write labels."""
    impostor = pod_of(ADA)
    impostor["metadata"]["name"] = "another"
    cluster.put("pods", impostor)
    cluster.put("pods", pod_of(ServerRef("hub-2", "ada")))
    cluster.put("pods", {"metadata": {"name": BOB.name}})
    assert await watch.picture.all() == []


async def test_it_is_told_at_once_and_to_all_who_wait(cluster: FakeCluster, watch: PodWatch) -> None:
    await watch.picture.all()
    waiting = [asyncio.create_task(watch.picture.changed(ADA.name, watch.picture.last(ADA.name))) for _ in range(50)]
    leaving = asyncio.create_task(watch.picture.changed(ADA.name, watch.picture.last(ADA.name)))
    await asyncio.sleep(0.01)
    leaving.cancel()
    cluster.tell("pods", "ADDED", cluster.put("pods", pod_of(ADA, running())))
    async with asyncio.timeout(30):
        states = await asyncio.gather(*waiting)
    assert {state.life for state in states} == {Life.RUNNING}
    assert not watch.picture._notifier


async def test_waiting_for_anything_new_has_an_end(cluster: FakeCluster, watch: PodWatch) -> None:
    cluster.put("pods", pod_of(ADA))
    await watch.picture.all()
    known = watch.picture.get(ADA.name)
    assert await watch.picture.next(ADA.name, known, 0.02) == known
    assert not watch.picture._notifier


async def test_a_look_knows_what_the_cluster_says_now(cluster: FakeCluster, watch: PodWatch) -> None:
    await watch.picture.all()
    cluster.put("pods", pod_of(ADA, running()))
    await watch.refresh(ADA.name)
    assert lives(watch, ADA) == [Life.RUNNING]
    del cluster.objects["pods", ADA.name]
    assert await watch.refresh(ADA.name) is None
    assert lives(watch, ADA) == [Life.ABSENT]


async def test_every_word_of_the_cluster_is_a_contact(
    cluster: FakeCluster, watch: PodWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watch.picture.all()
    long_ago = time.time() - 100
    monkeypatch.setattr(watch.picture, "_last_contact", long_ago)
    cluster.end_watch("pods", AWAY)
    await until(lambda: len(cluster.queries["pods"]) == 2)
    assert watch.picture.last_contact() == long_ago, "an error is no word of the cluster's memory"
    cluster.tell("pods", "BOOKMARK", {"metadata": {"resourceVersion": "5"}})
    await until(lambda: watch.picture.last_contact() > long_ago)
