"""A server's start alone: from the engine's start of its container to its first HTTP answer, with no hub at work."""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import docker

from benchmark.side_by_side.docker_sides import DockerSide
from benchmark.to_first_cell.container import address_of, answered, started_at
from benchmark.to_first_cell.report import ServerStart
from benchmark.to_first_cell.sides import MEMORY_MIB
from stateroom.common.labels import HUB
from stateroom.common.quantity import MiB
from stateroom.workloads.server import PORT

_USER = "ada"
_BASE = f"/user/{_USER}/"
_EVERY = 0.001


class ServerStarts:
    """Starts servers as a hub's spawner would, beside a hub that only says that it is one."""

    def __init__(self, client: docker.APIClient, side: DockerSide, hub_port: int) -> None:
        self._client = client
        self._side = side
        self._environment = hub_variables(f"http://{side.gateway}:{hub_port}")

    @classmethod
    @contextmanager
    def beside_a_hub(cls, client: docker.APIClient, hub_id: str) -> Iterator[ServerStarts]:
        """A network of the id's own, and the hub on it."""
        side = DockerSide(client, hub_id)
        with http.server.ThreadingHTTPServer((side.gateway, 0), _HubAnswer) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield cls(client, side, server.server_port)
            server.shutdown()

    def measure(self, image: str) -> ServerStart:
        """Start one server, and remove it."""
        limits = self._client.create_host_config(
            network_mode=self._side.network, mem_limit=MEMORY_MIB * MiB, nano_cpus=10**9, init=True
        )
        container = self._client.create_container(
            image, environment=dict(self._environment), host_config=limits, labels={HUB: self._side.hub_id}
        )["Id"]
        try:
            called = time.time()
            self._client.start(container)
            found = self._client.inspect_container(container)
            answer = answered(address_of(found), f"{_BASE}api", _EVERY)
        finally:
            self._side.remove(container)
        return ServerStart(answer - called, answer - started_at(found))


def hub_variables(hub: str) -> Mapping[str, str]:
    """What JupyterHub tells a user's server."""
    return {
        "JUPYTERHUB_API_TOKEN": "none",
        "JUPYTERHUB_API_URL": f"{hub}/hub/api",
        "JUPYTERHUB_ACTIVITY_URL": f"{hub}/hub/api/users/{_USER}/activity",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{_USER}",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": f'["access:servers!server={_USER}/"]',
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{_BASE}oauth_callback",
        "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": "[]",
        "JUPYTERHUB_OAUTH_SCOPES": "[]",
        "JUPYTERHUB_SERVER_NAME": "",
        "JUPYTERHUB_SERVICE_PREFIX": _BASE,
        "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{PORT}{_BASE}",
        "JUPYTERHUB_USER": _USER,
    }


class _HubAnswer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b'{"version": "6.1.1"}'
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the server looks for

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the container was killed
            super().handle()
