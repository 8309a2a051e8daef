"""Stands between a client and the real engine: counts requests, and fails as an engine in trouble does."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

_REQUEST = re.compile(rb"^(GET|HEAD|POST|PUT|DELETE) (?:/v[0-9.]+)?(\S+) HTTP/1\.1\r\n", re.MULTILINE)
_CHUNK = 64 * 1024
_STALL_SECONDS = 3.0
_REFUSAL = b'{"message": "the storage driver is not in the mood"}'
_ANSWER_500 = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_REFUSAL), _REFUSAL)
)

REAL_ENGINE = os.environ.get("STATEROOM_REAL_DOCKER_HOST", "unix:///var/run/docker.sock")


class Mood(Enum):
    """How the engine behaves towards requests that come from now on."""

    WELL = "well"
    REFUSES = "answers 500"
    AWAY = "nobody listens"
    HANGS = "takes requests and answers none"
    CUTS = "breaks off in the midst of an answer"
    STALLS = "answers after some seconds"


class EngineProxy:
    """A socket at which the real engine answers, as long as the mood is good."""

    def __init__(self, path: Path, engine: str = REAL_ENGINE) -> None:
        self.host = f"unix://{path}"
        self.requests: list[str] = []
        # Hears of each request before it passes, and of the beginning of its answer; holds it up while it works.
        self.passing: Callable[[str], None] = lambda _: None
        self._path = path
        self._engine = urlsplit(engine).path
        self._mood = Mood.WELL
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._listen()

    @property
    def mood(self) -> Mood:
        """The mood of now."""
        return self._mood

    @mood.setter
    def mood(self, mood: Mood) -> None:
        before, self._mood = self._mood, mood
        if mood is Mood.AWAY:
            self.close()
        elif before is Mood.AWAY:
            self._listen()
        elif mood is not Mood.HANGS:  # whoever waits for an engine that hung is let go
            self.cut()

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        with self._lock:
            return len(self._open) // 2

    def close(self) -> None:
        """Cut all connections and take no more."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._path.unlink(missing_ok=True)
            self._listener = None
        self.cut()

    def cut(self) -> None:
        """End the connections of now, in the middle of whatever goes on."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def _listen(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as engine:
            try:
                engine.connect(self._engine)
            except OSError:  # the real one is away
                return
            with self._lock:
                self._open |= {client, engine}
            asked: list[str] = []
            answers = threading.Thread(target=self._answers_of, args=(client, engine, asked), daemon=True)
            answers.start()
            self._requests_of(client, engine, asked)
            answers.join()
            with self._lock:
                self._open -= {client, engine}

    def _requests_of(self, client: socket.socket, engine: socket.socket, asked: list[str]) -> None:
        with _ending(client, engine):
            while data := client.recv(_CHUNK):
                found = [f"{verb.decode()} {path.decode()}" for verb, path in _REQUEST.findall(data)]
                self.requests += found
                for request in found:
                    self.passing(request)
                if self._mood is Mood.REFUSES:
                    client.sendall(_ANSWER_500)
                    return
                if self._mood is not Mood.HANGS:
                    asked += found
                    engine.sendall(data)

    def _answers_of(self, client: socket.socket, engine: socket.socket, asked: list[str]) -> None:
        with _ending(client, engine):
            while data := engine.recv(_CHUNK):
                while asked:
                    self.passing(f"answer to {asked.pop()}")
                if self._mood is Mood.HANGS:
                    continue
                if self._mood is Mood.STALLS:
                    time.sleep(_STALL_SECONDS)
                if self._mood is Mood.CUTS:
                    client.sendall(data[: len(data) // 2])
                    return
                client.sendall(data)


@contextmanager
def _ending(*connections: socket.socket) -> Iterator[None]:
    """Whichever side ends, both do."""
    with contextlib.suppress(OSError):
        yield
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
