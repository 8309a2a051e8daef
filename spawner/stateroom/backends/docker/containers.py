"""A server's life on a Docker engine: what `lifecycle` needs to be done, in calls to the engine."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from stateroom.backends.base import Report, Tls
from stateroom.backends.diagnosis import START, diagnosed, ended
from stateroom.backends.docker.container_watch import ContainerWatch
from stateroom.backends.docker.engine import Engine
from stateroom.backends.docker.homes import Homes
from stateroom.backends.docker.images import Images
from stateroom.backends.docker.network_keeper import NetworkKeeper
from stateroom.backends.docker.observation import ObservedContainer
from stateroom.backends.docker.payload import (
    HOME_UNWRITABLE,
    LAUNCHER,
    DockerSettings,
    ImageFacts,
    certificate_archive,
    container_payload,
    handed_over,
    home_archive,
    home_source,
)
from stateroom.backends.lifecycle import Lifecycle
from stateroom.common.deadline import Deadline
from stateroom.common.errors import BackendError, EngineRefused, HomeRefused, ServerEnded
from stateroom.common.text import counted
from stateroom.workloads.identity import identify
from stateroom.workloads.names import ServerRef
from stateroom.workloads.progress import Phase, Progress
from stateroom.workloads.server import Server

_GRACE_SECONDS = 10.0  # between asking a server to end and killing it

# Starts that the engine works on at once: with fewer its processors idle, with more all are done later.
# Measured with bursts of 30 on two of them.
_STARTS_AT_ONCE = 5
_TOLD_EACH = 10  # of those who wait, the first hear of every step, and the others of every tenth place


class Turns:
    """Has the engine work on a few starts at once: it finishes those begun before it begins another."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: OrderedDict[asyncio.Future[None], Callable[[int], None]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, tell: Callable[[int], None]) -> AsyncIterator[None]:
        """Wait for a turn, in order, and have it while the body runs. Meanwhile `tell` hears how many are before."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(tell)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, tell: Callable[[int], None]) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        tell(len(self._waiting))
        self._waiting[mine] = tell
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # its turn came at the same moment
                self._pass_on()
            raise
        finally:
            self._waiting.pop(mine, None)

    def _pass_on(self) -> None:
        while self._waiting:
            first, _ = self._waiting.popitem(last=False)
            if not first.done():  # whoever gave up is still among them for a moment
                first.set_result(None)
                break
        else:
            self._free += 1
        for before, tell in enumerate(self._waiting.values()):
            if before < _TOLD_EACH or before % _TOLD_EACH == 0:
                tell(before)


class Containers:
    """The containers of one hub's servers. See `lifecycle.ServerEngine`."""

    kind = "container"

    def __init__(
        self, engine: Engine, hub: str, settings: Callable[[], DockerSettings], networks: NetworkKeeper | None
    ) -> None:
        self.engine = engine
        self.networks = networks
        self.watch = ContainerWatch(engine, hub)
        self.homes = Homes(engine, hub, settings)
        self.images = Images(engine, hub)
        self.turns = Turns(_STARTS_AT_ONCE)
        self._hub = hub
        self._settings = settings

    def attempt(self, spec: Server, report: Report, tls: Tls | None, servers: Lifecycle) -> ContainerStart:
        """See ServerEngine.attempt."""
        return ContainerStart(self, self._settings(), spec, report, tls, servers)

    async def remove(self, ref: ServerRef, *, gently: bool) -> bool:
        """See ServerEngine.remove. No thread waits while a server takes its time."""
        found = await self._found(ref)
        if found is None:
            return False
        if gently and found["State"]["Running"]:
            await self.engine.signal_container(ref.name, found["Config"].get("StopSignal") or "SIGTERM")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await self.watch.picture.ended(ref.name)
        with self.watch.looked_after(ref.name):
            await self.engine.remove_container(ref.name)
            self.watch.removed(ref.name)
        return True

    async def is_taken(self, ref: ServerRef) -> bool:
        """See ServerEngine.is_taken."""
        return await self.watch.refresh(ref.name) is not None

    async def observed(self) -> list[ObservedContainer]:
        """See ServerEngine.observed."""
        await self.watch.inspected()
        return await self.watch.picture.all()

    async def settled(self) -> None:
        """See ServerEngine.settled."""
        await self.engine.settled()

    async def logs(self, ref: ServerRef, lines: int) -> str:
        """See ServerEngine.logs."""
        return await self.engine.read_logs(ref.name, lines) if await self._found(ref) else ""

    async def _found(self, ref: ServerRef) -> dict[str, Any] | None:
        """The server's container, None if there is none. A container of someone else under its name does not count."""
        found = await self.watch.refresh(ref.name)
        if found is None:
            return None
        name, labels = found["Name"].removeprefix("/"), found["Config"]["Labels"]
        return found if identify(name, labels, self._hub) == ref else None


class ContainerStart:
    """One start of a server in a container. See `lifecycle.Attempt`."""

    def __init__(  # noqa: PLR0917 - made in one place
        self,
        containers: Containers,
        settings: DockerSettings,
        spec: Server,
        report: Report,
        tls: Tls | None,
        servers: Lifecycle,
    ) -> None:
        self._containers = containers
        self._engine = containers.engine
        self._watch = containers.watch
        self._settings = settings
        self._spec = spec
        self._report = report
        self._tls = tls
        self._servers = servers
        self._image: ImageFacts

    async def prepare(self, deadline: Deadline) -> Deadline:
        """See Attempt.prepare."""
        images, wanted = self._containers.images, self._spec.container
        self._image, deadline = await images.ensure(
            wanted.image, wanted.pull, wanted.pull_timeout, deadline, self._report
        )
        return deadline

    async def make(self, deadline: Deadline) -> tuple[str, Deadline]:
        """See Attempt.make."""
        name = self._spec.ref.name
        try:
            async with deadline.enforced():
                hand_over = await self._containers.homes.ensure(self._spec.home, self._settings.homes)
            began = time.monotonic()
            async with self._containers.turns.turn(self._tell_place):
                # Others' starts are not held against this one.
                deadline = deadline.later(time.monotonic() - began)
                async with deadline.enforced():
                    if self._containers.networks is not None:
                        await self._containers.networks.require(self._spec.container.network or self._settings.network)
                    with self._watch.looked_after(name):
                        await self._run(hand_over=hand_over)
            async with deadline.enforced():
                return await self._address(), deadline
        except EngineRefused as error:
            cause = diagnosed(f"{error} {error.detail}", START, self._spec.container.image)
            raise EngineRefused(cause or str(error), detail=str(error)) from error

    async def confirm(self) -> None:
        """See Attempt.confirm."""
        await self._watch.refresh(self._spec.ref.name)

    def explain(self, error: BackendError, output: str) -> BackendError:
        """See Attempt.explain."""
        image = self._spec.container.image
        if HOME_UNWRITABLE in output:
            home = home_source(self._spec.home, self._settings.homes)
            return HomeRefused(
                f'Your home cannot be written to by the user of the image "{image}", number {self._image.uid}. '
                f"It was left as it is; an administrator must give {home} to that user."
            )
        if f"{LAUNCHER}: " in output and (cause := diagnosed(output, START, image)):
            return ServerEnded(cause, detail=output)
        return type(error)(f"{error} {output}".rstrip(), detail=error.detail)

    def succeeded(self) -> None:
        """See Attempt.succeeded."""

    def _tell_place(self, before: int) -> None:
        others = f"{counted(before, 'start')} before yours" if before else "yours is next"
        self._report(Progress(Phase.PREPARING, f"Waiting for the servers that others are starting: {others}", 0.5))

    async def _run(self, *, hand_over: bool) -> None:
        """What the engine works at. The calls are few, since in a burst the loop comes late to the next."""
        ref, homes = self._spec.ref, self._containers.homes
        self._report(Progress(Phase.CREATING, "Preparing your server"))
        payload = container_payload(self._spec, self._image, self._settings)
        await self._servers.create(ref, lambda: self._engine.create_container(ref.name, payload))
        folder = f"{self._image.home}/{self._spec.workspace}"
        if hand_over or await homes.is_unclaimed(self._spec.home, ref.name, folder):
            await self._engine.put_archive(ref.name, home_archive(self._spec, self._image))
        homes.handed_over(self._spec.home)
        self._report(Progress(Phase.STARTING, "Starting your server"))
        found, began = await self._engine.start_container(ref.name, handed_over(self._spec))
        self._watch.record(ref.name, found, began)

    async def _address(self) -> str:
        """The address of the container that was started, which has its certificate where it needs one."""
        state = self._watch.picture.last(self._spec.ref.name)
        if not state.address:
            raise ended(self._spec, state)
        if self._tls is not None:
            files = await self._tls.certify(urlsplit(state.address).hostname or "")
            await self._engine.put_archive(self._spec.ref.name, certificate_archive(files, self._image))
        return state.address
