"""The backends that the contract is checked against, each behind the same few handles."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from harness.pods import inside, kill_in_cluster, namespace_of_its_own, tiny_image
from harness.servers import remove_network
from harness.workloads import a_server
from stateroom.backends.base import Backend, Life
from stateroom.backends.docker import DockerBackend, DockerSettings
from stateroom.backends.docker.engine import connect, ensure_network
from stateroom.backends.docker.packet_filter import lift_isolation
from stateroom.backends.kubernetes import KubernetesBackend
from stateroom.backends.kubernetes.manifests import Site
from stateroom.backends.memory import Behaviour, MemoryBackend
from stateroom.catalog.storage import DockerHome
from stateroom.common.deadline import Deadline
from stateroom.common.labels import HUB
from stateroom.common.quantity import Machine
from stateroom.workloads.names import ServerRef, network_name
from stateroom.workloads.progress import Progress
from stateroom.workloads.server import Server

MIB = 1024**2
TOKEN = "token-that-nobody-may-see"
BASE_IMAGE = "stateroom/unified:1"


class Subject(Protocol):
    """A backend under test, and what a test does to it from outside."""

    hub: str
    backend: Backend

    @property
    def machine(self) -> Machine | None: ...
    def image(self, behaviour: Behaviour) -> str: ...
    def kill(self, ref: ServerRef) -> None: ...
    def environment(self, ref: ServerRef) -> dict[str, str]: ...


def make_spec(subject: Subject, user: str = "ada", server: str = "", **changes: object) -> Server:
    changes.setdefault("secrets", {"JUPYTERHUB_API_TOKEN": TOKEN})
    if "image" not in changes:  # building it takes an engine whose logins can be read
        changes["image"] = subject.image(Behaviour.ANSWERS)
    return a_server(subject.hub, user, server, **changes)


def soon(seconds: float = 90) -> Deadline:
    return Deadline.after(seconds, "waiting for the server to answer")


def unheard(_: Progress) -> None:
    pass


_starts = count(1)


async def start(subject: Subject, spec: Server) -> str:
    """Start a server as the hub does."""
    return await start_on(subject.backend, spec)


async def start_on(backend: Backend, spec: Server) -> str:
    """Start a server with a token of its own, as the hub does: what belonged to its last pod outlasts the pod."""
    secrets = {**spec.container.secrets, "JUPYTERHUB_API_TOKEN": f"{TOKEN}-{next(_starts)}"}
    anew = replace(spec, container=replace(spec.container, secrets=secrets))
    return await backend.servers.start(anew, soon(), unheard)


async def absent(subject: Subject, ref: ServerRef) -> bool:
    listed = [server.ref for server in await subject.backend.servers.list()]
    return (await subject.backend.servers.state(ref)).life is Life.ABSENT and ref not in listed


@dataclass
class MemorySubject:
    hub: str
    backend: MemoryBackend
    machine: Machine

    def image(self, behaviour: Behaviour) -> str:
        return memory_image(behaviour)

    def kill(self, ref: ServerRef) -> None:
        self.backend.servers.kill(ref)

    def environment(self, ref: ServerRef) -> dict[str, str]:
        return self.backend.servers.environment(ref)


@dataclass
class DockerSubject:
    hub: str
    backend: DockerBackend
    client: docker.APIClient
    settings: DockerSettings

    def another_process(self) -> DockerBackend:
        """As a hub that is started again: with nothing in mind."""
        return DockerBackend(self.hub, lambda: self.settings)

    @property
    def machine(self) -> Machine:
        info = self.client.info()
        return Machine(1000 * info["NCPU"], info["MemTotal"])

    def image(self, behaviour: Behaviour) -> str:
        return stub_image(self.client, behaviour)

    def kill(self, ref: ServerRef) -> None:
        self.client.kill(ref.name)

    def environment(self, ref: ServerRef) -> dict[str, str]:
        """Of the server itself, the only one that runs a Python there."""
        script = "cat /proc/$(pgrep --oldest python3)/environ"
        return variables(self.shell(ref, script))

    def shell(self, ref: ServerRef, script: str) -> str:
        """What a shell script prints inside a server's container."""
        ran = self.client.exec_create(ref.name, ["sh", "-c", script])
        return self.client.exec_start(ran["Id"]).decode()


def variables(environ: str) -> dict[str, str]:
    """What a process's own file says."""
    return dict(pair.split("=", 1) for pair in environ.split("\0") if pair)


@asynccontextmanager
async def memory_subject() -> AsyncIterator[MemorySubject]:
    machine = Machine(8000, 16 * 1024 * MIB)
    backend = MemoryBackend({memory_image(behaviour): behaviour for behaviour in Behaviour}, machine)
    yield MemorySubject("memory", backend, machine)
    await backend.close()


def memory_image(behaviour: Behaviour) -> str:
    """An image's name as a catalog takes it, which has no white space."""
    return behaviour.value.replace(" ", "-")


@asynccontextmanager
async def docker_subject(homes: DockerHome | None = None, hub_id: str = "") -> AsyncIterator[DockerSubject]:
    with engine_client() as client, hub_of_its_own(client, hub_id) as hub:
        network = network_name(hub)
        ensure_network(client, network, {HUB: hub})
        settings = DockerSettings(network, homes or DockerHome())
        backend = DockerBackend(hub, lambda: subject.settings)
        subject = DockerSubject(hub, backend, client, settings)
        yield subject
        await backend.close()


# What a tiny image's shell does. Its web server has no ending of its own at SIGTERM, and needs none.
_SERVES = (
    'echo "Serving $JUPYTERHUB_SERVICE_PREFIX"; mkdir -p "/tmp/www$JUPYTERHUB_SERVICE_PREFIX"; '
    'echo alive >"/tmp/www${JUPYTERHUB_SERVICE_PREFIX}api"; exec httpd -f -p 8888 -h /tmp/www'
)
_SCRIPTS = {
    Behaviour.ANSWERS: _SERVES,
    # A careless server that prints its token: what we show must not.
    Behaviour.CRASHES: 'echo "Cannot go on. $JUPYTERHUB_API_TOKEN"; exit 1',
    Behaviour.IS_SILENT: "while :; do read -t 600 -r _ </dev/zero; done",
}


def tiny_stub(behaviour: Behaviour) -> str:
    """The test server as an image that a cluster has."""
    return tiny_image(f"tiny-{memory_image(behaviour)}", "/bin/sh", "-c", _SCRIPTS[behaviour])


@dataclass
class KubernetesSubject:
    hub: str
    backend: KubernetesBackend
    namespace: str
    site: Site
    machine: None = None

    def image(self, behaviour: Behaviour) -> str:
        return tiny_stub(behaviour)

    def kill(self, ref: ServerRef) -> None:
        kill_in_cluster(self.namespace, ref)

    def environment(self, ref: ServerRef) -> dict[str, str]:
        """Of whatever runs in its container, of which the server is one."""
        return variables(self.shell(ref, "cat /proc/self/environ"))

    def shell(self, ref: ServerRef, script: str) -> str:
        """What a shell script prints inside a server's container."""
        return inside(self.namespace, ref, script)

    def another_process(self) -> KubernetesBackend:
        """As a hub that is started again: with nothing in mind."""
        return KubernetesBackend(self.hub, self.namespace, lambda: self.site)

    async def restart(self) -> None:
        """End the hub's process, and start another."""
        await self.backend.close()
        self.backend = self.another_process()


@asynccontextmanager
async def kubernetes_subject(site: Site | None = None) -> AsyncIterator[KubernetesSubject]:
    with namespace_of_its_own() as namespace:
        hub, kept = f"test-{uuid4().hex[:10]}", site or Site()
        if not kept.image:
            kept = replace(kept, image=tiny_stub(Behaviour.ANSWERS))
        subject = KubernetesSubject(hub, KubernetesBackend(hub, namespace, lambda: subject.site), namespace, kept)
        yield subject
        await subject.backend.close()


@contextmanager
def engine_client() -> Iterator[docker.APIClient]:
    """A client of the real engine; skips where none answers or the image the tests build on is missing."""
    try:
        client = connect()
        client.inspect_image(BASE_IMAGE)
    except ImageNotFound:
        pytest.skip(f"{BASE_IMAGE} is not on the engine; build it with: stateroom images build unified")
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    yield client
    client.close()


@contextmanager
def hub_of_its_own(client: docker.APIClient, hub_id: str = "") -> Iterator[str]:
    """A hub id that nobody else uses, `hub_id` if that is one; all that carries it is removed afterwards."""
    hub = hub_id or f"test-{uuid4().hex[:10]}"
    try:
        yield hub
    finally:
        remove_all_of(client, hub)


def remove_all_of(client: docker.APIClient, hub: str) -> None:
    """Remove containers, homes, packet rules and networks that carry a hub's id."""
    lift_isolation(client, hub, (BASE_IMAGE,))
    mine = {"label": f"{HUB}={hub}"}
    for container in client.containers(all=True, filters=mine):
        client.remove_container(container["Id"], force=True, v=True)
    for volume in client.volumes(filters=mine)["Volumes"] or ():
        client.remove_volume(volume["Name"])
    for network in client.networks(filters=mine):
        remove_network(client, network["Id"])


def stub_image(client: docker.APIClient, behaviour: Behaviour) -> str:
    """The test server as an image, built once on an engine."""
    script = (Path(__file__).parent / "stub.py").read_text()
    tag = f"stateroom.test/{behaviour.value.replace(' ', '-')}:1"
    return build_image(
        client,
        tag,
        f'FROM {BASE_IMAGE}\nCOPY stub.py /stub.py\nCMD ["python3", "/stub.py", "{behaviour.value}"]\n',
        script,
    )


def build_image(client: docker.APIClient, tag: str, dockerfile: str, script: str) -> str:
    """Build from text; the engine's own cache makes a repetition quick."""
    with io.BytesIO() as context:
        with tarfile.open(fileobj=context, mode="w") as archive:
            for name, text in (("Dockerfile", dockerfile), ("stub.py", script)):
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text.encode()), 0o644
                archive.addfile(entry, io.BytesIO(text.encode()))
        context.seek(0)
        lines = list(client.build(fileobj=context, custom_context=True, tag=tag, decode=True, rm=True))
    errors = [line["error"] for line in lines if "error" in line]
    assert not errors, errors
    return tag
