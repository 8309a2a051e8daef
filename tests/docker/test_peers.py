"""What goes wrong on Docker elsewhere, and must not here: each item marked as run in research/peers.md, §3 and §4.

`COVERED` names the tests for the items that other files hold; the tests here
are those that no other file has.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from contract.engines import BASE_IMAGE, DockerSubject, build_image, docker_subject, make_spec
from harness.engine_proxy import EngineProxy, Mood
from harness.hub import wait_for
from stateroom.backends.base import Life
from stateroom.common.deadline import Deadline
from stateroom.common.errors import DeadlineExceeded, ServerEnded
from stateroom.common.labels import HUB
from stateroom.workloads.progress import Progress

TESTS = Path(__file__).parents[1]

COVERED = {
    "§3 a poll is an inspect of 5 ms on the one thread": (
        "docker/test_engine_faults.py::test_a_poll_of_a_running_server_costs_no_call"
    ),
    "§3 one list costs less than an inspect for each": (
        "docker/test_engine_faults.py::test_a_hub_that_restarts_finds_all_servers_with_one_list_and_then_inspects_each_once"
    ),
    "§4 a name of 60 umlauts becomes 368 letters, which the engine refuses": (
        "docker/test_hostile_names.py::test_servers_of_hostile_names_start_are_known_again_and_stop"
    ),
    "§4 a user named ../../etc leaves the folder of homes": (
        "docker/test_hostile_names.py::test_homes_in_a_host_folder_are_distinct_and_directly_below_it"
    ),
    "§4 an image given as a list is an error 500": ("hub/test_refusals.py::test_over_rest_it_is_a_400_with_a_sentence"),
    "§4 docker inspect shows the token": (
        "docker/test_docker_backend.py::test_the_token_is_a_file_that_only_the_server_can_read"
    ),
    "§4 the token outlives a stop": "hub/test_restart.py::test_a_server_outlives_its_hub",
    "§4 nothing is hardened, and nothing labelled": (
        "docker/test_docker_backend.py::test_a_server_is_hardened_and_marked"
    ),
    "§4 users reach each other's port": "docker/test_docker_backend.py::test_servers_do_not_reach_each_other",
    "§4 an engine away at the hub's start makes it forget every server": (
        "docker/test_engine_faults.py::test_an_engine_that_comes_late_is_found_by_whoever_asks_again"
    ),
    "§4 one answer of 500 makes a running server count as ended": (
        "docker/test_engine_faults.py::test_running_servers_stay_known_and_a_death_meanwhile_is_found_out"
    ),
    "§4 running out of memory is told as exit code 137": (
        "hub/test_life.py::test_a_server_that_ran_out_of_memory_is_told_as_such_with_more_of_it_chosen"
    ),
}


@pytest.fixture
async def subject() -> AsyncIterator[DockerSubject]:
    async with docker_subject() as subject:
        yield subject


def soon(seconds: float = 60) -> Deadline:
    return Deadline.after(seconds, "waiting for the server to answer")


def unheard(_: Progress) -> None:
    pass


@pytest.mark.parametrize("where", COVERED.values(), ids=COVERED)
def test_an_item_has_its_test_elsewhere(where: str) -> None:
    file, _, name = where.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text(), re.MULTILINE)


def containers(subject: DockerSubject) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = subject.client.containers(all=True, filters={"label": f"{HUB}={subject.hub}"})
    return found


async def life_goes_on(subject: DockerSubject, user: str) -> None:
    """Somebody starts, is looked at, and stops."""
    spec = make_spec(subject, user)
    await subject.backend.servers.start(spec, soon(), unheard)
    assert (await subject.backend.servers.state(spec.ref)).life is Life.RUNNING
    await subject.backend.servers.stop(spec.ref, soon())
    assert (await subject.backend.servers.state(spec.ref)).life is Life.ABSENT


async def test_s3_starts_are_worked_on_side_by_side(subject: DockerSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    """DockerSpawner has one thread for all calls of all users."""
    engine = subject.backend._engine
    under_way, most = 0, 0

    def counted(call: Callable[[str, Mapping[str, Any]], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def count(name: str, payload: Mapping[str, Any]) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await call(name, payload)
            under_way -= 1

        return count

    monkeypatch.setattr(engine, "create_container", counted(engine.create_container))
    await asyncio.gather(
        *(subject.backend.servers.start(make_spec(subject, f"user-{number}"), soon(), unheard) for number in range(12))
    )
    assert 1 < most < 12  # side by side, and yet no more at once than the engine can bear
    assert len(await subject.backend.servers.list()) == 12


async def test_s3_a_stop_that_a_server_ignores_holds_up_nobody(subject: DockerSubject) -> None:
    """A poll took 10.1 s while another user's container ignored SIGTERM."""
    stub = (TESTS / "contract" / "stub.py").read_text()
    deaf = re.sub("signal.signal(.*)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", stub)
    image = build_image(
        subject.client,
        "stateroom.test/deaf:1",
        f'FROM {BASE_IMAGE}\nCOPY stub.py /stub.py\nCMD ["python3", "/stub.py", "answers"]\n',
        deaf,
    )
    stuck = [make_spec(subject, f"stuck-{number}", image=image) for number in range(10)]  # more than there are threads
    await asyncio.gather(*(subject.backend.servers.start(spec, soon(), unheard) for spec in stuck))
    stops = [asyncio.ensure_future(subject.backend.servers.stop(spec.ref, soon())) for spec in stuck]
    await asyncio.sleep(1)
    await life_goes_on(subject, "bob")
    assert not any(stop.done() for stop in stops)
    await asyncio.gather(*stops)
    assert await subject.backend.servers.list() == []


async def test_s3_a_pull_that_stalls_holds_up_nobody(subject: DockerSubject) -> None:
    """A pull of minutes does the same to everyone."""
    with socket.create_server(("127.0.0.1", 0)) as registry:  # takes connections, and never says a word
        image = f"127.0.0.1:{registry.getsockname()[1]}/notebook:1"
        spec = make_spec(subject, "ada", image=image, pull_timeout=600.0)
        start = asyncio.ensure_future(subject.backend.servers.start(spec, soon(), unheard))
        await asyncio.sleep(1)
        await life_goes_on(subject, "bob")
        assert not start.done()
        start.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await start


async def test_s3_a_start_costs_no_more_calls_than_a_peer_s(proxy: EngineProxy) -> None:
    """DockerSpawner makes 5 or 6, and none of them puts a token where nobody sees it, or looks whose home it is."""
    async with docker_subject() as subject:
        await life_goes_on(subject, "ada")  # the home is made, the image known
        spec = make_spec(subject, "ada")
        before = len(proxy.requests)
        await subject.backend.servers.start(spec, soon(), unheard)
        calls = [request for request in proxy.requests[before:] if "/_ping" not in request]
        of_the_start = {
            "GET /images": 1,  # is it there, and which is it
            "GET /volumes": 1,  # whose home
            "POST /containers/create": 1,
            f"POST /containers/{spec.ref.name}/attach": 1,  # the token
            f"POST /containers/{spec.ref.name}/start": 1,
            f"GET /containers/{spec.ref.name}/json": 2,  # its address; and that it is still there when it answers
        }
        for begin, most in of_the_start.items():
            found = [call for call in calls if call.startswith(begin)]
            assert len(found) <= most, found
            calls = [call for call in calls if not call.startswith(begin)]
        assert calls == []


async def test_s4_a_container_of_a_broken_start_is_not_used_again(subject: DockerSubject) -> None:
    """A created container that cannot start stayed, and the next start, with the command mended, used it for ever."""
    spec = make_spec(subject, memory=256 * 1024**2)
    broken = {"Image": BASE_IMAGE, "Labels": dict(spec.ref.labels), "Entrypoint": ["/no/such/program"], "Cmd": []}
    subject.client.create_container_from_config(broken, spec.ref.name)
    await subject.backend.servers.start(spec, soon(), unheard)
    found = subject.client.inspect_container(spec.ref.name)
    assert found["HostConfig"]["Memory"] == spec.container.resources.memory
    assert found["Config"]["Entrypoint"] != broken["Entrypoint"]
    assert len(await subject.backend.servers.list()) == 1


async def test_s4_a_start_that_failed_leaves_no_container_to_be_used_again(subject: DockerSubject) -> None:
    image = build_image(
        subject.client,
        "stateroom.test/no-command:1",
        f'FROM {BASE_IMAGE}\nENTRYPOINT []\nCMD ["/no/such/program"]\n',
        "",
    )
    with pytest.raises(ServerEnded, match=r'"stateroom.test/no-command:1" cannot be started: its command is missing'):
        await subject.backend.servers.start(make_spec(subject, image=image), soon(), unheard)
    assert containers(subject) == []
    await life_goes_on(subject, "ada")


async def test_s4_a_deadline_ends_a_start_although_its_thread_cannot_be_ended(proxy: EngineProxy) -> None:
    """`asyncio.wait_for` around a start cannot end the call that runs; nobody else may wait for it."""
    async with docker_subject() as subject:
        spec = make_spec(subject)
        await subject.backend.servers.state(spec.ref)

        def hang(progress: Progress) -> None:
            if progress.message == "Starting your server":
                proxy.mood = Mood.HANGS

        async with asyncio.timeout(40):
            with pytest.raises(DeadlineExceeded):
                await subject.backend.servers.start(spec, soon(3), hang)
        proxy.mood = Mood.WELL
        await asyncio.to_thread(wait_for, lambda: not containers(subject), "the removal of what the call has made")
        await life_goes_on(subject, "ada")
