"""The watch of an engine that is slow to answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from harness.hub import wait_for
from stateroom.backends.docker import DockerBackend, DockerSettings
from stateroom.backends.docker.listener import Listener
from stateroom.catalog.storage import DockerHome

PATIENCE = 10

ANSWERS = {"/version": b'{"ApiVersion": "1.41"}', "/_ping": b"OK", "/containers/json": b"[]", "/info": b"{}"}


class SlowEngine(ThreadingMixIn, UnixStreamServer):
    """Has no containers, and answers nothing before it is let."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Answer)
        self.asked, self.let = threading.Event(), threading.Event()
        self.connections: set[Answer] = set()


class Answer(BaseHTTPRequestHandler):
    server: SlowEngine
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self)

    def finish(self) -> None:
        super().finish()
        self.server.connections.discard(self)

    def do_GET(self) -> None:
        self.server.asked.set()
        assert self.server.let.wait(PATIENCE)
        path = self.path.partition("?")[0]
        body = next((answer for end, answer in ANSWERS.items() if path.endswith(end)), None)
        self.send_response(200)
        if body is None:  # the event stream, in which nothing happens
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowEngine]:
    path = tmp_path / "engine.sock"
    with SlowEngine(path) as engine:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        threading.Thread(target=engine.serve_forever, args=(0.05,)).start()
        yield engine
        engine.let.set()
        engine.shutdown()


def test_a_listener_that_ended_keeps_no_socket_until_it_is_collected(engine: SlowEngine) -> None:
    engine.let.set()
    before = sockets()
    with Listener("hub") as listener:
        assert sockets() > before
    wait_for(lambda: sockets() == before, "the end of all sockets, those of the engine too")
    listener.close()


def sockets() -> int:
    links = (link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return sum(str(link).startswith("socket:") for link in links)


async def test_what_is_closed_while_it_connects_leaves_no_thread_and_no_connection(engine: SlowEngine) -> None:
    backend = DockerBackend("hub", lambda: DockerSettings("network", DockerHome()))
    asking = asyncio.ensure_future(backend.machine())
    assert await asyncio.to_thread(engine.asked.wait, PATIENCE)
    asyncio.get_running_loop().call_later(0.2, engine.let.set)
    await backend.close()
    asking.cancel()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("docker-")]
    await asyncio.to_thread(wait_for, lambda: not engine.connections, "the end of the connections")
