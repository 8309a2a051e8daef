"""An engine in trouble: nothing is forgotten, starts fail with a sentence, and all is well once it is."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import docker
import pytest

from contract.engines import DockerSubject, docker_subject, make_spec
from harness.engine_proxy import REAL_ENGINE, EngineProxy, Mood
from harness.hub import wait_for
from stateroom.backends.base import Life
from stateroom.backends.docker import container_watch as events
from stateroom.backends.docker.listener import Change, Listener
from stateroom.backends.docker.observation import ENGINE_RESTARTED
from stateroom.common.deadline import Deadline
from stateroom.common.errors import BackendError, BackendUnavailable
from stateroom.common.labels import HUB
from stateroom.workloads.progress import Progress
from stateroom.workloads.server import Server

# Where it cannot connect, the SDK leaves the socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

# A call to an engine that hangs waits for a minute; a start does not wait for the call.
BEFORE_A_CALL_GIVES_UP = 45


@pytest.fixture
async def subject(proxy: EngineProxy) -> AsyncIterator[DockerSubject]:
    """Its backend reaches the engine through the proxy, and so does the test's own client."""
    async with docker_subject() as subject:
        yield subject
        proxy.mood = Mood.WELL


def soon(seconds: float = 30) -> Deadline:
    return Deadline.after(seconds, "waiting for the server to answer")


def unheard(_: Progress) -> None:
    pass


def silence(subject: DockerSubject) -> float:
    """Seconds since the backend last heard of its engine."""
    return time.time() - subject.backend.last_contact()


async def running(subject: DockerSubject, user: str = "ada") -> Server:
    spec = make_spec(subject, user)
    await subject.backend.servers.start(spec, soon(90), unheard)
    return spec


async def gone(subject: DockerSubject, spec: Server) -> None:
    """Wait until the engine has no such container."""
    async with asyncio.timeout(30):
        while subject.client.containers(all=True, filters={"name": spec.ref.name}):  # noqa: ASYNC110 - the engine's own
            await asyncio.sleep(0.2)


async def test_a_poll_of_a_running_server_costs_no_call(subject: DockerSubject, proxy: EngineProxy) -> None:
    specs = [await running(subject, user) for user in ("ada", "bob", "eve")]
    await asyncio.sleep(0.5)  # the events of the starts have been looked at
    before = len(proxy.requests)
    for _ in range(100):
        for spec in specs:
            assert (await subject.backend.servers.state(spec.ref)).life is Life.RUNNING
    assert len(await subject.backend.servers.list()) == 3
    assert [request for request in proxy.requests[before:] if "/_ping" not in request] == []


async def test_a_hub_that_restarts_finds_all_servers_with_one_list_and_then_inspects_each_once(
    subject: DockerSubject, proxy: EngineProxy
) -> None:
    specs = [await running(subject, user) for user in ("ada", "bob", "eve")]
    before = len(proxy.requests)
    again = subject.another_process()
    states = await asyncio.gather(*(again.servers.state(spec.ref) for spec in specs))
    assert all(state.life is Life.RUNNING and state.address for state in states)
    assert len(await again.servers.list()) == 3
    asked = [request for request in proxy.requests[before:] if "/containers/" in request]
    assert asked[0].startswith("GET /containers/json?")
    assert sorted(asked[1:]) == sorted(f"GET /containers/{spec.ref.name}/json" for spec in specs)
    await again.close()


async def test_what_the_machine_has_is_asked_once_in_a_connection_and_known_while_the_engine_is_away(
    subject: DockerSubject, proxy: EngineProxy
) -> None:
    def times_asked() -> int:
        return sum("/info" in request for request in proxy.requests)

    await running(subject)
    machine = await subject.backend.machine()
    assert machine
    assert times_asked() == 1
    await running(subject, "bob")
    proxy.mood = Mood.AWAY
    for _ in range(10):
        assert await subject.backend.machine() == machine
        await asyncio.sleep(0.1)
    proxy.mood = Mood.WELL
    async with asyncio.timeout(30):
        while times_asked() < 2:  # noqa: ASYNC110 - the proxy's thread counts
            await asyncio.sleep(0.1)
    assert await subject.backend.machine() == machine


async def test_a_death_is_known_by_its_event_alone(subject: DockerSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_SIGN_OF_LIFE_SECONDS", 3600.0)
    spec = await running(subject)
    ended = asyncio.ensure_future(
        subject.backend.servers.changed(spec.ref, await subject.backend.servers.state(spec.ref))
    )
    subject.kill(spec.ref)
    assert (await asyncio.wait_for(ended, 30)).life is Life.ENDED


@pytest.mark.parametrize("mood", [Mood.REFUSES, Mood.AWAY, Mood.HANGS])
async def test_running_servers_stay_known_and_a_death_meanwhile_is_found_out(
    subject: DockerSubject, proxy: EngineProxy, mood: Mood
) -> None:
    ada, bob = await running(subject, "ada"), await running(subject, "bob")
    ended = asyncio.ensure_future(
        subject.backend.servers.changed(bob.ref, await subject.backend.servers.state(bob.ref))
    )
    proxy.mood = mood
    for _ in range(20):
        assert (await subject.backend.servers.state(ada.ref)).life is Life.RUNNING
        await asyncio.sleep(0.1)
    assert not ended.done()
    proxy.mood = Mood.WELL
    subject.kill(bob.ref)
    assert (await asyncio.wait_for(ended, 30)).exit_code == 137
    assert (await subject.backend.servers.state(ada.ref)).life is Life.RUNNING


@pytest.mark.parametrize("mood", [Mood.REFUSES, Mood.AWAY, Mood.CUTS, Mood.HANGS])
async def test_a_start_fails_with_a_sentence_leaves_nothing_and_the_next_one_works(
    subject: DockerSubject, proxy: EngineProxy, mood: Mood
) -> None:
    spec = make_spec(subject)
    await subject.backend.servers.state(spec.ref)
    proxy.mood = mood
    async with asyncio.timeout(BEFORE_A_CALL_GIVES_UP):
        with pytest.raises(BackendError) as refused:
            await subject.backend.servers.start(spec, soon(3), unheard)
    assert str(refused.value).endswith(".")
    assert "Traceback" not in str(refused.value)
    proxy.mood = Mood.WELL
    await subject.backend.servers.start(spec, soon(), unheard)
    assert len(await subject.backend.servers.list()) == 1


async def test_what_a_start_that_was_given_up_makes_late_is_removed(subject: DockerSubject, proxy: EngineProxy) -> None:
    spec = make_spec(subject)
    await running(subject, "bob")  # the image is known
    going_on, made = threading.Event(), threading.Event()

    def held_up(what: str) -> None:
        if what.startswith("POST /containers/create?"):
            going_on.wait(60)
        elif what.startswith("answer to POST /containers/create?"):
            made.set()

    proxy.passing = held_up
    with pytest.raises(BackendError):
        await subject.backend.servers.start(spec, soon(1), unheard)
    going_on.set()
    await asyncio.to_thread(made.wait, 30)
    await gone(subject, spec)


async def test_what_the_engine_makes_after_its_answer_was_lost_is_removed(
    subject: DockerSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec(subject)
    engine = subject.backend._engine
    create, made = engine.create_container, asyncio.Event()

    async def make(name: str, payload: Mapping[str, Any]) -> None:
        await asyncio.sleep(1)
        await create(name, payload)
        assert subject.client.containers(all=True, filters={"name": name})
        made.set()

    async def create_late(name: str, payload: Mapping[str, Any]) -> None:
        going_on.append(asyncio.create_task(make(name, payload)))
        raise BackendUnavailable("The engine went away.")

    going_on: list[asyncio.Task[None]] = []
    monkeypatch.setattr(engine, "create_container", create_late)
    with pytest.raises(BackendUnavailable):
        await subject.backend.servers.start(spec, soon(), unheard)
    await asyncio.wait_for(made.wait(), 30)
    await gone(subject, spec)


@pytest.mark.parametrize("mood", [Mood.REFUSES, Mood.AWAY, Mood.HANGS])
async def test_what_an_engine_in_trouble_could_not_remove_is_removed_once_it_answers(
    subject: DockerSubject, proxy: EngineProxy, mood: Mood
) -> None:
    spec = make_spec(subject)
    await subject.backend.servers.state(spec.ref)

    def then_trouble(progress: Progress) -> None:
        if progress.message == "Starting your server":  # it is created by now
            proxy.mood = mood

    with pytest.raises(BackendError):
        await subject.backend.servers.start(spec, soon(3), then_trouble)
    with pytest.raises(BackendError):
        await subject.backend.servers.start(spec, soon(3), unheard)  # as people do, and it is still owed
    proxy.mood = Mood.WELL
    everything = {"label": f"{HUB}={subject.hub}"}
    await asyncio.to_thread(
        wait_for, lambda: not subject.client.containers(all=True, filters=everything), "the removal"
    )


@pytest.mark.parametrize("mood", [Mood.REFUSES, Mood.AWAY])
async def test_a_stop_that_an_engine_in_trouble_refused_is_done_once_it_answers(
    subject: DockerSubject, proxy: EngineProxy, mood: Mood
) -> None:
    spec = await running(subject)
    proxy.mood = mood
    with pytest.raises(BackendError):
        await subject.backend.servers.stop(spec.ref, soon())
    proxy.mood = Mood.WELL
    async with asyncio.timeout(60):
        state = await subject.backend.servers.changed(spec.ref, None)  # the first list may have met the trouble
        while state.life is not Life.ABSENT:
            state = await subject.backend.servers.changed(spec.ref, state)


async def test_a_server_that_comes_back_on_another_address_is_found_there(
    subject: DockerSubject, proxy: EngineProxy
) -> None:
    spec = await running(subject)
    before = await subject.backend.servers.state(spec.ref)
    moved = asyncio.ensure_future(subject.backend.servers.changed(spec.ref, before))
    proxy.mood = Mood.AWAY
    real = docker.APIClient(REAL_ENGINE)
    real.stop(spec.ref.name)
    real.create_container_from_config(
        {
            "Image": spec.container.image,
            "Entrypoint": ["sleep", "600"],
            "Labels": {HUB: subject.hub},
            "HostConfig": {"NetworkMode": subject.settings.network},
        },
        f"{spec.ref.name}-other",
    )
    real.start(f"{spec.ref.name}-other")  # takes the address
    real.start(spec.ref.name)
    real.close()
    proxy.mood = Mood.WELL
    after = await asyncio.wait_for(moved, 60)
    assert after.life is Life.RUNNING
    assert after.address not in {"", before.address}


async def test_a_death_that_neither_the_stream_nor_the_list_told_is_found_out(
    subject: DockerSubject, proxy: EngineProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker tells a death before its own list has it: one right before a new stream is in neither."""
    monkeypatch.setattr(events, "_SIGN_OF_LIFE_SECONDS", 1.0)
    spec, other = await running(subject, "ada"), await running(subject, "bob")
    before = await subject.backend.servers.state(spec.ref)
    listed, containers, changes = threading.Event(), Listener.containers, Listener.changes

    def behind(listener: Listener) -> list[dict[str, Any]]:
        found = containers(listener)
        if threading.current_thread().name == "docker-events" and not listed.is_set():
            time.sleep(2)  # a sign of life is asked for in the meantime, and knows no more than this list
            real.kill(spec.ref.name)
            listed.set()
        return found

    def without_its_death(listener: Listener) -> Iterator[Change]:
        return (change for change in changes(listener) if change.name != spec.ref.name)

    real = docker.APIClient(REAL_ENGINE)
    monkeypatch.setattr(Listener, "containers", behind)
    monkeypatch.setattr(Listener, "changes", without_its_death)
    proxy.cut()
    after = await asyncio.wait_for(subject.backend.servers.changed(spec.ref, before), 30)
    real.close()
    assert listed.is_set()
    assert after.life is Life.ENDED
    assert (await subject.backend.servers.state(other.ref)).life is Life.RUNNING


async def test_servers_that_all_ended_while_the_engine_was_away_ended_by_its_restart(
    subject: DockerSubject, proxy: EngineProxy
) -> None:
    specs = [await running(subject, user) for user in ("ada", "bob")]
    watched = [
        subject.backend.servers.changed(spec.ref, await subject.backend.servers.state(spec.ref)) for spec in specs
    ]
    proxy.mood = Mood.AWAY
    real = docker.APIClient(REAL_ENGINE)
    for spec in specs:
        real.stop(spec.ref.name)
    real.close()
    proxy.mood = Mood.WELL
    for state in await asyncio.wait_for(asyncio.gather(*watched), 60):
        assert (state.life, state.reason) == (Life.ENDED, ENGINE_RESTARTED)


@pytest.mark.parametrize("mood", [Mood.REFUSES, Mood.AWAY, Mood.HANGS])
async def test_how_long_nothing_was_heard_of_the_engine_is_known(
    subject: DockerSubject, proxy: EngineProxy, mood: Mood, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_SIGN_OF_LIFE_SECONDS", 0.2)
    await subject.backend.servers.list()
    await asyncio.to_thread(wait_for, lambda: silence(subject) < 0.2, "a sign of life")
    proxy.mood = mood
    await asyncio.to_thread(wait_for, lambda: silence(subject) > 3, "silence")
    proxy.mood = Mood.WELL
    await asyncio.to_thread(wait_for, lambda: silence(subject) < 0.5, "a sign of life")


async def test_an_engine_that_comes_late_is_found_by_whoever_asks_again(
    subject: DockerSubject, proxy: EngineProxy
) -> None:
    spec = await running(subject)
    proxy.mood = Mood.AWAY
    again = subject.another_process()
    with pytest.raises(BackendError):
        await again.servers.state(spec.ref)
    proxy.mood = Mood.WELL
    async with asyncio.timeout(20):
        while True:
            try:
                state = await again.servers.state(spec.ref)
            except BackendError:
                await asyncio.sleep(0.2)
            else:
                break
    assert state.life is Life.RUNNING
    await again.close()
