"""An API server in trouble: what is known stays known, nothing is lost, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import pytest

from contract.engines import TOKEN, KubernetesSubject, make_spec, start
from harness.api_proxy import ApiProxy, Mood
from harness.pods import core, until
from stateroom.backends.base import Life
from stateroom.backends.memory import Behaviour
from stateroom.common.deadline import Deadline
from stateroom.common.errors import BackendError, BackendUnavailable
from stateroom.workloads.names import ServerRef

# Past the time after which KubeSpawner's reflector has given up for good.
LONG_OUTAGE = 35.0


def soon(seconds: float = 60) -> Deadline:
    return Deadline.after(seconds, "waiting for the server to answer")


def silence(subject: KubernetesSubject) -> float:
    """Seconds since the backend last heard of its engine."""
    return time.time() - subject.backend.last_contact()


async def noticed(subject: KubernetesSubject, ref: ServerRef) -> Life:
    """What becomes of a server that is killed."""
    running = await subject.backend.servers.state(ref)
    await asyncio.to_thread(subject.kill, ref)
    return (await asyncio.wait_for(subject.backend.servers.changed(ref, running), 60)).life


def pods_of(subject: KubernetesSubject) -> list[str]:
    return [pod.metadata.name for pod in core().list_namespaced_pod(subject.namespace).items]


async def test_a_version_that_the_cluster_has_forgotten_leads_to_one_new_list(
    proxied: KubernetesSubject, proxy: ApiProxy
) -> None:
    spec = make_spec(proxied)
    await start(proxied, spec)
    listed = proxy.asked("list", "pods")
    with proxy.fault(Mood.EXPIRES):
        await asyncio.sleep(0.2)  # only the watch that is open
    assert (await proxied.backend.servers.state(spec.ref)).life is Life.RUNNING
    assert await noticed(proxied, spec.ref) is Life.ENDED
    assert proxy.asked("list", "pods") == listed + 1


async def test_the_watch_never_gives_up(proxied: KubernetesSubject, proxy: ApiProxy) -> None:
    spec = make_spec(proxied)
    await start(proxied, spec)
    listed = proxy.asked("list", "pods")
    with proxy.fault(Mood.AWAY):
        await asyncio.sleep(LONG_OUTAGE)
        assert (await proxied.backend.servers.state(spec.ref)).life is Life.RUNNING
        assert silence(proxied) > LONG_OUTAGE - 2
    assert await noticed(proxied, spec.ref) is Life.ENDED
    assert silence(proxied) < LONG_OUTAGE
    # It went on from the version where it had been.
    assert proxy.asked("list", "pods") == listed


@pytest.mark.parametrize("status", [500, 503, 403, 429])
async def test_an_error_says_nothing_about_servers(proxied: KubernetesSubject, proxy: ApiProxy, status: int) -> None:
    spec = make_spec(proxied)
    await start(proxied, spec)
    with proxy.fault(Mood.REFUSES, status=status):
        proxy.cut()
        await asyncio.sleep(2)
        assert (await proxied.backend.servers.state(spec.ref)).life is Life.RUNNING
        assert [server.state.life for server in await proxied.backend.servers.list()] == [Life.RUNNING]
    assert await noticed(proxied, spec.ref) is Life.ENDED


async def test_a_hub_that_comes_up_while_the_cluster_is_away_says_so(
    proxied: KubernetesSubject, proxy: ApiProxy
) -> None:
    spec = make_spec(proxied)
    await start(proxied, spec)
    await proxied.restart()
    with proxy.fault(Mood.REFUSES, status=500), pytest.raises(BackendUnavailable):
        await proxied.backend.servers.state(spec.ref)
    until_known = asyncio.create_task(proxied.backend.servers.changed(spec.ref, None))
    assert (await asyncio.wait_for(until_known, 60)).life is Life.RUNNING


async def test_servers_start_and_stop_while_the_watch_is_silent(proxied: KubernetesSubject, proxy: ApiProxy) -> None:
    spec = make_spec(proxied)
    await proxied.backend.servers.list()
    with proxy.fault(Mood.MUTES):
        await start(proxied, spec)
        await proxied.backend.servers.stop(spec.ref, soon())
        assert pods_of(proxied) == []


async def test_a_slow_list_holds_nobody_up_for_ever(proxied: KubernetesSubject, proxy: ApiProxy) -> None:
    spec = make_spec(proxied)
    await start(proxied, spec)
    await proxied.restart()
    with proxy.fault(Mood.STALLS, verb="list", seconds=3):
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.01)
                turns += 1

        counting = asyncio.create_task(count())
        async with asyncio.timeout(60):
            assert (await proxied.backend.servers.state(spec.ref)).life is Life.RUNNING
        counting.cancel()
        assert turns > 50, "of 300: the loop turned while the list was waited for"


@pytest.mark.parametrize("kind", ["pods", "secrets"])
@pytest.mark.parametrize("mood", [Mood.LOSES, Mood.CUTS, Mood.BREAKS])
async def test_an_answer_that_is_lost_leaves_nothing_of_a_start(
    proxied: KubernetesSubject, proxy: ApiProxy, mood: Mood, kind: str
) -> None:
    spec = make_spec(proxied)
    with proxy.fault(mood, verb="create", path=f"/{kind}($|\\?)", times=1), pytest.raises(BackendError) as caught:
        await start(proxied, spec)
    assert str(caught.value).endswith(".")
    assert TOKEN not in str(caught.value) + caught.value.detail
    until(lambda: pods_of(proxied) == [], "nothing is left of the start")
    until(lambda: not core().list_namespaced_secret(proxied.namespace).items, "no Secret is left")
    await start(proxied, spec)


async def test_an_answer_that_is_lost_does_not_keep_a_server_from_its_end(
    proxied: KubernetesSubject, proxy: ApiProxy
) -> None:
    spec = make_spec(proxied)
    await start(proxied, spec)
    with proxy.fault(Mood.LOSES, verb="delete") as lost, contextlib.suppress(BackendUnavailable):
        await proxied.backend.servers.stop(spec.ref, soon())
    assert lost.hits
    await asyncio.sleep(4)
    until(lambda: pods_of(proxied) == [], "the server is gone")
    await proxied.backend.servers.stop(spec.ref, soon())


async def test_what_the_cluster_asks_to_be_sent_again_is_sent_again(
    proxied: KubernetesSubject, proxy: ApiProxy
) -> None:
    spec = make_spec(proxied)
    with (
        proxy.fault(Mood.REFUSES, verb="create", path="/pods", status=429, retry_after=1, times=1) as busy,
        proxy.fault(Mood.REFUSES, verb="create", path="/secrets", status=503, retry_after=1, times=1) as away,
    ):
        await start(proxied, spec)
    assert (busy.hits, away.hits) == (1, 1)


async def test_credentials_that_have_expired_are_read_anew(proxied: KubernetesSubject, proxy: ApiProxy) -> None:
    spec = make_spec(proxied)
    await proxied.backend.servers.list()
    await asyncio.sleep(5.5)  # they were read a moment ago, which would count as now
    with proxy.fault(Mood.REFUSES, status=401, verb="create", times=1) as refused:
        await start(proxied, spec)
    assert refused.hits == 1


async def test_idle_servers_cost_the_cluster_one_watch_and_no_list(proxied: KubernetesSubject, proxy: ApiProxy) -> None:
    for user in ("ada", "bob"):
        await start(proxied, make_spec(proxied, user=user))
    before = len(proxy.requests)
    await asyncio.sleep(35)
    asked = [str(request) for request in proxy.requests[before:]]
    assert len(asked) <= 2, asked
    assert all("watch=1" in request for request in asked), asked
    assert proxy.asked("list", "pods") == 1


async def test_only_events_of_own_slow_starts_are_heard(proxied: KubernetesSubject, proxy: ApiProxy) -> None:
    spec = make_spec(proxied, image=proxied.image(Behaviour.IS_SILENT))
    with pytest.raises(BackendError):
        await proxied.backend.servers.start(spec, soon(5), lambda _: None)
    events = [request.path for request in proxy.requests if request.resource == "events"]
    assert all("fieldSelector=involvedObject.uid" in path for path in events), events


async def test_a_refusal_puts_no_secret_into_the_log(
    proxied: KubernetesSubject, proxy: ApiProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for kind in ("pods", "secrets"):
        with proxy.fault(Mood.REFUSES, verb="create", path=f"/{kind}", status=403):
            with pytest.raises(BackendError) as caught:
                await start(proxied, make_spec(proxied))
            assert TOKEN not in str(caught.value) + caught.value.detail
    assert TOKEN not in caplog.text


async def test_one_stop_that_is_stuck_delays_nobody(proxied: KubernetesSubject, proxy: ApiProxy) -> None:
    stuck, other = make_spec(proxied, user="ada"), make_spec(proxied, user="bob")
    await start(proxied, stuck)
    with proxy.fault(Mood.HANGS, verb="delete", path=f"/pods/{stuck.ref.name}"):
        stopping = asyncio.create_task(proxied.backend.servers.stop(stuck.ref, soon(8)))
        await asyncio.sleep(0.2)
        await start(proxied, other)
        await proxied.backend.servers.stop(other.ref, soon())
        assert not stopping.done()
        with pytest.raises(BackendError):
            await stopping
    until(lambda: pods_of(proxied) != [], "the stuck one is still there", 1)
    await proxied.backend.servers.stop(stuck.ref, soon())
