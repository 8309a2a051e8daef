"""The life of a server from start to removal: the same for every engine.

`Lifecycle` is the `servers` group of a backend. What an engine does at each
step is the engine's half: a `ServerEngine`, and an `Attempt` for each start.

It follows three rules. Whatever a start made is removed if the start fails or
is cancelled. A removal that the engine cannot do now is done when it answers
again. A call without an answer may still take effect, so its object is removed
later too.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from stateroom.backends.base import Report, RunningServer, ServerState, Tls
from stateroom.backends.diagnosis import ended, last_words
from stateroom.backends.picture import Observed, Picture, listed
from stateroom.backends.readiness import wait_until_answers
from stateroom.common.deadline import Deadline
from stateroom.common.errors import (
    BackendError,
    BackendUnavailable,
    DeadlineExceeded,
    EngineRefused,
    NameTaken,
    ServerEnded,
)
from stateroom.workloads.names import ServerRef
from stateroom.workloads.progress import Phase, Progress
from stateroom.workloads.server import Server, require_passable

_LOG_LINES = 20  # of a dead server, to find out why it ended
_LOG_TIMEOUT_SECONDS = 5.0
_CLEANUP_TIMEOUT_SECONDS = 5.0  # after which a failed start leaves its removal to the queue

_FIRST_PAUSE = 2.0
_LONGEST_PAUSE = 10.0
_AFTERMATH = 60.0  # seconds in which an engine that answers again may still do what it was asked for before

_Made = TypeVar("_Made")


class Attempt(Protocol):
    """One start, as an engine does it."""

    async def prepare(self, deadline: Deadline) -> Deadline:
        """Have what is not the server's own, such as the image. Return the deadline, later by the time of a pull.

        Nothing of the server is there yet, and nothing is removed if this fails.
        """
        ...

    async def make(self, deadline: Deadline) -> tuple[str, Deadline]:
        """Make the server and wait until it runs. Return its address and the deadline, which may be later now."""
        ...

    async def confirm(self) -> None:
        """Bring the picture up to date, if its address may be another server's by now."""
        ...

    def explain(self, error: BackendError, output: str) -> BackendError:
        """Return the error to raise for a server that came to nothing and last wrote `output`."""
        ...

    def succeeded(self) -> None:
        """Remember what this start has proven."""
        ...


class ServerEngine(Protocol):
    """An engine, as the life of a server needs it. Raises errors of `stateroom.common.errors` only."""

    kind: str  # what a server is on it: "container", "pod"

    def attempt(self, spec: Server, report: Report, tls: Tls | None, servers: Lifecycle) -> Attempt:
        """Return a new start. It makes the server by `servers.create`."""
        ...

    async def remove(self, ref: ServerRef, *, gently: bool) -> bool:
        """Remove the server; return whether there was one. `gently` gives it time to end by itself.

        What is not this hub's is left as it is.
        """
        ...

    async def is_taken(self, ref: ServerRef) -> bool:
        """Return whether anything has the server's name, whoever made it."""
        ...

    async def observed(self) -> Sequence[Observed]:
        """Return every server of the hub, with the resources that it has now. Raises as `Picture.state` does."""
        ...

    async def settled(self) -> None:
        """Wait for the calls whose callers have left."""
        ...

    async def logs(self, ref: ServerRef, lines: int) -> str:
        """See Servers.logs."""
        ...


class Lifecycle:
    """The servers of one hub on one engine. See `base.Servers`."""

    def __init__(self, engine: ServerEngine, picture: Picture[Any]) -> None:
        self._engine = engine
        self._picture = picture
        self._starts = InFlightStarts()
        self._cleanup = CleanupQueue(self._remove_what_is_left)

    async def start(self, spec: Server, deadline: Deadline, report: Report, tls: Tls | None = None) -> str:
        """See Servers.start."""
        return await self._starts.run(spec.ref, self._start(spec, deadline, report, tls))

    async def state(self, ref: ServerRef) -> ServerState:
        """See Servers.state."""
        return await self._picture.state(ref.name)

    async def changed(self, ref: ServerRef, known: ServerState | None) -> ServerState:
        """See Servers.changed."""
        return await self._picture.changed(ref.name, known)

    async def stop(self, ref: ServerRef, deadline: Deadline, *, gently: bool = True) -> None:
        """See Servers.stop. What the engine cannot do now is done when it answers again."""
        await self._starts.cancel(ref)
        try:
            async with deadline.enforced():
                await self._engine.remove(ref, gently=gently)
        except BackendError:
            self._cleanup.add(ref)
            raise

    async def list(self) -> list[RunningServer]:
        """See Servers.list."""
        return [server for observed in await self._engine.observed() for server in listed(observed)]

    def has_address(self, host: str) -> bool:
        """See Servers.has_address."""
        return self._picture.has_address(host)

    async def logs(self, ref: ServerRef, lines: int) -> str:
        """See Servers.logs."""
        return await self._engine.logs(ref, lines)

    async def close(self) -> None:
        """End all starts, and give up what is still to be removed."""
        await self._starts.close()
        self._cleanup.close()

    # For an engine's half

    async def create(self, ref: ServerRef, create: Callable[[], Awaitable[_Made]]) -> _Made:
        """Create what has the server's name, after removing what an earlier start left there.

        Raises NameTaken if it is not this hub's.
        """
        await self._cleanup.cancel(ref)
        try:
            return await self._create_or_doubt(ref, create)
        except NameTaken:
            if not await self._engine.remove(ref, gently=False) and await self._engine.is_taken(ref):
                raise NameTaken(
                    f'A {self._engine.kind} named "{ref.name}" is there, and it is not of this hub. '
                    "It was left as it is; an administrator must remove it.",
                ) from None
            return await self._create_or_doubt(ref, create)

    def has_sibling_of(self, ref: ServerRef) -> bool:
        """Return whether another server of the same user is being started."""
        return self._starts.has_sibling_of(ref)

    # The start

    async def _start(self, spec: Server, deadline: Deadline, report: Report, tls: Tls | None) -> str:
        require_passable(spec)
        attempt = self._engine.attempt(spec, report, tls, self)
        deadline = await attempt.prepare(deadline)
        try:
            address, deadline = await attempt.make(deadline)
            report(Progress(Phase.ANSWERING, "Waiting for your server to answer"))
            async with deadline.enforced():
                await self._answers(attempt, spec, address, tls)
        except (ServerEnded, DeadlineExceeded) as error:
            # Before it is removed: what the picture has of it is part of the explanation.
            explained = attempt.explain(error, await self._last_output(spec))
            await self._discard(spec.ref)
            raise explained from error
        except BaseException:
            await self._discard(spec.ref)
            raise
        attempt.succeeded()
        return address

    async def _create_or_doubt(self, ref: ServerRef, create: Callable[[], Awaitable[_Made]]) -> _Made:
        try:
            return await create()
        except (BackendUnavailable, asyncio.CancelledError):
            # Without an answer, the engine may still make it.
            self._cleanup.add(ref)
            raise

    async def _answers(self, attempt: Attempt, spec: Server, address: str, tls: Tls | None) -> None:
        """Return once the server answers. Raises ServerEnded or OutOfMemory if it ends first."""
        over = asyncio.ensure_future(self._picture.ended(spec.ref.name))
        answers = asyncio.ensure_future(wait_until_answers(address, spec.base_url, tls.hub if tls else None))
        try:
            await asyncio.wait([over, answers], return_when=asyncio.FIRST_COMPLETED)
            if not answers.done():
                raise ended(spec, over.result())
            answers.result()
            await attempt.confirm()
            # The address of a server that has just ended may be another server's now.
            if (state := self._picture.last(spec.ref.name)).address != address:
                raise ended(spec, state)
        finally:
            over.cancel()
            answers.cancel()

    async def _last_output(self, spec: Server) -> str:
        with contextlib.suppress(BackendError, TimeoutError):
            async with asyncio.timeout(_LOG_TIMEOUT_SECONDS):
                return last_words(await self.logs(spec.ref, _LOG_LINES), spec.container.secrets.values())
        return ""

    # The end

    async def _discard(self, ref: ServerRef) -> None:
        """Leave nothing of a failed start; if the engine does not answer, remove it once it does."""
        try:
            async with asyncio.timeout(_CLEANUP_TIMEOUT_SECONDS):
                await self._remove_what_is_left(ref)
        except (BackendError, TimeoutError):
            self._cleanup.add(ref)

    async def _remove_what_is_left(self, ref: ServerRef) -> bool:
        # What is not there now may be made by a call that still hangs.
        await self._engine.settled()
        return await self._engine.remove(ref, gently=False)


class InFlightStarts:
    """One task for each server that is being started, so that a stop can end it at any moment."""

    def __init__(self) -> None:
        self._tasks: dict[ServerRef, asyncio.Task[str]] = {}

    async def run(self, ref: ServerRef, body: Coroutine[None, None, str]) -> str:
        """Run `body`, the start itself; it cleans up after itself when cancelled.

        Raises ServerEnded when `cancel` ends it, EngineRefused when the server
        is being started already.
        """
        if ref in self._tasks:
            body.close()
            raise EngineRefused("This server is being started already. Wait for it, or stop it first.")
        task = self._tasks[ref] = asyncio.create_task(body)
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
            raise ServerEnded("The server was stopped while it was starting.") from None
        finally:
            del self._tasks[ref]

    def has_sibling_of(self, ref: ServerRef) -> bool:
        """Return whether another server of the same user is being started."""
        return any(ref.is_sibling_of(other) for other in self._tasks)

    async def cancel(self, ref: ServerRef) -> None:
        """End the server's start, if there is one, and wait until it has cleaned up."""
        task = self._tasks.get(ref)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def close(self) -> None:
        """End all starts, and wait until they have cleaned up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            if not task.cancelling():  # a second time would end its cleaning up
                task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class CleanupQueue:
    """Removals that could not be done at once: one task for each server of which something may be left.

    `remove` removes it, and returns whether there was anything.
    """

    def __init__(self, remove: Callable[[ServerRef], Awaitable[bool]]) -> None:
        self._remove = remove
        self._tasks: dict[ServerRef, asyncio.Task[None]] = {}

    def add(self, ref: ServerRef) -> None:
        """Remove it once the engine answers, also what the engine makes only then."""
        if ref not in self._tasks:
            self._tasks[ref] = asyncio.create_task(self._keep_removing(ref))
            self._tasks[ref].add_done_callback(lambda _: self._tasks.pop(ref, None))

    async def cancel(self, ref: ServerRef) -> None:
        """Leave it alone: a start removes what is left of the server itself."""
        if task := self._tasks.pop(ref, None):
            task.cancel()
            await asyncio.wait([task])

    def close(self) -> None:
        """Leave all alone."""
        for task in self._tasks.values():
            task.cancel()

    async def _keep_removing(self, ref: ServerRef) -> None:
        pause, until = _FIRST_PAUSE, math.inf
        while time.monotonic() < until:
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            with contextlib.suppress(BackendError):
                if await self._remove(ref):
                    return
                until = min(until, time.monotonic() + _AFTERMATH)
