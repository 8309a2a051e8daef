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
from stateroom.backends.docker import DockerBackend
from stateroom.catalog import DockerHome
from stateroom.deadline import Deadline
from stateroom.names import HomeRef, ServerRef, network_name
from stateroom.recipes import UNIFIED
from stateroom.spec import ServerSpec

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
    backend = DockerBackend(hub, network_name(hub), DockerHome())
    servers = [wanted(hub, image, "ada", None), wanted(hub, image, "bob", f"{hub}-research")]
    for spec in servers:
        await backend.start(spec, Deadline.after(60, "waiting for the server"), lambda _: None)
    told = {"listens": c.JupyterHub.hub_ip, "name": c.JupyterHub.hub_connect_ip}
    print(json.dumps(told | {spec.ref.user: spec.ref.name for spec in servers}), flush=True)
    threading.Event().wait()


def wanted(hub: str, image: str, user: str, network: str | None) -> ServerSpec:
    """A server that does little."""
    return ServerSpec(
        ref=ServerRef(hub, user),
        home=HomeRef(hub, user, 1),
        image=image,
        cpu=1000,
        memory=2**28,
        base_url=f"/user/{user}/",
        mount="notebooks",
        environment={"JUPYTERHUB_SERVICE_PREFIX": f"/user/{user}/"},
        secrets={},
        network=network,
    )


def listen(address: str, port: int) -> None:
    """Take connections on a thread."""
    server = socket.create_server((address, port))

    def serve() -> None:
        while True:
            server.accept()[0].close()

    threading.Thread(target=serve, daemon=True).start()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
