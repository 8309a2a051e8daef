"""What servers reach and what not, tried from inside containers of the real engine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import docker
import pytest

from contract.engines import BASE_IMAGE, docker_subject, engine_client, hub_of_its_own, make_spec, stub_image
from harness.hub import wait_for
from harness.outside import CONNECT, METADATA, SOMEWHERE, listening, outside, packet_rules
from stateroom.backends.docker import packet_filter as firewall
from stateroom.backends.docker.engine import ensure_network
from stateroom.backends.docker.network import hub_place, isolation_gaps
from stateroom.backends.docker.packet_filter import isolate, lift_isolation, missing_isolation
from stateroom.backends.docker.packet_rules import (
    Network,
    Servers,
    network_from_inspect,
)
from stateroom.backends.memory import Behaviour
from stateroom.catalog.load import parse_catalog
from stateroom.common.deadline import Deadline
from stateroom.common.labels import HELPER, HUB
from stateroom.images.build import build
from stateroom.images.sources import HUB_IMAGE, hub
from stateroom.operations.docker import down
from stateroom.workloads.names import network_name
from stateroom.workloads.server import CONNECTIONS_TO_HUB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may write packet rules and make namespaces")

CATALOG = (Path(__file__).parents[2] / "config" / "minimal.yaml").read_text()
IMAGES = (BASE_IMAGE,)
PORT = 8888


# Connects again and again, until a file says that it is enough; how often it did, and how often it got through.
KEEP_TRYING = """
import os, socket, sys
attempts = passed = 0
while not os.path.exists("/tmp/enough"):
    attempts += 1
    with socket.socket() as connection:
        connection.settimeout(0.02)
        passed += connection.connect_ex((sys.argv[1], int(sys.argv[2]))) == 0
open("/tmp/.told", "w").write(f"{attempts} {passed}")
os.rename("/tmp/.told", "/tmp/told")
"""


class Ground:
    """A hub's network on the engine with containers that stand for its servers."""

    def __init__(self, client: docker.APIClient, hub: str, network: str = "") -> None:
        self.client = client
        self.hub = hub
        self.name = network or network_name(hub)
        self.gateway = ensure_network(client, self.name, {HUB: hub})

    @property
    def network(self) -> Network:
        found = network_from_inspect(self.client.inspect_network(self.name))
        assert found
        return found

    def servers(self, port: int) -> Servers:
        return Servers(self.hub, (self.network,), self.gateway, port)

    def server(self, **host: object) -> str:
        """A container that listens at port 8888; its id."""
        listen = f"import socket\ns = socket.create_server(('', {PORT}))\nwhile True: s.accept()[0].close()"
        payload = {
            "Image": BASE_IMAGE,
            "Labels": {HUB: self.hub},
            "Entrypoint": ["python3", "-c", listen],
            "Cmd": [],
            "ExposedPorts": {f"{PORT}/tcp": {}},
            "HostConfig": {"NetworkMode": self.name, "CapDrop": ["ALL"], "Init": True, **host},
        }
        container: str = self.client.create_container_from_config(payload)["Id"]
        self.client.start(container)
        return container

    def address(self, container: str) -> str:
        networks = self.client.inspect_container(container)["NetworkSettings"]["Networks"]
        return str(networks[self.name]["IPAddress"])

    def tried(self, container: str, address: str, port: int = 80) -> str:
        """What becomes of a connection from inside a container."""
        return self.said(container, "python3", "-c", CONNECT, address, str(port))

    def said(self, container: str, *command: str) -> str:
        task = self.client.exec_create(container, list(command))["Id"]
        return str(self.client.exec_start(task).decode().strip())


@pytest.fixture
def client() -> Iterator[docker.APIClient]:
    with engine_client() as client:
        yield client


@contextmanager
def made_ground(client: docker.APIClient, network: str = "") -> Iterator[Ground]:
    with hub_of_its_own(client) as hub:
        try:
            yield Ground(client, hub, network)
        finally:
            lift_isolation(client, hub, IMAGES)


@pytest.fixture
def ground(client: docker.APIClient) -> Iterator[Ground]:
    with made_ground(client) as ground:
        yield ground


def reached(address: str, port: int) -> bool:
    """Whether the machine itself, and so hub and proxy on it, reach an address."""
    with socket.create_connection((address, port), timeout=20):
        return True


def machine_address() -> str:
    """An address of the machine beside its networks of containers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((SOMEWHERE, 9))  # sends nothing
        return str(probe.getsockname()[0])


def test_servers_reach_the_outside_and_their_hub_and_nothing_else_of_the_machine(ground: Ground) -> None:
    server, another = ground.server(), ensure_network(ground.client, f"{ground.name}-b", {HUB: ground.hub})
    with outside(), listening(ground.gateway) as hub, listening("0.0.0.0") as other:
        everything = {
            "hub": (ground.gateway, hub),
            "outside": (SOMEWHERE, 80),
            "metadata": (METADATA, 80),
            "gateway": (ground.gateway, other),
            "another bridge": (another, other),
            "machine": (machine_address(), other),
        }

        def tried() -> dict[str, str]:
            return {what: ground.tried(server, *where) for what, where in everything.items()}

        assert set(tried().values()) == {"open"}  # what is open without the rules
        assert isolate(ground.client, ground.servers(hub), IMAGES) == []
        assert tried() == dict.fromkeys(everything, "refused") | {"hub": "open", "outside": "open"}
        assert reached(ground.address(server), PORT)


def test_a_neighbour_of_the_machine_does_not_reach_the_hub_where_servers_do(ground: Ground) -> None:
    server = ground.server()
    with outside() as tried, listening(ground.gateway) as hub:
        assert tried(ground.gateway, hub) == "open"
        assert isolate(ground.client, ground.servers(hub), IMAGES) == []
        assert tried(ground.gateway, hub) == "refused"
        assert ground.tried(server, ground.gateway, hub) == "open"
        assert reached(ground.gateway, hub)


# Opens connections and keeps them; how many there are at last.
KEEP_OPEN = """
import socket, sys
kept = []
for _ in range(int(sys.argv[3])):
    try:
        kept.append(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20))
    except OSError:
        break
print(len(kept))
"""


def test_one_server_has_few_connections_to_the_hub_and_leaves_others_theirs(ground: Ground) -> None:
    greedy, modest = ground.server(), ground.server()
    with socket.create_server((ground.gateway, 0), backlog=1000) as hub:
        port = hub.getsockname()[1]
        assert isolate(ground.client, ground.servers(port), IMAGES) == []
        assert ground.said(greedy, "python3", "-c", KEEP_OPEN, ground.gateway, str(port), "200") == str(
            CONNECTIONS_TO_HUB
        )
        assert ground.said(modest, "python3", "-c", KEEP_OPEN, ground.gateway, str(port), "10") == "10"


def test_where_connections_cannot_be_counted_the_other_rules_are_in_force(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(script: str) -> str:
        if "connlimit" in script:
            raise firewall._Unable("no such module")
        return run_here(script)

    run_here = firewall._run_here
    monkeypatch.setattr(firewall, "_run_here", run)
    server = ground.server()
    with listening(ground.gateway) as hub:
        assert isolate(ground.client, ground.servers(hub), IMAGES) == []
        assert missing_isolation(ground.client, ground.servers(hub), IMAGES) == []
        assert ground.tried(server, ground.gateway, hub) == "open"
        assert ground.tried(server, ground.gateway, hub + 1) == "refused"


def test_servers_do_not_reach_each_other_even_where_the_engine_lets_them(client: docker.APIClient) -> None:
    name = f"test-{uuid4().hex[:10]}"
    client.create_network(name, driver="bridge")
    try:
        with made_ground(client, name) as ground, listening(ground.gateway) as hub:
            first, second = ground.server(), ground.server()
            assert ground.tried(first, ground.address(second), PORT) == "open"
            assert isolate(client, ground.servers(hub), IMAGES) == []
            assert ground.tried(first, ground.address(second), PORT) == "refused"
            assert reached(ground.address(first), PORT)
    finally:
        client.remove_network(name)


def test_servers_of_two_networks_of_a_hub_do_not_reach_each_other_and_both_reach_it(ground: Ground) -> None:
    ensure_network(ground.client, f"{ground.name}-b", {HUB: ground.hub})
    other = Ground(ground.client, ground.hub, f"{ground.name}-b")
    first, second = ground.server(), other.server()
    with listening(ground.gateway) as hub, listening("0.0.0.0") as closed:
        both = Servers(ground.hub, (ground.network, other.network), ground.gateway, hub)
        assert isolate(ground.client, both, IMAGES) == []
        assert other.tried(second, ground.gateway, hub) == "open"
        assert other.tried(second, ground.gateway, closed) == "refused"
        assert ground.tried(first, other.address(second), PORT) == "refused"


def test_a_port_of_the_machine_that_leads_to_a_container_is_refused(ground: Ground) -> None:
    server = ground.server()
    with made_ground(ground.client) as other:
        neighbour = other.server(PublishAllPorts=True)
        [binding, *_] = ground.client.port(neighbour, PORT)
        published = int(binding["HostPort"])
        assert reached("127.0.0.1", published)
        isolate(ground.client, ground.servers(1), IMAGES)
        assert ground.tried(server, machine_address(), published) == "refused"
        assert ground.tried(server, ground.gateway, published) == "refused"


def test_a_port_of_the_machine_that_leads_elsewhere_is_refused(ground: Ground) -> None:
    server, port = ground.server(), 8099
    # As some versions of Docker lead to a container, with the packet's address changed on the way.
    match = ["-i", ground.network.bridge, "-p", "tcp", "--dport", str(port)]
    rule = ["PREROUTING", *match, "-j", "DNAT", "--to-destination", f"{SOMEWHERE}:80"]
    with outside():
        subprocess.run(["iptables", "-t", "nat", "-I", *rule], check=True, timeout=120)
        try:
            assert ground.tried(server, ground.gateway, port) == "open"
            assert isolate(ground.client, ground.servers(1), IMAGES) == []
            assert ground.tried(server, ground.gateway, port) == "refused"
        finally:
            subprocess.run(["iptables", "-t", "nat", "-D", *rule], check=True, timeout=120)


def test_servers_find_names_also_where_the_machine_itself_has_the_name_server(ground: Ground) -> None:
    isolate(ground.client, ground.servers(1), IMAGES)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        name_server.bind((ground.gateway, 53))
        name_server.settimeout(30)
        server = ground.server(Dns=[ground.gateway])
        ask = ground.client.exec_create(server, ["getent", "hosts", "example.test"])["Id"]
        ground.client.exec_start(ask, detach=True)
        query, asker = name_server.recvfrom(512)
        assert b"\x07example\x04test" in query
        assert asker[0] == ground.address(server)
    # What the engine's own name server knows, it still tells.
    assert ground.said(server, "getent", "hosts", server[:12]).startswith(ground.address(server))


def test_applying_twice_leaves_one_set_and_a_changed_port_replaces_it(ground: Ground) -> None:
    isolate(ground.client, ground.servers(1), IMAGES)
    once = packet_rules()
    isolate(ground.client, ground.servers(1), IMAGES)
    assert packet_rules() == once
    isolate(ground.client, ground.servers(2), IMAGES)
    assert len(packet_rules()) == len(once)
    assert not [line for line in packet_rules(ground.hub) if "--dport 1 " in line]
    assert missing_isolation(ground.client, ground.servers(2), IMAGES) == []
    assert missing_isolation(ground.client, ground.servers(1), IMAGES) != []


def test_what_somebody_removed_is_missed_and_put_back(ground: Ground) -> None:
    isolate(ground.client, ground.servers(1), IMAGES)
    whole = set(packet_rules())
    subprocess.run(["iptables", "-D", "INPUT", "-j", "STATEROOM-INPUT"], check=True, timeout=120)
    [gap] = missing_isolation(ground.client, ground.servers(1), IMAGES)
    assert "not there" in gap.verdict
    isolate(ground.client, ground.servers(1), IMAGES)
    assert set(packet_rules()) == whole
    assert missing_isolation(ground.client, ground.servers(1), IMAGES) == []


def test_rules_are_removed_exactly(ground: Ground) -> None:
    before = packet_rules()
    isolate(ground.client, ground.servers(1), IMAGES)
    assert packet_rules(ground.hub)
    assert lift_isolation(ground.client, ground.hub, IMAGES) == []
    assert sorted(packet_rules()) == sorted(before)
    assert lift_isolation(ground.client, ground.hub, IMAGES) == []


def test_two_hubs_do_not_disturb_each_other_even_on_one_network(ground: Ground) -> None:
    server = ground.server()
    with listening(ground.gateway) as hub, listening(ground.gateway) as other_hub:
        other = Servers(f"{ground.hub}-2", (ground.network,), ground.gateway, other_hub)
        try:
            isolate(ground.client, ground.servers(hub), IMAGES)
            alone = packet_rules(ground.hub)
            isolate(ground.client, other, IMAGES)
            isolate(ground.client, ground.servers(hub), IMAGES)
            assert [ground.tried(server, ground.gateway, port) for port in (hub, other_hub)] == ["open", "open"]
            assert sorted(packet_rules(ground.hub)) == sorted(alone)
        finally:
            lift_isolation(ground.client, other.hub, IMAGES)
        assert sorted(packet_rules(ground.hub)) == sorted(alone)
        assert ground.tried(server, ground.gateway, other_hub) == "refused"


def test_down_leaves_a_network_that_another_hub_uses(ground: Ground) -> None:
    name = f"{ground.name}-b"
    ensure_network(ground.client, name, {HUB: ground.hub})
    with made_ground(ground.client, name) as other:
        other.server()
        down._remove_networks(ground.client, ground.hub)
        labelled = ground.client.networks(filters={"label": f"{HUB}={ground.hub}"})
        assert [network["Name"] for network in labelled] == [name]


def test_where_this_is_not_root_a_container_writes_the_rules(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall.os, "geteuid", lambda: 1000)
    assert isolate(ground.client, ground.servers(1), IMAGES) == []
    written = packet_rules(ground.hub)
    assert missing_isolation(ground.client, ground.servers(1), IMAGES) == []
    assert lift_isolation(ground.client, ground.hub, IMAGES) == []
    assert not packet_rules(ground.hub)
    monkeypatch.undo()
    isolate(ground.client, ground.servers(1), IMAGES)
    assert packet_rules(ground.hub) == written
    assert not ground.client.containers(all=True, filters={"label": f"{HELPER}={ground.hub}"})


def test_where_nothing_works_it_is_told_what_is_open(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall.os, "geteuid", lambda: 1000)
    [gap] = isolate(ground.client, ground.servers(1), ("stateroom.test/not-there:1",))
    assert "Servers reach ports of this machine" in gap.verdict
    assert "it takes root" in gap.verdict
    assert "as root" in gap.remedy
    assert not packet_rules(ground.hub)


def test_where_packets_within_a_network_pass_unasked_it_is_told(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert missing_isolation(ground.client, ground.servers(1), IMAGES) != []
    turned_off = tmp_path / "bridge-nf-call-iptables"
    turned_off.write_text("0\n")
    monkeypatch.setattr(firewall, "_ASKED_WITHIN", turned_off)
    [gap] = isolate(ground.client, ground.servers(1), IMAGES)
    assert "Servers reach each other" in gap.verdict
    assert "bridge-nf-call-iptables=1" in gap.remedy


def test_without_iptables_it_is_told_what_is_open(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(firewall, "_PATH", str(tmp_path))
    [gap] = isolate(ground.client, ground.servers(1), ())
    assert "iptables-save: not found" in gap.verdict


@contextmanager
def hub_in_a_container(ground: Ground, log: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The container of a hub, on a network that is not its servers', and what it tells once its server runs."""
    client, front = ground.client, f"{ground.name}-front"
    build(client, hub(), lambda _: None, log)
    ensure_network(client, front, {HUB: ground.hub})
    here = str(Path(__file__).parents[2])
    payload = {
        "Image": HUB_IMAGE,
        "User": "0",
        "Labels": {HUB: ground.hub},
        "Entrypoint": ["/opt/stateroom/bin/python", f"{here}/tests/harness/hub_in_container.py"],
        "Cmd": [ground.hub, stub_image(client, Behaviour.ANSWERS)],
        "HostConfig": {
            "NetworkMode": front,
            "Binds": ["/var/run/docker.sock:/var/run/docker.sock", f"{here}:{here}:ro"],
        },
    }
    container = client.create_container_from_config(payload, f"{ground.hub}-hub")["Id"]
    client.start(container)

    def told() -> str:
        words = client.logs(container).decode()
        assert client.inspect_container(container)["State"]["Running"], words
        return next((line for line in words.splitlines() if line.startswith("{")), "")

    yield container, json.loads(wait_for(told, "the hub's server"))


def test_a_hub_in_a_container_and_its_servers_reach_each_other_and_servers_nothing_else(
    ground: Ground, tmp_path: Path
) -> None:
    with hub_in_a_container(ground, tmp_path / "build.log") as (hub, told):
        other = ground.server()
        for server in (told["ada"], told["bob"]):
            assert ground.tried(server, told["name"], 8081) == "open"
            assert ground.tried(server, told["name"], 8082) == "refused"
            assert ground.tried(server, ground.address(other), PORT) == "refused"
            assert ground.tried(server, ground.gateway, 22) == "refused"
        assert ground.tried(hub, ground.address(other), PORT) == "open"


async def test_a_group_has_a_network_of_its_own_which_is_as_closed(client: docker.APIClient) -> None:
    async with docker_subject() as subject:
        name = f"{subject.hub}-research"
        text = f"groups: {{research: {{identity: {{network: {name}}}}}}}\n{CATALOG}"
        with listening("0.0.0.0") as hub, listening("0.0.0.0") as closed:
            try:
                catalog = parse_catalog(text)
                place = hub_place(client, catalog, subject.hub, hub)
                assert len(isolation_gaps(client, catalog, subject.hub, hub)) == 1
                assert isolate(client, place.servers, place.images) == []
                assert isolation_gaps(client, catalog, subject.hub, hub) == []
                ada, bob = make_spec(subject), make_spec(subject, user="bob", network=name)
                for spec in (ada, bob):
                    await subject.backend.servers.start(spec, Deadline.after(60, "waiting"), lambda _: None)
                ground, inner = Ground(client, subject.hub), Ground(client, subject.hub, name)
                assert ground.gateway != inner.gateway
                assert ground.tried(bob.ref.name, place.address, hub) == "open"
                assert ground.tried(bob.ref.name, place.address, closed) == "refused"
                assert ground.tried(bob.ref.name, inner.gateway, closed) == "refused"
                assert ground.tried(bob.ref.name, ground.address(ada.ref.name), PORT) == "refused"
                assert ground.tried(ada.ref.name, inner.address(bob.ref.name), PORT) == "refused"
                again = subject.another_process()
                addresses = {server.ref: server.state.address for server in await again.servers.list()}
                await again.close()
                assert addresses[bob.ref] == f"http://{inner.address(bob.ref.name)}:{PORT}"
            finally:
                lift_isolation(client, subject.hub, IMAGES)


def test_the_rules_hold_while_the_engine_arranges_its_own(ground: Ground) -> None:
    # Docker takes DOCKER-USER out of FORWARD for a moment, each time that it makes a network.
    client, server = ground.client, ground.server()
    with outside():
        assert isolate(client, ground.servers(1), IMAGES) == []
        trying = client.exec_create(server, ["python3", "-c", KEEP_TRYING, METADATA, "80"])["Id"]
        client.exec_start(trying, detach=True)
        for number in range(10):
            pool = docker.types.IPAMPool(subnet=f"10.231.{number}.0/24")
            ipam = docker.types.IPAMConfig(pool_configs=[pool])
            client.create_network(f"{ground.name}-{number}", labels={HUB: ground.hub}, ipam=ipam)
        ground.said(server, "touch", "/tmp/enough")
        told = wait_for(lambda: ground.said(server, "sh", "-c", "cat /tmp/told 2>/dev/null || true"), "what came of it")
    attempts, passed = map(int, told.split())
    assert attempts > 0
    assert passed == 0
