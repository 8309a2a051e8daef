"""Who reaches whom in a release, by real traffic: the table of the chart's README.

What lies outside is a host in a network namespace that the test makes; no packet leaves the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness import cluster
from harness.hub import Person
from harness.outside import CONNECT, METADATA, SOMEWHERE, listening, outside
from harness.pods import core, delete_at_once, in_cluster, until
from harness.release import SMALL, Release
from stateroom.images.sources import HUB_IMAGE
from stateroom.workloads.server import CONNECTIONS_TO_HUB

STRANGER = "stranger"  # a pod that belongs to nobody

# What a denied connection comes to: refused at once, or at a Service's address so without a word.
DENIED = {"refused", "timed out", "[Errno 113] No route to host"}
SECONDS = "5"
# Opens many connections, and counts those that the other side has not closed.
HALF_OPEN = """
import socket, sys, time
held = []
for _ in range(200):
    try:
        held.append(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20))
        held[-1].sendall(b"GET /hub/login HTTP/1.1\\r\\nHost: hub\\r\\n")
    except OSError:
        pass
time.sleep(2)
def is_open(one):
    one.setblocking(False)
    try:
        return one.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
print(sum(map(is_open, held)))
"""
API = (f"{cluster.NODE}", 6443), ("kubernetes.default", 443)


@pytest.fixture(scope="module")
def people(release: Release) -> Iterator[tuple[Person, Person]]:
    """Two people with a server each."""
    people = (release.person("ann"), release.person("ben"))
    for person in people:
        person.started(SMALL)
    yield people
    for person in people:
        person.stop()
        person.close()


@pytest.fixture(scope="module")
def stranger(release: Release) -> Iterator[None]:
    namespace = release.namespace
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "a", "image": in_cluster(HUB_IMAGE), "command": ["sleep", "600"], "securityContext": security}
    pod_security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "securityContext": pod_security, "terminationGracePeriodSeconds": 0}
    core().create_namespaced_pod(namespace, {"metadata": {"name": STRANGER}, "spec": spec})
    until(lambda: core().read_namespaced_pod(STRANGER, namespace).status.phase == "Running", "the stranger")
    yield
    delete_at_once(namespace, STRANGER)


def reaches(release: Release, pod: str, host: str, port: int) -> bool:
    """Whether a connection from inside a pod comes about. What fails in another way is no answer."""
    tried = release.kubectl("exec", pod, "--", "python3", "-c", CONNECT, host, str(port), SECONDS)
    found = tried.strip().splitlines()[-1]
    assert found == "open" or found in DENIED, tried
    return found == "open"


def server_of(release: Release, person: Person) -> Any:
    (pod,) = release.pods.of(person.name)
    return pod


def test_a_server_reaches_no_other_server(release: Release, people: tuple[Person, Person]) -> None:
    ann, ben = (server_of(release, person) for person in people)
    assert not reaches(release, ann.metadata.name, ben.status.pod_ip, 8888)


@pytest.mark.parametrize(("host", "port"), API)
def test_a_server_does_not_reach_the_clusters_api(
    release: Release, people: tuple[Person, Person], host: str, port: int
) -> None:
    assert not reaches(release, server_of(release, people[0]).metadata.name, host, port)


def test_a_server_reaches_the_hub_and_its_name(release: Release, people: tuple[Person, Person]) -> None:
    assert reaches(release, server_of(release, people[0]).metadata.name, f"{release.name}-hub", 8081)


def test_a_server_has_few_connections_to_the_hub_at_once(release: Release, people: tuple[Person, Person]) -> None:
    server = server_of(release, people[0]).metadata.name
    tried = release.kubectl("exec", server, "--", "python3", "-c", HALF_OPEN, f"{release.name}-hub", "8081")
    assert int(tried.splitlines()[-1]) <= CONNECTIONS_TO_HUB, tried
    assert people[1].web.get(f"{release.url}/hub/home").status_code == 200


@pytest.mark.parametrize("port", [8000, 8001])
def test_a_server_does_not_reach_the_proxy(release: Release, people: tuple[Person, Person], port: int) -> None:
    address = release.pod("proxy").status.pod_ip
    assert not reaches(release, server_of(release, people[0]).metadata.name, address, port)


def test_a_server_reaches_the_outside_and_no_metadata(release: Release, people: tuple[Person, Person]) -> None:
    server = server_of(release, people[0]).metadata.name
    with outside():
        assert reaches(release, server, SOMEWHERE, 80)
        assert not reaches(release, server, METADATA, 80)


def test_a_closed_address_may_be_opened(release: Release, people: tuple[Person, Person]) -> None:
    server = server_of(release, people[0]).metadata.name
    with listening(cluster.HOST) as port:
        assert not reaches(release, server, cluster.HOST, port)
        release.apply({"network_policies": {"open": [f"{cluster.HOST}/32"]}})
        until(lambda: reaches(release, server, cluster.HOST, port), "the new policy")
        release.apply()


@pytest.mark.usefixtures("stranger")
def test_a_stranger_reaches_neither_servers_nor_the_hub(release: Release, people: tuple[Person, Person]) -> None:
    assert not reaches(release, STRANGER, server_of(release, people[0]).status.pod_ip, 8888)
    assert not reaches(release, STRANGER, release.pod("hub").status.pod_ip, 8081)


@pytest.mark.usefixtures("stranger")
def test_a_stranger_reaches_the_proxy_and_not_its_api(release: Release) -> None:
    address = release.pod("proxy").status.pod_ip
    assert reaches(release, STRANGER, address, 8000)
    assert not reaches(release, STRANGER, address, 8001)


def test_the_proxy_reaches_servers_and_the_hub_and_nothing_else(
    release: Release, people: tuple[Person, Person]
) -> None:
    """The proxy's image has Node.js and no Python."""

    def from_proxy(host: str, port: int) -> bool:
        program = (
            f"const s = require('net').connect({port}, '{host}');"
            "s.on('connect', () => {console.log('open'); s.destroy()}); s.on('error', e => console.log(e.code))"
        )
        said = release.kubectl("exec", f"deployment/{release.name}-proxy", "--", "/opt/proxy/node", "-e", program)
        found = said.strip().splitlines()[-1]
        assert found in {"open", "ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH"}, said
        return found == "open"

    assert from_proxy(server_of(release, people[0]).status.pod_ip, 8888)
    assert from_proxy(f"{release.name}-hub", 8081)
    assert not from_proxy(cluster.NODE, 6443)
    with outside():
        assert not from_proxy(SOMEWHERE, 80)
        assert not from_proxy(METADATA, 80)
