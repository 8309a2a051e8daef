"""What a hub made for its servers on the engine, and somebody removes while it runs, is brought back."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from contract.engines import DockerSubject, docker_subject, engine_client, make_spec, soon, unheard
from harness.hub import wait_for
from harness.outside import outside, packet_rules
from stateroom.backends.docker import DockerBackend
from stateroom.backends.docker.network import isolation_gaps
from stateroom.backends.docker.network_keeper import NetworkKeeper
from stateroom.backends.docker.packet_filter import lift_isolation
from stateroom.backends.docker.payload import docker_settings
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.common.errors import NetworkUnready
from stateroom.common.labels import HUB
from stateroom.workloads.server import Server

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may write packet rules")

PORT = 24_680  # of a hub that is not there
CATALOG = """\
version: 1
images: [{id: a, image: a, default: true}]
sizes: [{id: s, cpu: 1, memory: 1 GiB, default: true}]
"""


class Kept:
    """A hub's backend whose networks are kept. `catalog` is the one in force."""

    def __init__(self, subject: DockerSubject, client: docker.APIClient) -> None:
        self.client = client
        self.hub = subject.hub
        self.subject = subject
        self.catalog = catalog_with("")
        self.keeper = NetworkKeeper(self.hub, lambda: self.catalog, PORT)
        self.place, gaps = self.keeper.make()
        assert gaps == []
        self.backend = DockerBackend(self.hub, lambda: docker_settings(self.catalog, self.hub), self.keeper)

    @property
    def network(self) -> str:
        return self.place.servers.networks[0].name

    @property
    def subnet(self) -> str:
        return str(self.client.inspect_network(self.network)["IPAM"]["Config"][0]["Subnet"])

    def lacks_nothing(self, name: str = "") -> bool:
        """Whether a network is there, and all rules."""
        there = {found["Name"] for found in self.client.networks()}
        return (name or self.network) in there and not isolation_gaps(
            self.client, self.catalog, self.hub, PORT, self.network
        )

    async def start(self, **changes: object) -> Server:
        spec = make_spec(self.subject, **changes)
        await self.backend.servers.start(spec, soon(), unheard)
        return spec

    def network_of(self, spec: Server) -> set[str]:
        return set(self.client.inspect_container(spec.ref.name)["NetworkSettings"]["Networks"])


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with engine_client() as client:
        yield client


@asynccontextmanager
async def kept_networks(client: docker.APIClient) -> AsyncIterator[Kept]:
    async with docker_subject() as subject:
        kept = Kept(subject, client)
        try:
            yield kept
        finally:
            await kept.keeper.close()
            await kept.backend.close()
            lift_isolation(client, kept.hub, kept.place.images)


@pytest.fixture
async def kept(client: docker.APIClient) -> AsyncIterator[Kept]:
    async with kept_networks(client) as kept:
        yield kept


def catalog_with(more: str) -> Catalog:
    return parse_catalog(CATALOG + more)


async def test_a_removed_network_is_made_again_with_its_addresses_and_rules(kept: Kept) -> None:
    subnet, bridge = kept.subnet, kept.place.servers.networks[0].bridge
    kept.keeper.begin()
    kept.client.remove_network(kept.network)
    wait_for(kept.lacks_nothing, "the network")
    assert kept.subnet == subnet
    assert bridge not in "".join(packet_rules(kept.hub))
    wait_for(lambda: kept.keeper.repairs["network"] == 1, "the count of it")
    with socket.create_server((kept.place.address, 0)):  # an address of this machine
        await kept.start()


async def test_the_next_process_gives_a_removed_network_its_addresses_again(kept: Kept, tmp_path: Path) -> None:
    record = tmp_path / "networks.json"
    NetworkKeeper(kept.hub, lambda: kept.catalog, PORT, record).make()
    subnet = kept.subnet
    kept.client.remove_network(kept.network)
    # What the engine would give next is another one.
    kept.client.create_network(f"{kept.hub}-first", driver="bridge", labels={HUB: kept.hub})
    NetworkKeeper(kept.hub, lambda: kept.catalog, PORT, record).make()
    assert kept.subnet == subnet
    record.write_text('{"a": 1}')
    NetworkKeeper(kept.hub, lambda: kept.catalog, PORT, record).make()
    assert kept.subnet == subnet


async def test_a_server_is_started_right_after_its_network_was_removed(kept: Kept) -> None:
    kept.keeper.begin()
    for _ in range(3):
        kept.client.remove_network(kept.network)
        wait_for(lambda: not kept.keeper.is_whole or kept.lacks_nothing(), "the news of it")
        spec = await kept.start()
        assert kept.lacks_nothing()
        await kept.backend.servers.stop(spec.ref, soon())


async def test_rules_that_were_removed_are_written_again(kept: Kept) -> None:
    rules = packet_rules(kept.hub)
    kept.keeper.begin()
    wait_for(lambda: kept.keeper.is_whole, "the first look")
    lift_isolation(kept.client, kept.hub, ())  # of this hub alone: others may run on this machine
    wait_for(lambda: sorted(packet_rules(kept.hub)) == sorted(rules), "the rules")
    wait_for(lambda: kept.keeper.repairs["rules"] == 1, "the count of it")


async def test_a_server_that_was_disconnected_is_put_back_and_found_where_it_is(kept: Kept) -> None:
    spec = await kept.start()
    kept.keeper.begin()
    kept.client.disconnect_container_from_network(spec.ref.name, kept.network, force=True)
    wait_for(lambda: kept.network_of(spec) == {kept.network}, "the server on its network")

    def address() -> str:
        networks = kept.client.inspect_container(spec.ref.name)["NetworkSettings"]["Networks"]
        return f"http://{networks[kept.network]['IPAddress']}:8888"

    known = await kept.backend.servers.state(spec.ref)
    while known.address != address():
        known = await kept.backend.servers.changed(spec.ref, known)
    wait_for(lambda: kept.keeper.repairs["server"] == 1, "the count of it")


async def test_a_network_that_the_catalog_names_later_is_made_and_closed_before_a_server_is_on_it(kept: Kept) -> None:
    for name in (f"{kept.hub}-later", f"{kept.hub}-there"):
        if name.endswith("there"):
            kept.client.create_network(name, driver="bridge", labels={"io.stateroom.hub": kept.hub})
        kept.catalog = catalog_with(f"docker: {{network: {name}}}\n")
        spec = await kept.start()
        assert kept.network_of(spec) == {name}
        assert kept.lacks_nothing(name)
        await kept.backend.servers.stop(spec.ref, soon())


async def test_where_the_addresses_are_taken_no_server_is_started_and_the_hub_says_why(kept: Kept) -> None:
    subnet = kept.subnet
    kept.client.remove_network(kept.network)
    pool = docker.types.IPAMPool(subnet=subnet)
    taken = f"{kept.network}-b"
    kept.client.create_network(taken, ipam=docker.types.IPAMConfig(pool_configs=[pool]))
    try:
        kept.keeper.begin()
        wait_for(lambda: not kept.keeper.is_whole, "the news of it")
        with pytest.raises(NetworkUnready, match="could not be made again with the addresses it had") as refused:
            await kept.start()
        assert subnet in str(refused.value)
        assert "An administrator must free them, or restart the hub." in str(refused.value)
    finally:
        kept.client.remove_network(taken)
    wait_for(kept.lacks_nothing, "the network")
    await kept.start()


async def test_what_is_open_that_was_not_at_the_start_keeps_servers_from_starting(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.client.remove_network(kept.network)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("stateroom.backends.docker.packet_filter._PATH", "/nowhere")
    kept.keeper._place = replace(kept.place, images=())
    kept.keeper._whole = frozenset()
    with pytest.raises(NetworkUnready, match="Servers reach ports of this machine"):
        await kept.start()


async def test_what_the_machine_sends_to_its_hub_stays_here_when_the_network_is_gone(kept: Kept) -> None:
    # At an address that no other hub of this machine has had, whose rules may still be there.
    kept.client.remove_network(kept.network)
    pool = docker.types.IPAMPool(subnet="10.231.77.0/24", gateway="10.231.77.1")
    ipam, labels = docker.types.IPAMConfig(pool_configs=[pool]), {HUB: kept.hub}
    kept.client.create_network(kept.network, driver="bridge", labels=labels, ipam=ipam)
    # Without any network left, the machine would not be known for the engine's, and the rules could not be lifted.
    kept.client.create_network(f"{kept.hub}-beside", driver="bridge", labels=labels)
    kept.keeper = NetworkKeeper(kept.hub, lambda: kept.catalog, 80)
    kept.place, _ = kept.keeper.make()
    address = kept.place.address
    assert address == "10.231.77.1"
    with outside(address):
        assert reaches(address, 80) == "refused", "the network is there, and nothing listens"
        kept.client.remove_network(kept.network)
        run("ip", "route", "add", f"{address}/32", "via", "203.0.113.2")
        try:
            assert reaches(address, 80) == "refused"
            assert lift_isolation(kept.client, kept.hub, kept.place.images) == []
            assert reaches(address, 80) == "open", "without the rule the other machine has it"
        finally:
            run("ip", "route", "delete", f"{address}/32")


def run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=60)


def reaches(address: str, port: int) -> str:
    try:
        socket.create_connection((address, port), timeout=20).close()
    except ConnectionRefusedError:
        return "refused"
    return "open"
