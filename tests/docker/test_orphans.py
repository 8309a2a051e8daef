"""Orphans on the real engine: helpers, networks and old builds, found and removed one by one."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import docker
import pytest

from contract.engines import BASE_IMAGE, engine_client, hub_of_its_own
from stateroom.backends.docker.engine import ensure_network, read_passwd
from stateroom.common.labels import HELPER, HUB
from stateroom.images.build import SOURCE_LABEL, STAGE_LABEL
from stateroom.operations.docker.orphans import find_orphans, remove_orphan, superseded_images
from stateroom.operations.local.records import Records
from stateroom.operations.platform import Kind, Orphan
from stateroom.workloads.names import ServerRef, network_name

HOUR = 3600.0


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with engine_client() as client:
        yield client


@pytest.fixture
def hub(client: docker.APIClient) -> Iterator[str]:
    with hub_of_its_own(client) as hub:
        yield hub
    for container in client.containers(all=True, filters={"label": f"{HELPER}={hub}"}):
        client.remove_container(container["Id"], force=True)


def orphans(client: docker.APIClient, hub: str, *, running: bool = False, later: float = HOUR) -> list[Orphan]:
    """The hub's own, as they will be some time from now."""
    found = find_orphans(client, hub, lambda: Records({}, frozenset()), time.time() + later, running=running)
    return [orphan for orphan in found if orphan.kind is not Kind.IMAGE]


def build(client: docker.APIClient, text: str, **labels: str) -> str:
    """The id of an image without a name, made as `images build` makes its own."""
    lines = list(client.build(fileobj=io.BytesIO(text.encode()), labels=labels, nocache=True, rm=True, decode=True))
    return str(next(line["aux"]["ID"] for line in lines if "ID" in line.get("aux", {})))


def test_a_helper_whose_maker_was_killed_is_found(
    client: docker.APIClient, hub: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(client, "remove_container", lambda *_, **__: None)
        assert "jovyan" in read_passwd(client, BASE_IMAGE, {HELPER: hub})
    assert not orphans(client, hub, later=0)
    assert not orphans(client, "another")
    [orphan] = orphans(client, hub, running=True)
    assert orphan.kind is Kind.HELPER
    assert remove_orphan(client, orphan)
    assert remove_orphan(client, orphan)  # gone already
    assert not orphans(client, hub)


def test_a_network_goes_when_its_last_container_is_gone(client: docker.APIClient, hub: str) -> None:
    ensure_network(client, network_name(hub), {HUB: hub})
    ref = ServerRef(hub, "ada")
    payload = {"Image": BASE_IMAGE, "Labels": dict(ref.labels), "HostConfig": {"NetworkMode": network_name(hub)}}
    client.create_container_from_config({**payload, "Labels": {}}, f"{hub}-stranger")
    assert not orphans(client, hub)  # somebody else's container is on it
    client.remove_container(f"{hub}-stranger")
    client.create_container_from_config(payload, ref.name)
    found = orphans(client, hub)
    assert [orphan.kind for orphan in found] == [Kind.SERVER, Kind.NETWORK]
    assert all(remove_orphan(client, orphan) for orphan in found)
    assert not orphans(client, hub)


def test_a_network_that_is_used_again_is_left(client: docker.APIClient, hub: str) -> None:
    ensure_network(client, network_name(hub), {HUB: hub})
    [network] = orphans(client, hub)
    payload = {"Image": BASE_IMAGE, "Entrypoint": ["sleep", "60"], "Cmd": [], "Labels": {HUB: hub}}
    client.create_container_from_config({**payload, "HostConfig": {"NetworkMode": network.name}}, f"{hub}-late")
    client.start(f"{hub}-late")
    assert not remove_orphan(client, network)


def test_old_builds_go_and_what_was_made_of_ours_stays(client: docker.APIClient) -> None:
    made = {
        "old": build(client, f"FROM {BASE_IMAGE}\n", **{SOURCE_LABEL: "test"}),
        "derived": build(client, f"FROM {BASE_IMAGE}\nENV A=b\n"),
        "other's stage": build(client, f"FROM {BASE_IMAGE}\nLABEL {STAGE_LABEL}=other\nENV A=1\n"),
        "old stage": build(client, f"FROM {BASE_IMAGE}\nLABEL {STAGE_LABEL}=test\nENV A=1\n"),
    }
    time.sleep(1.1)  # the engine tells the age of an image in whole seconds
    made["stage"] = build(client, f"FROM {BASE_IMAGE}\nLABEL {STAGE_LABEL}=test\nENV A=2\n")
    try:
        found = {orphan.id: orphan for orphan in superseded_images(client, [], time.time() + 2 * HOUR)}
        assert {made["old"], made["old stage"]} <= found.keys()
        assert not {made["derived"], made["other's stage"], made["stage"]} & found.keys()
        assert not {made["old"]} & {orphan.id for orphan in superseded_images(client, [], time.time())}
        used = [{"ImageID": made["old"]}]
        assert made["old"] not in {orphan.id for orphan in superseded_images(client, used, time.time() + 2 * HOUR)}
        assert remove_orphan(client, found[made["old"]])
        assert made["old"] not in {image["Id"] for image in client.images(all=True)}
    finally:
        for image in made.values():
            try:
                client.remove_image(image)
            except docker.errors.ImageNotFound:
                continue
