"""What the engine and a server tell of a start, while it happens."""

from __future__ import annotations

import http
import http.client
import queue
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import docker

from stateroom.common.labels import HUB
from stateroom.workloads.server import PORT

_PATIENCE = 60  # seconds


@dataclass(frozen=True, slots=True)
class Started:
    """When a container ran, and when its server answered first; both of this machine's clock."""

    started: float
    answered: float


class EngineWatch:
    """Looks at the next container that a hub starts, from a thread of its own."""

    def __init__(self, hub_id: str, path: str, every: float = 0.01) -> None:
        self._path = path
        self._every = every
        self._found: queue.SimpleQueue[Started | Exception] = queue.SimpleQueue()
        self._client = docker.from_env(timeout=120).api
        labels = {"label": f"{HUB}={hub_id}", "type": "container", "event": "start"}
        self._events = self._client.events(decode=True, filters=labels)
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._events.close()
        self._thread.join()
        self._client.close()

    def result(self) -> Started:
        """What it saw."""
        found = self._found.get(timeout=_PATIENCE)
        if isinstance(found, Exception):
            raise found
        return found

    def _look(self) -> None:
        for event in self._events:
            try:
                found = self._client.inspect_container(event["id"])
                started = started_at(found)
                self._found.put(Started(started, answered(address_of(found), self._path, self._every)))
            except Exception as error:  # noqa: BLE001 - it is for whoever waits
                self._found.put(error)


def started_at(container: dict[str, Any]) -> float:
    """When the engine says that it started the container."""
    return datetime.fromisoformat(container["State"]["StartedAt"]).timestamp()


def address_of(container: dict[str, Any]) -> str:
    """Where its server is."""
    return str(next(iter(container["NetworkSettings"]["Networks"].values()))["IPAddress"])


def answered(address: str, path: str, every: float) -> float:
    """Ask until there is an HTTP answer; when it came."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        connection = http.client.HTTPConnection(address, PORT, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                return time.time()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(every)
    raise TimeoutError(f"{address} did not answer at {path} in {_PATIENCE} s")
