"""What the engine says of itself and of containers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stateroom.backends.base import Life, ServerState
from stateroom.backends.docker.container_watch import machine_of
from stateroom.backends.docker.observation import (
    ENGINE_RESTARTED,
    HUB_WAS_AWAY,
    ObservedContainer,
    container_from_inspect,
    container_from_list,
    machine_from_info,
    with_known_resources,
    without_the_engine,
    without_the_hub,
)
from stateroom.common.errors import EngineRefused
from stateroom.common.labels import SPEC
from stateroom.common.quantity import GiB, Machine, Resources
from stateroom.workloads.names import ServerRef
from stateroom.workloads.resources import resources_as_labels

HUB_ID = "hub-1"


class TightLipped:
    """As behind a proxy that lets only some calls through."""

    def info(self) -> dict[str, Any]:
        raise EngineRefused("Forbidden.")


@pytest.mark.parametrize(
    ("info", "machine"),
    [
        ({"NCPU": 8, "MemTotal": 16 * GiB, "Swarm": {}}, Machine(8000, 16 * GiB)),
        ({"NCPU": 0, "MemTotal": 0}, Machine(0, 0)),
        ({"NCPU": None}, Machine(0, 0)),
        ({}, Machine(0, 0)),
    ],
)
def test_what_the_machine_has_is_read_and_0_where_it_is_not_told(info: dict[str, Any], machine: Machine) -> None:
    assert machine_from_info(info) == machine


def test_of_an_engine_that_does_not_tell_no_machine_is_known() -> None:
    assert machine_of(TightLipped()) is None


def seen(name: str, life: Life, reason: str = "") -> ObservedContainer:
    return ObservedContainer(
        name=name,
        ref=None,
        image="image",
        resources=Resources(0, 0),
        state=ServerState(life, exit_code=143, reason=reason),
    )


def pictured(**lives: Life) -> dict[str, ObservedContainer]:
    return {name: seen(name, life) for name, life in lives.items()}


def test_servers_that_all_ended_while_nobody_looked_ended_with_their_engine() -> None:
    before = pictured(ada=Life.RUNNING, bob=Life.RUNNING, eve=Life.ENDED)
    after = without_the_engine(before, pictured(ada=Life.ENDED, bob=Life.ENDED, eve=Life.ENDED))
    assert {name: one.state.reason for name, one in after.items()} == {
        "ada": ENGINE_RESTARTED,
        "bob": ENGINE_RESTARTED,
        "eve": "",
    }


@pytest.mark.parametrize("bob", [Life.RUNNING, Life.ABSENT])
def test_where_one_runs_on_or_was_removed_the_others_ended_by_themselves(bob: Life) -> None:
    before = pictured(ada=Life.RUNNING, bob=Life.RUNNING)
    after = {name: one for name, one in pictured(ada=Life.ENDED, bob=bob).items() if one.state.life is not Life.ABSENT}
    assert without_the_engine(before, after) == after


def test_a_cause_that_is_known_stays() -> None:
    after = without_the_engine(pictured(ada=Life.RUNNING), {"ada": seen("ada", Life.ENDED, "It ran out of memory.")})
    assert after["ada"].state.reason == "It ran out of memory."


def test_what_had_ended_when_the_hub_came_ended_while_it_was_away() -> None:
    after = without_the_hub(pictured(ada=Life.ENDED, bob=Life.RUNNING))
    assert {name: one.state.reason for name, one in after.items()} == {"ada": HUB_WAS_AWAY, "bob": ""}


def test_a_container_tells_which_start_made_it() -> None:
    state = {"Running": True, "Status": "running", "ExitCode": 0}
    config = {"Labels": {SPEC: "abc"}, "Image": "image"}
    found = {"Name": "/ada", "State": state, "Config": config, "NetworkSettings": {"Networks": {}}}
    assert container_from_inspect(found, HUB_ID).state.spec_hash == "abc"


ADDRESSES = {
    "net": {"NetworkID": "c0ffee", "IPAddress": "10.0.0.2"},
    "lab": {"NetworkID": "beef", "IPAddress": "10.1.0.2"},
}


@pytest.mark.parametrize(
    ("mode", "networks", "address"),
    [
        ("net", ADDRESSES, "http://10.0.0.2:8888"),
        ("beef", ADDRESSES, "http://10.1.0.2:8888"),
        ("bridge", {"net": ADDRESSES["net"]}, "http://10.0.0.2:8888"),  # Podman's word for all networks
        ("bridge", ADDRESSES, ""),
        ("net", {"net": {"IPAddress": ""}, "lab": ADDRESSES["lab"]}, ""),
        ("none", {}, ""),
        ("none", None, ""),
    ],
)
def test_a_server_s_address_is_on_the_network_that_its_container_was_made_for(
    mode: str, networks: dict[str, Any] | None, address: str
) -> None:
    known = {"HostConfig": {"NetworkMode": mode}, "NetworkSettings": {"Networks": networks}}
    config = {"Labels": {}, "Image": "image"}
    state = {"Running": True, "Status": "running", "ExitCode": 0}
    assert (
        container_from_inspect({"Name": "/ada", "State": state, "Config": config, **known}, HUB_ID).state.address
        == address
    )
    listed = container_from_list(
        {"Names": ["/ada"], "State": "running", "Image": "image", "Labels": {}, **known}, HUB_ID
    )
    assert listed is not None
    assert listed.state.address == address


ADA = ServerRef(HUB_ID, "ada")
MADE = Resources(1500, 4 * GiB, 0, 3 * GiB)
AS_MADE = {"Memory": 4 * GiB, "MemoryReservation": 3 * GiB, "CpuQuota": 150_000, "CpuPeriod": 100_000, "NanoCpus": 0}


def described(host: dict[str, Any], ref: ServerRef = ADA, name: str = ADA.name) -> ObservedContainer:
    return container_from_inspect(
        {
            "Name": f"/{name}",
            "State": {"Running": True, "Status": "running", "ExitCode": 0},
            "Config": {"Labels": {**ref.labels, **resources_as_labels(MADE)}, "Image": "image"},
            "HostConfig": host,
            "NetworkSettings": {"Networks": {}},
        },
        HUB_ID,
    )


@pytest.mark.parametrize(
    ("host", "has"),
    [
        ({}, MADE),
        (AS_MADE, MADE),
        (AS_MADE | {"Memory": 8 * GiB}, Resources(1500, 8 * GiB, 0, 6 * GiB)),  # docker update --memory
        (AS_MADE | {"Memory": 8 * GiB, "MemoryReservation": GiB}, Resources(1500, 8 * GiB, 0, GiB)),
        (AS_MADE | {"CpuQuota": 50_000}, Resources(500, 4 * GiB, 0, 3 * GiB)),
        (AS_MADE | {"CpuQuota": 50_000, "CpuPeriod": 0}, Resources(500, 4 * GiB, 0, 3 * GiB)),
        (AS_MADE | {"CpuQuota": 100_000, "CpuPeriod": 50_000}, Resources(2000, 4 * GiB, 0, 3 * GiB)),
        (AS_MADE | {"CpuQuota": -1}, MADE),
        (AS_MADE | {"CpuQuota": 0, "NanoCpus": 250_000_000}, Resources(250, 4 * GiB, 0, 3 * GiB)),
        (AS_MADE | {"Memory": 0}, MADE),  # an engine without limits of memory
    ],
)
def test_a_container_has_what_its_engine_enforces(host: dict[str, Any], has: Resources) -> None:
    assert described(host).resources == has


@pytest.mark.parametrize(
    ("requests", "gpus"),
    [
        (None, 0),
        ([], 0),
        ([{"Count": 2, "Capabilities": [["gpu"]]}], 2),
        ([{"DeviceIDs": ["0", "3"], "Capabilities": [["gpu", "compute"]]}], 2),
        ([{"Count": -1, "Capabilities": [["gpu"]]}], 0),  # all of the machine's, however many
        ([{"Count": 1, "Capabilities": [["tpu"]]}], 0),
    ],
)
def test_gpus_are_counted_from_what_was_asked_for(requests: list[dict[str, Any]] | None, gpus: int) -> None:
    assert described(AS_MADE | {"DeviceRequests": requests}).resources.gpu == gpus


def test_a_container_is_the_server_that_its_labels_and_its_name_say() -> None:
    assert described(AS_MADE).ref == ADA
    assert described(AS_MADE, name="a-copy-of-it").ref is None
    assert described(AS_MADE, ServerRef("another-hub", "ada")).ref is None


def test_a_list_does_not_have_resources_and_leaves_those_that_are_known() -> None:
    labels = {**ADA.labels, **resources_as_labels(MADE), SPEC: "abc"}
    listed = container_from_list(
        {
            "Names": [f"/{ADA.name}"],
            "State": "running",
            "Image": "image",
            "Labels": labels,
            "NetworkSettings": {"Networks": {}},
        },
        HUB_ID,
    )
    assert listed is not None
    assert (listed.resources, listed.inspected) == (MADE, False)
    larger = Resources(1500, 8 * GiB, 0, 6 * GiB)
    assert with_known_resources(listed, replace(listed, resources=larger)).resources == larger
    another = replace(listed, resources=larger, state=replace(listed.state, spec_hash="an earlier one's"))
    assert with_known_resources(listed, another).resources == MADE
    assert with_known_resources(listed, None).resources == MADE
