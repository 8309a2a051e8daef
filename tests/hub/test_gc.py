"""`stateroom gc` beside a hub: what nobody uses goes, and nothing else, whoever else is on the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import docker
import pytest

from harness.command import Outcome, run
from harness.hub import Hub, Person, running_hub
from harness.servers import Servers
from harness.skips import skip_without_image
from stateroom.common.labels import HELPER
from stateroom.images.sources import UNIFIED
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef, network_name


def gc(hub: Hub, *more: str) -> Outcome:
    return run("gc", "--data", hub.data, *more).assert_success()


@pytest.fixture
def engine(hub: Hub) -> docker.APIClient:
    return hub.servers.engine.api


@pytest.fixture
def neighbour() -> Iterator[str]:
    """Another hub on the same engine; what is its own is removed afterwards."""
    other = f"test-{uuid4().hex[:10]}"
    yield other
    Servers(other).remove_everything()


def make(engine: docker.APIClient, name: str, labels: Mapping[str, str], *, seconds: int = 600) -> str:
    """A container that runs for a while, or has ended where that is 0."""
    payload = {
        "Image": UNIFIED,
        "Entrypoint": ["sleep", str(seconds)],
        "Cmd": [],
        "Labels": dict(labels),
        "StopSignal": "SIGKILL",
        "HostConfig": {"NetworkMode": "none"},
    }
    made: str = engine.create_container_from_config(payload, name)["Id"]
    engine.start(made)
    if not seconds:
        engine.wait(made, timeout=60)
    return made


def make_server(engine: docker.APIClient, hub: str, user: str, *, seconds: int = 600) -> str:
    ref = ServerRef(hub, user)
    return make(engine, ref.name, ref.labels, seconds=seconds)


def ids(engine: docker.APIClient) -> set[str]:
    return {container["Id"] for container in engine.containers(all=True)}


def of_this_hub(told: str) -> str:
    """Without what may differ between two commands: a second passes, and another hub's gc clears up images."""
    without_times = re.sub(r"[^,;:\n]*\bseconds?\b[^,;:\n]*", " some time", told)
    return "".join(line for line in without_times.splitlines(keepends=True) if not line.startswith("removed image "))


def test_only_what_this_hub_left_is_removed(hub: Hub, person: Person, engine: docker.APIClient, neighbour: str) -> None:
    person.started()
    running = hub.servers.container(person.name).id
    theirs = make_server(engine, neighbour, person.name)
    copy = make(engine, f"{neighbour}-copy", ServerRef(hub.id, "ghost").labels)
    lost, ended = make_server(engine, hub.id, "lost"), make_server(engine, hub.id, "ended", seconds=0)

    expected = [ServerRef(hub.id, user).name for user in ("lost", "ended")]
    dry = gc(hub, "--dry-run").out
    assert {lost, ended, theirs, copy, running} <= ids(engine)
    wet = gc(hub).out
    for name in expected:
        assert f"would remove server {name}: " in dry
        assert f"removed server {name}: " in wet
    assert of_this_hub(dry.replace("would remove", "removed")) == of_this_hub(wet)
    assert {theirs, copy, running} <= ids(engine)
    assert not {lost, ended} & ids(engine)
    assert "server" not in gc(hub).out
    assert person.active()
    engine.remove_container(copy, force=True)


def test_a_container_that_was_made_a_moment_ago_is_left(hub: Hub, engine: docker.APIClient) -> None:
    ref = ServerRef(hub.id, "starting")
    made = [
        engine.create_container_from_config({"Image": UNIFIED, "Labels": labels}, name)["Id"]
        for labels, name in ((dict(ref.labels), ref.name), ({HELPER: hub.id}, f"{hub.id}-helper"))
    ]
    try:
        gc(hub)
        assert set(made) <= ids(engine)
    finally:
        for container in made:
            engine.remove_container(container, force=True)


def test_a_home_is_deleted_only_where_it_is_named(
    hub: Hub, engine: docker.APIClient, neighbour: str, person: Person
) -> None:
    assert person.web
    homes = [HomeRef(hub.id, "gone", 9_998), HomeRef(hub.id, "parted", 9_999), HomeRef(neighbour, "gone", 9_998)]
    for home in homes:
        engine.create_volume(home.name, labels=dict(home.labels))
    gone, parted, theirs = (home.name for home in homes)

    out = gc(hub).out
    assert f"{gone}: of gone (number 9998), who is gone" in out
    assert hub.servers.has_home("gone")
    outcome = run("gc", "--data", hub.data, "--homes", "gone", person.name)
    outcome.assert_failure(f'"{person.name}" names no home whose user is gone; nothing was removed')
    assert f"would delete home {gone} and all its files" in gc(hub, "--dry-run", "--homes", "gone").out
    assert hub.servers.has_home("gone")
    assert f"deleted home {gone} and all its files" in gc(hub, "--homes", "gone").out
    left = {volume["Name"] for volume in engine.volumes()["Volumes"]}
    assert gone not in left
    assert {parted, theirs} <= left


def test_a_hub_that_is_down_leaves_its_servers_and_not_its_empty_network(tmp_path: Path) -> None:
    skip_without_image()
    with running_hub(tmp_path) as hub:
        person = hub.person()
        person.started()
        engine = hub.servers.engine.api
        hub.interrupt()
        assert "server" not in gc(hub).out
        assert hub.servers.names() == {ServerRef(hub.id, person.name).name}

        hub.up()
        person.stop()
        person.close()
        assert "network" not in gc(hub).out  # a hub that runs keeps it
        hub.interrupt()
        assert f"removed network {network_name(hub.id)}" in gc(hub).out
        assert not engine.networks(filters={"name": network_name(hub.id)})
        hub.up()  # makes it anew


def test_a_server_that_was_killed_is_left_for_the_hub_to_tell(tmp_path: Path) -> None:
    skip_without_image()
    with running_hub(tmp_path) as hub:
        person = hub.person()
        person.started()
        hub.kill()
        hub.servers.container(person.name).kill()
        assert "server" not in gc(hub).out
        hub.up()
        assert not person.active()
        person.close()
        assert not hub.servers.names()
