"""What is compared: Stateroom, DockerSpawner and the bare engine, each set up for the same work.

The same image, the same limits of memory and CPU, a network of its own, a home
as a volume that is there from an earlier start, and the engine's ten seconds
between asking a server to end and killing it.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound

from contract.engines import BASE_IMAGE, build_image
from harness.workloads import a_server
from stateroom.backends.docker.engine import ensure_network, start_container
from stateroom.backends.docker.payload import DockerSettings, container_payload, facts_from_image, handed_over
from stateroom.catalog.storage import DockerHome
from stateroom.common.labels import HUB
from stateroom.common.quantity import MiB
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef, network_name
from stateroom.workloads.server import PORT, Server

THREADS = 8  # of the bare engine: more of them start no more servers in a second
_PAUSE = 0.005
_MEMORY_MIB = 128
_MOUNT = "notebooks"

# The least that answers, since what the server itself computes is on no side's account.
_STUB = """\
import os, signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[1] == "stubborn" else lambda *_: os._exit(0))
listener = socket.create_server(("0.0.0.0", 8888), backlog=64)
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{}")
    connection.close()
"""


@dataclass(frozen=True, slots=True)
class Images:
    """What servers run: one that answers at once, one that ignores a request to end, one that never comes."""

    stub: str
    stubborn: str
    stalled: str


def make_images(client: docker.APIClient, registry: str) -> Images:
    """Build the stubs on the engine; the third is said to be at a registry."""
    return Images(build_stub(client), build_stub(client, "stubborn"), f"{registry}/stalled:1")


def build_stub(client: docker.APIClient, kind: str = "stub") -> str:
    """Build the server that answers at once on the engine, or the `stubborn` one, and return the image's name."""
    return build_image(
        client,
        f"stateroom.benchmark/{kind}:1",
        f'FROM {BASE_IMAGE}\nCOPY stub.py /stub.py\nCMD ["python3", "-I", "-S", "/stub.py", "{kind}"]\n',
        _STUB,
    )


class DockerSide:
    """A side on Docker. All that it makes carries its id as the label of a hub."""

    name = ""
    engine_variable = "DOCKER_HOST"

    def __init__(self, client: docker.APIClient, hub_id: str, network: str = "") -> None:
        self.client = client
        self.hub_id = hub_id
        self.network = network or network_name(hub_id)
        self.gateway = ensure_network(client, self.network, {HUB: hub_id})

    def configuration(self, folder: Path) -> str:
        """The side's own lines of the hub's configuration, whose folder this is."""
        raise NotImplementedError

    def container(self, user: str) -> str:
        """The name of a user's container."""
        return ServerRef(self.hub_id, user).name

    def make_homes(self, users: Sequence[str]) -> None:
        """Make the users' volumes, where the first start does not do so with our label on them."""

    def has_server(self, user: str) -> bool:
        """Whether the user's container is there, running or not."""
        try:
            self.client.inspect_container(self.container(user))
        except NotFound:
            return False
        return True

    def servers(self) -> list[dict[str, Any]]:
        """All its containers, ended ones included."""
        found: list[dict[str, Any]] = self.client.containers(all=True, filters={"label": f"{HUB}={self.hub_id}"})
        return found

    def remove(self, container: str) -> None:
        """Kill and remove a container. Idempotent."""
        # A conflict: its removal is under way.
        with contextlib.suppress(APIError):
            self.client.remove_container(container, force=True, v=True)


class StubSide(DockerSide):
    """One of the three, with the stubs that it starts."""

    def __init__(self, client: docker.APIClient, hub_id: str, images: Images) -> None:
        super().__init__(client, hub_id)
        self.images = images


class Stateroom(StubSide):
    """Its one line of configuration, and a catalog."""

    name = "Stateroom"

    def configuration(self, folder: Path) -> str:
        """See DockerSide."""
        catalog = folder / "catalog.yaml"
        catalog.write_text(
            f"version: 1\n"
            f"hub: {self.hub_id}\n"
            f"images:\n"
            f"  - {{id: stub, image: '{self.images.stub}', default: true}}\n"
            f"  - {{id: stubborn, image: '{self.images.stubborn}'}}\n"
            f"  - {{id: stalled, image: '{self.images.stalled}'}}\n"
            f"sizes:\n"
            f"  - {{id: small, cpu: 1, memory: {_MEMORY_MIB} MiB, default: true}}\n"
        )
        return f"import stateroom\nstateroom.configure(c, catalog={str(catalog)!r})\n"


class DockerSpawnerSide(DockerSide):
    """As its documentation shows it, with volumes for the homes; containers are reached without published ports."""

    def settings(self) -> dict[str, Any]:
        """What its servers are, beside the container and the home."""
        raise NotImplementedError

    def configuration(self, folder: Path) -> str:  # noqa: ARG002 - see DockerSide
        """See DockerSide."""
        settings = {
            "remove": True,
            "use_internal_ip": True,
            "network_name": self.network,
            "name_template": f"{self.hub_id}-{{username}}",
            "volumes": {f"{self.hub_id}-{{username}}": f"/home/jovyan/{_MOUNT}"},
            "cpu_limit": 1,
            "extra_create_kwargs": {"labels": {HUB: self.hub_id}},
            **self.settings(),
        }
        return (
            f'c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"\n'
            f"c.JupyterHub.hub_ip = {self.gateway!r}\n"
            f"c.DockerSpawner.update({settings!r})\n"
        )

    def container(self, user: str) -> str:
        """See DockerSide."""
        return f"{self.hub_id}-{user}"

    def make_homes(self, users: Sequence[str]) -> None:
        """See DockerSide."""
        for user in users:
            self.client.create_volume(self.container(user), labels={HUB: self.hub_id})


class DockerSpawner(DockerSpawnerSide, StubSide):
    """With the stubs."""

    name = "DockerSpawner"

    def settings(self) -> dict[str, Any]:
        """See DockerSpawnerSide."""
        images = {"stub": self.images.stub, "stubborn": self.images.stubborn, "stalled": self.images.stalled}
        return {"image": self.images.stub, "allowed_images": images, "mem_limit": f"{_MEMORY_MIB}M"}


class BareEngine(StubSide):
    """What no hub can beat: the same containers by the same requests, from a few threads that know no users."""

    name = "bare engine"

    def __init__(self, client: docker.APIClient, hub_id: str, images: Images) -> None:
        super().__init__(client, hub_id, images)
        passwd = "jovyan:x:1000:100::/home/jovyan:/bin/sh"
        self._facts = facts_from_image(images.stub, client.inspect_image(images.stub), passwd)

    async def start_all(self, users: Sequence[str]) -> list[float]:
        """Start all; how long each waited until it answered, the shortest first."""
        began = time.monotonic()
        return [end - began for end in sorted(await self._on_threads(self._start, users))]

    async def stop_all(self, users: Sequence[str]) -> None:
        """Kill and remove all."""
        await self._on_threads(lambda user: self.remove(self.container(user)), users)

    def cpu_seconds(self) -> float:
        """No hub, so none of its time."""
        return 0.0

    async def _on_threads(self, work: Any, users: Sequence[str]) -> list[Any]:
        with ThreadPoolExecutor(THREADS) as pool:
            return await asyncio.gather(*(asyncio.wrap_future(pool.submit(work, user)) for user in users))

    def _start(self, user: str) -> float:
        spec = self._spec(user)
        payload = container_payload(spec, self._facts, DockerSettings(self.network, DockerHome()))
        self.client.create_container_from_config(payload, spec.ref.name)
        start_container(self.client, spec.ref.name, handed_over(spec))
        found = self.client.inspect_container(spec.ref.name)
        _wait_until_answers(found["NetworkSettings"]["Networks"][self.network]["IPAddress"], spec.base_url)
        return time.monotonic()

    def _spec(self, user: str) -> Server:
        return a_server(
            self.hub_id,
            user,
            home=HomeRef(self.hub_id, user, 0),
            image=self.images.stub,
            cpu=1000,
            memory=_MEMORY_MIB * MiB,
            secrets={"JUPYTERHUB_API_TOKEN": "none"},
        )

    def make_homes(self, users: Sequence[str]) -> None:
        """See DockerSide."""
        for user in users:
            home = HomeRef(self.hub_id, user, 0)
            self.client.create_volume(home.name, labels=dict(home.labels))


def _wait_until_answers(address: str, path: str) -> None:
    while True:
        connection = http.client.HTTPConnection(address, PORT, timeout=5)
        try:
            connection.request("GET", path)
            connection.getresponse().read()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(_PAUSE)
        finally:
            connection.close()
