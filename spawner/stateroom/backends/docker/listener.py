"""The connection on which an engine tells what happens to containers: it blocks, so it has threads of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

from stateroom.backends.docker.engine import connect, or_none, translated
from stateroom.common.labels import HUB

_PING_TIMEOUT = 5

# The events after which a container is not as it was. Whoever creates one knows it.
_TELLING = ("start", "die", "oom", "destroy", "pause", "unpause", "rename", "update")
_PODMAN_CALLS_THEM = ("died", "remove")


class Change(NamedTuple):
    """A container's name, and what happened to it. `old_name` is that of one that was renamed."""

    name: str
    action: str
    old_name: str = ""


class Listener:
    """What the event stream takes: a client of its own, for a thread that may block.

    Every method raises BackendUnavailable or EngineRefused.
    """

    def __init__(self, hub: str) -> None:
        self._filters = {"label": f"{HUB}={hub}"}
        with translated():
            self._client, self._pinger = connect(), connect(_PING_TIMEOUT)
            # The stream has no time-out, so that an engine that hangs is met here.
            self._pinger.ping()
            telling = [*_TELLING, *_PODMAN_CALLS_THEM]
            self._stream = self._client.events(
                decode=True, filters={**self._filters, "type": "container", "event": telling}
            )

    def containers(self) -> list[dict[str, Any]]:
        """A short description of every container of the hub, ended ones included."""
        with translated():
            found: list[dict[str, Any]] = self._client.containers(all=True, filters=self._filters)
            return found

    def container(self, name: str) -> dict[str, Any] | None:
        """The container's description, None if there is none."""
        with translated():
            return or_none(lambda: self._client.inspect_container(name))

    def info(self) -> dict[str, Any]:
        """The engine's description of itself and its machine."""
        with translated():
            found: dict[str, Any] = self._client.info()
            return found

    def changes(self) -> Iterator[Change]:
        """What happens to containers, until the stream ends or is closed."""
        with translated():
            for event in self._stream:
                facts = event.get("Actor", {}).get("Attributes", {})
                yield Change(facts.get("name", ""), event.get("Action", ""), facts.get("oldName", "").removeprefix("/"))

    def rename(self, name: str, wanted: str) -> None:
        """Give a container another name."""
        with translated():
            self._client.rename(name, wanted)

    def require_life(self) -> None:
        """Return if the engine answers a ping within some seconds."""
        with translated():
            self._pinger.ping()

    def require_entrance(self) -> None:
        """Return if the engine takes new connections, which one that shuts down does not."""
        with translated():
            connect(_PING_TIMEOUT).close()

    def close(self) -> None:
        """End the stream, in whichever thread it is read. Idempotent."""
        with contextlib.suppress(OSError, AttributeError):  # the SDK's own, on a stream that has ended
            self._stream.close()
        self._client.close()
        self._pinger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close it in the thread that read the stream, which alone may let go of its answer too."""
        self.close()
        # The SDK shuts the socket down, and leaves it to the garbage collector.
        with contextlib.suppress(OSError):  # which would end the thread
            self._stream._response.close()  # type: ignore[attr-defined] # noqa: SLF001
