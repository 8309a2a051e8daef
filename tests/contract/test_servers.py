"""What every backend promises of servers (`stateroom.backends.base.Servers`), checked against each of them."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient

from contract.engines import MIB, TOKEN, Subject, absent, make_spec, soon, unheard
from harness.workloads import changed
from stateroom.backends.base import Life
from stateroom.backends.memory import Behaviour
from stateroom.common.errors import (
    DeadlineExceeded,
    EngineRefused,
    ImageUnavailable,
    ServerEnded,
)
from stateroom.common.quantity import Resources
from stateroom.workloads.progress import Progress
from stateroom.workloads.server import Server

NOTICED_WITHIN = 30.0  # seconds; only what hangs takes so long


async def test_a_started_server_answers_at_its_address(subject: Subject) -> None:
    spec = make_spec(subject)
    address = await subject.backend.servers.start(spec, soon(), unheard)
    response = await AsyncHTTPClient().fetch(f"{address}{spec.base_url}api")
    assert response.code == 200
    state = await subject.backend.servers.state(spec.ref)
    assert (state.life, state.address) == (Life.RUNNING, address)
    assert subject.backend.servers.has_address(str(urlsplit(address).hostname))
    (listed,) = await subject.backend.servers.list()
    assert (listed.ref, listed.image, listed.state.life) == (spec.ref, spec.container.image, Life.RUNNING)


async def test_what_a_server_has_and_what_is_guaranteed_to_it_are_listed(subject: Subject) -> None:
    spec = make_spec(subject, memory_guarantee=96 * MIB)
    await subject.backend.servers.start(spec, soon(), unheard)
    (listed,) = await subject.backend.servers.list()
    assert listed.resources == spec.container.resources == Resources(500, 128 * MIB, 0, 96 * MIB)


async def test_a_server_has_the_variables_that_it_was_given_as_they_are(subject: Subject) -> None:
    plain = make_spec(subject)
    identity = {
        "JUPYTERHUB_USER": "ada",
        "JUPYTERHUB_SERVER_NAME": "",
        "STATEROOM_GROUPS": '["größe", "two words"]',
        "CPU_LIMIT": "0.5",
        "MEM_LIMIT": str(plain.container.resources.memory),
        "ODD": "$HOME $(CPU_LIMIT) $$ ${X} {{x}} 'a' \"b\" \\ \nend",
    }
    spec = changed(plain, environment={**plain.container.environment, **identity})
    await subject.backend.servers.start(spec, soon(), unheard)
    found = subject.environment(spec.ref)
    given = {**spec.container.environment, **spec.container.secrets}
    assert {name: found.get(name) for name in given} == given


async def test_progress_is_told_in_sentences_that_never_go_back(subject: Subject) -> None:
    heard: list[Progress] = []
    await subject.backend.servers.start(make_spec(subject), soon(), heard.append)
    percents = [progress.percent for progress in heard]
    assert percents == sorted(percents)
    assert len(percents) >= 3
    assert all(progress.message for progress in heard)


async def test_a_stopped_server_leaves_nothing(subject: Subject) -> None:
    spec = make_spec(subject)
    await subject.backend.servers.start(spec, soon(), unheard)
    address = (await subject.backend.servers.state(spec.ref)).address
    await subject.backend.servers.stop(spec.ref, soon())
    assert await absent(subject, spec.ref)
    assert not subject.backend.servers.has_address(str(urlsplit(address).hostname))


async def test_stopping_what_is_gone_or_never_was_is_no_error(subject: Subject) -> None:
    spec = make_spec(subject)
    await subject.backend.servers.stop(spec.ref, soon())
    await subject.backend.servers.start(spec, soon(), unheard)
    await asyncio.gather(*(subject.backend.servers.stop(spec.ref, soon()) for _ in range(3)))
    await subject.backend.servers.stop(spec.ref, soon())
    assert await absent(subject, spec.ref)


async def test_a_killed_server_is_noticed(subject: Subject) -> None:
    spec = make_spec(subject)
    await subject.backend.servers.start(spec, soon(), unheard)
    running = await subject.backend.servers.state(spec.ref)
    ended = asyncio.ensure_future(subject.backend.servers.changed(spec.ref, running))
    await asyncio.sleep(0.2)
    assert not ended.done()
    subject.kill(spec.ref)
    state = await asyncio.wait_for(ended, NOTICED_WITHIN)
    assert (state.life, state.exit_code) == (Life.ENDED, 137)


async def test_an_end_that_came_first_is_told_at_once(subject: Subject) -> None:
    spec = make_spec(subject)
    assert (await asyncio.wait_for(subject.backend.servers.changed(spec.ref, None), 30)).life is Life.ABSENT
    await subject.backend.servers.start(spec, soon(), unheard)
    running = await subject.backend.servers.state(spec.ref)
    subject.kill(spec.ref)
    after = await asyncio.wait_for(subject.backend.servers.changed(spec.ref, running), NOTICED_WITHIN)
    assert after.life is Life.ENDED


async def test_a_server_tells_which_start_made_it(subject: Subject) -> None:
    spec = make_spec(subject)
    later = make_spec(subject, secrets={"JUPYTERHUB_API_TOKEN": "another"})
    await subject.backend.servers.start(spec, soon(), unheard)
    assert (await subject.backend.servers.state(spec.ref)).spec_hash == spec.hash
    await subject.backend.servers.start(later, soon(), unheard)
    assert (await subject.backend.servers.state(spec.ref)).spec_hash == later.hash != spec.hash


async def test_a_start_replaces_what_is_left_of_the_last(subject: Subject) -> None:
    spec = make_spec(subject)
    await subject.backend.servers.start(spec, soon(), unheard)
    subject.kill(spec.ref)
    await subject.backend.servers.start(make_spec(subject, cpu=1000), soon(), unheard)
    assert (await subject.backend.servers.state(spec.ref)).life is Life.RUNNING
    assert len(await subject.backend.servers.list()) == 1


async def test_a_crash_at_start_is_told_with_the_last_words_and_without_secrets(subject: Subject) -> None:
    spec = make_spec(subject, image=subject.image(Behaviour.CRASHES))
    with pytest.raises(ServerEnded, match=r"exit code 1\).*Cannot go on\.") as caught:
        await subject.backend.servers.start(spec, soon(), unheard)
    assert TOKEN not in str(caught.value) + caught.value.detail
    assert await absent(subject, spec.ref)


async def test_a_silent_server_is_given_up_at_the_deadline(subject: Subject) -> None:
    spec = make_spec(subject, image=subject.image(Behaviour.IS_SILENT))
    with pytest.raises(DeadlineExceeded, match="waiting for the server to answer"):
        await subject.backend.servers.start(spec, soon(2), unheard)
    assert await absent(subject, spec.ref)


async def test_an_image_that_cannot_be_had_is_named(subject: Subject) -> None:
    spec = make_spec(subject, image="stateroom.invalid/nothing:1")
    with pytest.raises(ImageUnavailable, match=r"stateroom\.invalid/nothing:1"):
        await subject.backend.servers.start(spec, soon(), unheard)
    assert await absent(subject, spec.ref)


def another_start(subject: Subject, number: float) -> Server:
    """Return a silent server with a token of this start's own, as the hub gives one to each.

    Objects named for the same start twice meet on a cluster that collects its garbage late.
    """
    secrets = {"JUPYTERHUB_API_TOKEN": f"{TOKEN}-{number}"}
    return make_spec(subject, image=subject.image(Behaviour.IS_SILENT), secrets=secrets)


async def test_a_stop_ends_a_start(subject: Subject) -> None:
    for pause in (0, 0.05, 1.0):
        spec = another_start(subject, pause)
        start = asyncio.ensure_future(subject.backend.servers.start(spec, soon(), unheard))
        await asyncio.sleep(pause)
        await subject.backend.servers.stop(spec.ref, soon())
        with pytest.raises(ServerEnded, match="stopped while it was starting"):
            await asyncio.wait_for(start, NOTICED_WITHIN)
        assert await absent(subject, spec.ref)


async def test_a_cancelled_start_leaves_nothing(subject: Subject) -> None:
    for pause in (0.05, 1.0):
        spec = another_start(subject, pause)
        start = asyncio.ensure_future(subject.backend.servers.start(spec, soon(), unheard))
        await asyncio.sleep(pause)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert await absent(subject, spec.ref)


async def test_a_server_is_started_once_at_a_time(subject: Subject) -> None:
    spec = make_spec(subject)
    first = asyncio.ensure_future(subject.backend.servers.start(spec, soon(), unheard))
    await asyncio.sleep(0)
    with pytest.raises(EngineRefused, match="being started already"):
        await subject.backend.servers.start(spec, soon(), unheard)
    await first
    assert (await subject.backend.servers.state(spec.ref)).life is Life.RUNNING


async def test_many_start_side_by_side(subject: Subject) -> None:
    specs = [make_spec(subject, user="ada", server=name) for name in ("", "a", "b")]
    specs += [make_spec(subject, user="bob"), make_spec(subject, user="BOB")]
    addresses = await asyncio.gather(*(subject.backend.servers.start(spec, soon(), unheard) for spec in specs))
    assert len(set(addresses)) == len(specs)
    assert len(await subject.backend.servers.list()) == len(specs)


async def test_the_last_lines_of_a_log_can_be_read(subject: Subject) -> None:
    spec = make_spec(subject)
    assert await subject.backend.servers.logs(spec.ref, 5) == ""
    await subject.backend.servers.start(spec, soon(), unheard)
    assert f"Serving {spec.base_url}" in await subject.backend.servers.logs(spec.ref, 5)
