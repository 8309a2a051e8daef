"""Two hubs on one engine, with the same users and servers: neither sees or touches what is the other's.

`peers.md` §4: DockerSpawner reuses or removes whatever has the name it looks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import docker
import pytest

from contract.engines import BASE_IMAGE, DockerSubject, docker_subject, make_spec
from stateroom.backends.base import Life, ServerState
from stateroom.backends.docker.engine import ensure_network
from stateroom.common.deadline import Deadline
from stateroom.common.errors import HomeRefused, NameTaken
from stateroom.common.labels import HUB, KIND, SERVER, USER, USER_ID
from stateroom.operations.docker.down import _remove_networks, _remove_servers
from stateroom.workloads.names import network_name
from stateroom.workloads.progress import Progress
from stateroom.workloads.server import Server

SERVERS = [("ada", ""), ("ada", "gpu")]
Specs = list[Server]


@pytest.fixture
async def ours() -> AsyncIterator[DockerSubject]:
    async with docker_subject() as subject:
        yield subject


@pytest.fixture
async def theirs(ours: DockerSubject) -> AsyncIterator[DockerSubject]:
    """Another hub, whose id begins as ours."""
    async with docker_subject(hub_id=f"{ours.hub}-2") as subject:
        yield subject


@pytest.fixture
async def our_specs(ours: DockerSubject) -> Specs:
    return await started(ours)


@pytest.fixture
async def their_specs(theirs: DockerSubject) -> Specs:
    return await started(theirs)


async def test_each_lists_its_own(
    ours: DockerSubject, theirs: DockerSubject, our_specs: Specs, their_specs: Specs
) -> None:
    for hub, specs in ((ours, our_specs), (theirs, their_specs)):
        assert {server.ref for server in await hub.backend.servers.list()} == {spec.ref for spec in specs}
    assert len({spec.ref.name for spec in our_specs + their_specs}) == 2 * len(SERVERS)
    assert len({spec.home.name for spec in our_specs + their_specs}) == 2  # ada's of each hub


async def test_a_stop_and_a_start_leave_the_others_server_as_it_was(
    ours: DockerSubject, theirs: DockerSubject, our_specs: Specs, their_specs: Specs
) -> None:
    before = ids(theirs)
    for spec in our_specs:
        await ours.backend.servers.stop(spec.ref, soon())
    assert await ours.backend.servers.list() == []
    await started(ours)
    assert ids(theirs) == before
    await assert_all_run(theirs, their_specs)


async def test_a_death_is_told_to_its_own_hub_alone(
    ours: DockerSubject, theirs: DockerSubject, our_specs: Specs, their_specs: Specs
) -> None:
    known = [await ours.backend.servers.state(spec.ref) for spec in our_specs]
    changes = [
        asyncio.ensure_future(ours.backend.servers.changed(spec.ref, state))
        for spec, state in zip(our_specs, known, strict=True)
    ]
    for spec in their_specs:
        assert (await killed(theirs, spec)).life is Life.ENDED
    # What our own event stream tells next came after all of that.
    ours.kill(our_specs[0].ref)
    assert (await asyncio.wait_for(changes[0], 60)).life is Life.ENDED
    assert not any(change.done() for change in changes[1:])
    for change in changes[1:]:
        change.cancel()
    await assert_all_run(ours, our_specs[1:])
    assert ours.backend._watch.picture.snapshot().keys() == {spec.ref.name for spec in our_specs}


async def test_a_home_is_removed_at_its_own_hub_alone(
    ours: DockerSubject, theirs: DockerSubject, our_specs: Specs, their_specs: Specs
) -> None:
    for spec in our_specs:
        await ours.backend.servers.stop(spec.ref, soon())
    for spec in our_specs:
        await ours.backend.homes.remove(spec.home)
    assert volumes(ours) == set()
    assert volumes(theirs) == {spec.home.name for spec in their_specs}
    await assert_all_run(theirs, their_specs)


async def test_a_hub_that_ends_leaves_the_other_its_events(
    ours: DockerSubject, theirs: DockerSubject, our_specs: Specs, their_specs: Specs
) -> None:
    await ours.backend.close()
    assert (await killed(theirs, their_specs[0])).life is Life.ENDED
    assert len(ids(ours)) == len(our_specs)


async def test_down_takes_the_servers_and_the_network_of_its_own_hub(
    ours: DockerSubject, theirs: DockerSubject, our_specs: Specs, their_specs: Specs
) -> None:
    assert _remove_servers(ours.client, ours.hub) == len(our_specs)
    _remove_networks(ours.client, ours.hub)
    assert ids(ours) == set()
    assert volumes(ours) == {spec.home.name for spec in our_specs}
    assert not ours.client.networks(filters={"label": f"{HUB}={ours.hub}"})
    assert theirs.client.inspect_network(theirs.settings.network)
    await assert_all_run(theirs, their_specs)


@pytest.mark.parametrize("marked", ["by another hub", "for another user", "as something else", "not at all"])
async def test_a_container_that_has_our_name_is_left_alone_and_told(ours: DockerSubject, marked: str) -> None:
    spec = make_spec(ours)
    labels = {
        "by another hub": {**spec.ref.labels, HUB: "another"},
        "for another user": {**spec.ref.labels, USER: "somebody-else"},
        "as something else": {**spec.ref.labels, KIND: "home"},
        "not at all": {},
    }[marked]
    foreign: dict[str, object] = {"Image": BASE_IMAGE, "Labels": labels, "Entrypoint": ["sleep", "600"], "Cmd": []}
    foreign["HostConfig"] = {"NetworkMode": "none"}
    made = ours.client.create_container_from_config(foreign, spec.ref.name)["Id"]
    try:
        ours.client.start(spec.ref.name)
        with pytest.raises(NameTaken, match="not of this hub"):
            await ours.backend.servers.start(spec, soon(), unheard)
        await ours.backend.servers.stop(spec.ref, soon())
        assert await ours.backend.servers.list() == []
        assert (await ours.backend.servers.state(spec.ref)).life is Life.ABSENT
        assert await ours.backend.servers.logs(spec.ref, 5) == ""
        found = ours.client.inspect_container(spec.ref.name)
        assert (found["Id"], found["State"]["Running"]) == (made, True)
    finally:
        ours.client.remove_container(spec.ref.name, force=True)


@pytest.mark.parametrize("marked", ["by another hub", "for another user", "as something else", "not at all"])
async def test_a_volume_that_has_our_homes_name_is_left_alone_and_told(ours: DockerSubject, marked: str) -> None:
    spec = make_spec(ours)
    labels = {
        "by another hub": {**spec.home.labels, HUB: "another"},
        "for another user": {**spec.home.labels, USER: "somebody-else", USER_ID: "7"},
        "as something else": {KIND: "server", HUB: ours.hub, USER: "ada", SERVER: ""},
        "not at all": {},
    }[marked]
    ours.client.create_volume(spec.home.name, labels=labels)
    try:
        told = (
            "belongs to the hub's user number 7"
            if marked == "for another user"
            else "is no home of this hub. It was left as it is"
        )
        with pytest.raises(HomeRefused, match=told):
            await ours.backend.servers.start(spec, soon(), unheard)
        with pytest.raises(HomeRefused, match=told):
            await ours.backend.homes.remove(spec.home)
        assert (ours.client.inspect_volume(spec.home.name)["Labels"] or {}) == labels
        assert ids(ours) == set()
    finally:
        ours.client.remove_volume(spec.home.name)


@pytest.mark.parametrize("labels", [{HUB: "another"}, {}], ids=["by another hub", "not at all"])
async def test_a_network_that_has_our_name_is_left_alone_and_told(labels: dict[str, str]) -> None:
    async with docker_subject() as gone:
        hub, client = f"{gone.hub}-3", gone.client
        network = client.create_network(network_name(hub), labels=labels)["Id"]
        try:
            with pytest.raises(NameTaken, match=r"not of this hub.*docker\.network"):
                ensure_network(client, network_name(hub), {HUB: hub})
            _remove_networks(client, hub)
            assert (client.inspect_network(network)["Labels"] or {}) == labels
            # One that the catalog names is the administrator's, whatever its labels.
            assert ensure_network(client, network_name(hub), {HUB: gone.hub})
        finally:
            with suppress(docker.errors.NotFound):
                client.remove_network(network)


async def started(hub: DockerSubject) -> Specs:
    specs = [make_spec(hub, user, server) for user, server in SERVERS]
    await asyncio.gather(*(hub.backend.servers.start(spec, soon(), unheard) for spec in specs))
    return specs


async def killed(hub: DockerSubject, spec: Server) -> ServerState:
    """What the hub is told when a server of its own is killed."""
    known = await hub.backend.servers.state(spec.ref)
    hub.kill(spec.ref)
    return await asyncio.wait_for(hub.backend.servers.changed(spec.ref, known), 60)


async def assert_all_run(hub: DockerSubject, specs: Specs) -> None:
    for spec in specs:
        assert hub.client.inspect_container(spec.ref.name)["State"]["Running"]
        assert (await hub.backend.servers.state(spec.ref)).life is Life.RUNNING


def ids(hub: DockerSubject) -> set[str]:
    return {found["Id"] for found in hub.client.containers(all=True, filters={"label": f"{HUB}={hub.hub}"})}


def volumes(hub: DockerSubject) -> set[str]:
    found = hub.client.volumes(filters={"label": f"{HUB}={hub.hub}"})["Volumes"] or ()
    return {volume["Name"] for volume in found}


def soon() -> Deadline:
    return Deadline.after(60, "waiting")


def unheard(_: Progress) -> None:
    pass
