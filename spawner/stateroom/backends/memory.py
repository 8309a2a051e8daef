"""Servers inside this process: for tests and for trying a catalog without an engine.

Each "server" is a small HTTP listener on the loopback interface. `images`
says what an image does, or returns that at each start; what is not listed cannot be had.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from stateroom.backends.base import Life, Report, RunningServer, ServerState, Tls
from stateroom.backends.lifecycle import InFlightStarts
from stateroom.backends.readiness import wait_until_answers
from stateroom.common.deadline import Deadline
from stateroom.common.errors import HomeRefused, ImageUnavailable, ServerEnded
from stateroom.common.quantity import Machine
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.progress import Phase, Progress
from stateroom.workloads.server import Server


class Behaviour(Enum):
    """What a server of an image does once started."""

    ANSWERS = "answers"
    CRASHES = "crashes"
    IS_SILENT = "is silent"


Images = Mapping[str, Behaviour] | Callable[[], Mapping[str, Behaviour]]


@dataclass(slots=True)
class _Server:
    spec: Server
    log: list[str] = field(default_factory=list)
    state: ServerState = field(default_factory=lambda: ServerState(Life.STARTING))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    listener: asyncio.Server | None = None

    def become(self, state: ServerState) -> None:
        self.state = replace(state, spec_hash=self.spec.hash)
        self.changed.set()
        self.changed = asyncio.Event()

    def end(self, exit_code: int, reason: str) -> None:
        if self.listener is not None:
            self.listener.close()
        self.become(ServerState(Life.ENDED, exit_code=exit_code, reason=reason))
        self.over.set()


class MemoryBackend:
    """A complete backend that needs no engine. What it runs takes nothing of a machine unless one is given."""

    def __init__(self, images: Images, machine: Machine | None = None) -> None:
        self._machine = machine
        self.homes = MemoryHomes()
        self.servers = MemoryServers(images, self.homes)

    async def machine(self) -> Machine | None:
        """See Backend.machine."""
        return self._machine

    def last_contact(self) -> float:
        """See Backend.last_contact."""
        return time.time()

    async def close(self) -> None:
        """See Backend.close. Servers in memory cannot outlive it, so they end."""
        await self.servers.close()


class MemoryHomes:
    """See `base.Homes`."""

    def __init__(self) -> None:
        self._homes: dict[str, HomeRef] = {}

    def ensure(self, home: HomeRef) -> None:
        """Make the home if it is not there. Raises HomeRefused if it is another user's."""
        self._check_owner(home)
        self._homes[home.name] = home

    async def remove(self, home: HomeRef) -> None:
        """See Homes.remove."""
        self._check_owner(home)
        self._homes.pop(home.name, None)

    def _check_owner(self, home: HomeRef) -> None:
        known = self._homes.get(home.name)
        if known is not None and known.labels != home.labels:
            raise HomeRefused(f'The home "{home.name}" belongs to an earlier user of this name.')


class MemoryServers:
    """See `base.Servers`."""

    def __init__(self, images: Images, homes: MemoryHomes) -> None:
        self._images = images if callable(images) else lambda: images
        self._homes = homes
        self._servers: dict[ServerRef, _Server] = {}
        self._starts = InFlightStarts()
        self._appeared = asyncio.Event()  # a server under a name that had none

    async def start(
        self,
        spec: Server,
        deadline: Deadline,
        report: Report,
        tls: Tls | None = None,  # noqa: ARG002 - as it says
    ) -> str:
        """See Servers.start. Its servers speak no TLS."""
        return await self._starts.run(spec.ref, self._start(spec, deadline, report))

    async def state(self, ref: ServerRef) -> ServerState:
        """See Servers.state."""
        server = self._servers.get(ref)
        return server.state if server else ServerState(Life.ABSENT)

    async def changed(self, ref: ServerRef, known: ServerState | None) -> ServerState:
        """See Servers.changed."""
        while (state := await self.state(ref)) == known:
            server = self._servers.get(ref)
            await (server.changed if server else self._appeared).wait()
        return state

    async def stop(self, ref: ServerRef, deadline: Deadline, *, gently: bool = True) -> None:  # noqa: ARG002 - at once
        """See Servers.stop."""
        await self._starts.cancel(ref)
        self._remove(ref)

    async def list(self) -> list[RunningServer]:
        """See Servers.list."""
        return [
            RunningServer(ref, server.state, server.spec.container.image, server.spec.container.resources)
            for ref, server in self._servers.items()
        ]

    def has_address(self, host: str) -> bool:
        """See Servers.has_address."""
        return any(server.state.is_at(host) for server in self._servers.values())

    async def logs(self, ref: ServerRef, lines: int) -> str:
        """See Servers.logs."""
        server = self._servers.get(ref)
        return "\n".join(server.log[-lines:]) if server else ""

    async def close(self) -> None:
        """End all servers, those that are being started too."""
        await self._starts.close()
        for ref in list(self._servers):
            self._remove(ref)

    # What happens to servers from outside

    def kill(self, ref: ServerRef) -> None:
        """End a server, as a crash would."""
        self._servers[ref].end(137, "The server was killed.")

    def environment(self, ref: ServerRef) -> dict[str, str]:
        """The variables of a server, those that are never shown among them."""
        spec = self._servers[ref].spec
        return {**spec.container.environment, **spec.container.secrets}

    async def _start(self, spec: Server, deadline: Deadline, report: Report) -> str:
        report(Progress(Phase.PREPARING, "Looking for the image"))
        behaviour = self._images().get(spec.container.image)
        if behaviour is None:
            raise ImageUnavailable(f'The image "{spec.container.image}" is not here and cannot be pulled.')
        self._homes.ensure(spec.home)
        self._remove(spec.ref)
        server = self._servers[spec.ref] = _Server(spec)
        self._appeared.set()
        self._appeared = asyncio.Event()
        try:
            async with deadline.enforced():
                report(Progress(Phase.STARTING, "Starting your server"))
                return await self._run(server, behaviour, report)
        except BaseException:
            self._remove(spec.ref)
            raise

    async def _run(self, server: _Server, behaviour: Behaviour, report: Report) -> str:
        server.log.append(f"Serving {server.spec.base_url}")
        if behaviour is Behaviour.CRASHES:
            server.log.append("Cannot go on.")
            server.end(1, "")
            raise ServerEnded('The server ended before it answered (exit code 1). It last wrote: "Cannot go on."')
        report(Progress(Phase.ANSWERING, "Waiting for your server to answer"))
        if behaviour is Behaviour.IS_SILENT:
            await server.over.wait()
        server.listener = await asyncio.start_server(_answer, "127.0.0.1", 0)
        host, port = server.listener.sockets[0].getsockname()
        await wait_until_answers(f"http://{host}:{port}", server.spec.base_url)
        server.become(ServerState(Life.RUNNING, f"http://{host}:{port}"))
        return server.state.address

    def _remove(self, ref: ServerRef) -> None:
        server = self._servers.pop(ref, None)
        if server is not None and not server.over.is_set():
            server.end(0, "")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass
    finally:
        writer.close()
