"""`python hub_in_container.py HUB IMAGE`: what of a hub meets the engine, run inside a container on that engine.

Listens where `configure` says that the hub listens, starts a server on each of its networks, and tells
on one line what came of it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import tempfile
import threading
from pathlib import Path

from traitlets.config import Config

import stateroom
from stateroom.backends.docker import DockerBackend, DockerSettings
from stateroom.catalog.storage import DockerHome
from stateroom.common.deadline import Deadline
from stateroom.common.quantity import Resources
from stateroom.images.sources import UNIFIED
from stateroom.storage.homes import HomeRef
from stateroom.storage.mounts import HomeMount
from stateroom.workloads.container import Container
from stateroom.workloads.names import ServerRef, network_name
from stateroom.workloads.server import Server

_CATALOG = """\
# The group's servers are on a network of their own.
version: 1
hub: {hub}
images: [{{id: unified, image: "{image}", default: true}}]
sizes: [{{id: small, cpu: 1, memory: 1 GiB, default: true}}]
groups: {{research: {{identity: {{network: {hub}-research}}}}}}
"""


async def main(hub: str, image: str) -> None:
    c = Config()
    catalog = Path(tempfile.mkdtemp()) / "catalog.yaml"
    catalog.write_text(_CATALOG.format(hub=hub, image=UNIFIED))
    stateroom.configure(c, catalog=catalog, data=catalog.parent)
    for port in (8081, 8082):
        listen(c.JupyterHub.hub_ip, port)
    backend = DockerBackend(hub, lambda: DockerSettings(network_name(hub), DockerHome()))
    servers = [wanted(hub, image, "ada", None), wanted(hub, image, "bob", f"{hub}-research")]
    for spec in servers:
        await backend.servers.start(spec, Deadline.after(60, "waiting for the server"), lambda _: None)
    told = {"listens": c.JupyterHub.hub_ip, "name": c.JupyterHub.hub_connect_ip}
    print(json.dumps(told | {spec.ref.user: spec.ref.name for spec in servers}), flush=True)
    threading.Event().wait()


def wanted(hub: str, image: str, user: str, network: str | None) -> Server:
    """A server that does little."""
    base_url = f"/user/{user}/"
    container = Container(
        image=image,
        resources=Resources(cpu=1000, memory=2**28),
        environment={"JUPYTERHUB_SERVICE_PREFIX": base_url},
        secrets={},
        mounts=(HomeMount(HomeRef(hub, user, 1), "notebooks"),),
        network=network,
    )
    return Server(ServerRef(hub, user), container, base_url)


def listen(address: str, port: int) -> None:
    """Take connections on a thread."""
    server = socket.create_server((address, port))

    def serve() -> None:
        while True:
            server.accept()[0].close()

    threading.Thread(target=serve, daemon=True).start()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
