"""A picture of the hub's containers, kept current by the engine's event stream.

One thread reads the stream. At each connection it lists all containers; after
that it looks at the one container that an event is about. So a poll costs no
call, a death is known at once, and what happened while the engine was away is
found by the list. It reconnects for ever. Another thread asks the engine every
ten seconds for a sign of life, since a silent stream looks the same whether
nothing happens or the engine hangs.

The picture is changed on the loop alone. Looks come from several threads and
may arrive late, so each has the time at which it was begun, and never replaces
one that was begun later.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from stateroom.backends.base import Life, ServerState
from stateroom.backends.docker.engine import Engine, Listener
from stateroom.backends.docker.observation import (
    Seen,
    machine_from_info,
    seen_from_inspect,
    seen_from_list,
    without_the_engine,
    without_the_hub,
)
from stateroom.backends.waiters import Waiters
from stateroom.errors import BackendError, BackendUnavailable, EngineRefused
from stateroom.names import server_from_labels
from stateroom.quantity import Machine

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_SIGN_OF_LIFE_SECONDS = 10.0
_ENDING_PATIENCE = 5.0  # seconds for a thread that waits for the engine when the watch is closed

_ABSENT = ServerState(Life.ABSENT)


class ServerWatch:
    """Knows the hub's containers, and wakes those who wait for a change of one."""

    def __init__(self, engine: Engine, hub: str, network: str) -> None:
        self._engine = engine
        self._hub = hub
        self._network = network
        self._seen: dict[str, Seen] = {}
        self._looked: defaultdict[str, float] = defaultdict(float)  # when the look began that told what is known
        self._machine: Machine | None = None
        self._listed = 0.0
        self._attempted = asyncio.Event()  # the first connection was made, or failed
        self._trouble: BackendError | None = None
        self._waiting = Waiters()
        self._looked_after: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: Listener | None = None
        self._in_doubt = False  # whether the last list may have been behind
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()
        self._heard = time.monotonic()

    def silence(self) -> float:
        """Seconds since the engine listed its containers or answered a ping while its stream was open."""
        return time.monotonic() - self._heard

    async def state(self, name: str) -> ServerState:
        """What is known of a container. Raises BackendUnavailable as long as nothing is known of any."""
        await self._picture()
        return self.last(name)

    async def all(self) -> list[Seen]:
        """Every container of the hub. Raises as `state` does."""
        await self._picture()
        return list(self._seen.values())

    async def machine(self) -> Machine | None:
        """The engine's machine as it was at the last connection. Raises as `state` does."""
        await self._picture()
        return self._machine

    async def look(self, name: str) -> dict[str, Any] | None:
        """The engine's description of one container now, None if there is none. Raises BackendError."""
        began = time.monotonic()
        found = await self._engine.inspect_container(name)
        self.take(name, found, began)
        return found

    def take(self, name: str, found: dict[str, Any] | None, began: float) -> None:
        """Know what the engine described, if it was asked at `began` and nothing newer is known."""
        self._take(name, seen_from_inspect(found, self._network) if found else None, began)

    @contextmanager
    def looked_after(self, name: str) -> Iterator[None]:
        """While the body starts or removes the container, it finds out for itself: the event need not."""
        self._looked_after.add(name)
        try:
            yield
        finally:
            self._looked_after.discard(name)

    def removed(self, name: str) -> None:
        """Know that the caller has removed a container."""
        self._take(name, None, time.monotonic())

    def last(self, name: str) -> ServerState:
        """What the last look told of a container."""
        seen = self._seen.get(name)
        return seen.state if seen else _ABSENT

    async def changed(self, name: str, known: ServerState | None) -> ServerState:
        """Wait until a container's state is another than `known`. Outlasts an engine that is away."""
        await self._begun().wait()
        while self._listed == 0 or self.last(name) == known:
            await self._waiting.until_woken(name)
        return self.last(name)

    async def close(self) -> None:
        """End the threads, and wait for that some seconds. Waiters are left alone: their tasks end with the loop."""
        self._closed.set()
        if self._listener is not None:
            self._listener.close()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, _ENDING_PATIENCE)

    async def _picture(self) -> None:
        await self._begun().wait()
        if not self._listed:
            raise _anew(self._trouble) if self._trouble else BackendUnavailable("The Docker engine does not answer.")

    def _begun(self) -> asyncio.Event:
        """Start the threads at the first question; whether there is an answer yet."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            for name, work in (("docker-events", self._follow), ("docker-life", self._ask_for_life)):
                self._threads.append(threading.Thread(target=work, name=name, daemon=True))
                self._threads[-1].start()
        return self._attempted

    # On the loop

    def _take(self, name: str, seen: Seen | None, began: float) -> None:
        if began < self._looked[name]:
            return
        self._looked[name] = began
        if seen is not None and self._is_ours(seen):
            self._seen[name] = seen
        else:
            self._seen.pop(name, None)
        self._waiting.wake(name)

    def _is_ours(self, seen: Seen) -> bool:
        """Whether the labels are those of the server that has this name by rule."""
        ref = server_from_labels(seen.labels, self._hub)
        return ref is not None and ref.name == seen.name

    def _take_all(self, listed: dict[str, Seen], machine: Machine | None, began: float) -> None:
        listed = without_the_engine(self._seen, listed) if self._listed else without_the_hub(listed)
        self._listed, self._heard = began, time.monotonic()
        self._machine = machine or self._machine
        for name in {*self._seen, *self._waiting, *listed}:
            self._take(name, listed.get(name), began)
        for name in [name for name, looked in self._looked.items() if looked <= began and name not in listed]:
            del self._looked[name]
        self._attempted.set()

    def _take_starvation(self, name: str) -> None:
        """A program in a container was killed for memory; of a server that lives on, the event alone tells it."""
        seen = self._seen.get(name)
        if seen is not None and seen.state.life is Life.RUNNING:
            self._seen[name] = replace(seen, state=replace(seen.state, out_of_memory=True))
            self._waiting.wake(name)

    def _take_trouble(self, trouble: BackendError) -> None:
        self._trouble = _anew(trouble)
        self._attempted.set()

    # On the threads

    def _follow(self) -> None:
        pause = _FIRST_PAUSE
        while not self._closed.is_set():
            try:
                with Listener(self._hub) as self._listener:
                    if self._closed.is_set():  # while it connected: whoever closed the watch did not find it
                        return
                    self._list(self._listener)
                    pause = _FIRST_PAUSE
                    for name, change in self._listener.changes():
                        if change == "oom":
                            self._on_loop(self._take_starvation, name)
                        elif not self._is_known(name, change):
                            self._look_again(self._listener, name)
            except BackendError as error:
                self._listener = None
                self._on_loop(self._take_trouble, error)
                if not self._closed.is_set():
                    log.warning("The engine's event stream broke off, trying again: %s", error.detail or error)
            self._closed.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _is_known(self, name: str, change: str) -> bool:
        """Whether what an event tells is known, or will be, without a look."""
        if name in self._looked_after:
            return change in {"start", "destroy"}
        return change == "destroy" and name not in self._seen

    def _list(self, listener: Listener) -> None:
        began = time.monotonic()
        listed = {}
        for found in listener.containers():
            seen = seen_from_list(found, self._network)
            if seen is None and (whole := listener.container(found["Id"])):
                seen = seen_from_inspect(whole, self._network)
            if seen is not None:
                listed[seen.name] = seen
        # Not before the list is there: a look in the meantime knows no more than it, and would end the doubt.
        # A hub that starts asks its servers for itself.
        self._in_doubt = self._listed > 0
        self._on_loop(self._take_all, listed, machine_of(listener), began)

    def _look_at_the_silent(self, listener: Listener) -> None:
        """Look at those that run for all that is known, and not for another list.

        Docker tells of a death before its own list knows it, so that one right
        before a connection is in neither the stream nor the first list.
        """
        self._in_doubt = False
        seen = [seen_from_list(found, self._network) for found in listener.containers()]
        run = {one.name for one in seen if one and one.state.life is Life.RUNNING}
        for name, known in self._seen.copy().items():
            if known.state.life is Life.RUNNING and name not in run:
                self._look_again(listener, name)

    def _look_again(self, listener: Listener, name: str) -> None:
        began = time.monotonic()
        found = listener.container(name)
        seen = seen_from_inspect(found, self._network) if found else None
        if seen is not None and seen.state.life is Life.ENDED:
            # An engine that shuts down ends its containers first. The list after its return tells that cause.
            listener.require_entrance()
        self._on_loop(self._take, name, seen, began)

    def _ask_for_life(self) -> None:
        while not self._closed.wait(_SIGN_OF_LIFE_SECONDS):
            listener = self._listener
            if listener is None:
                continue
            try:
                if self._in_doubt:
                    self._look_at_the_silent(listener)
                else:
                    listener.require_life()
                self._heard = time.monotonic()
            except BackendError as error:
                log.warning("The engine gives no sign of life: %s", error.detail or error)
                # Ends the reading of the stream, which then begins anew.
                listener.close()

    def _on_loop(self, work: Callable[..., None], *arguments: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # it closes at this very moment
                self._loop.call_soon_threadsafe(work, *arguments)


def _anew(error: BackendError) -> BackendError:
    """The same without its traceback, which grows each time that it is raised and keeps connections open."""
    return type(error)(error.message, detail=error.detail)


def machine_of(listener: Listener) -> Machine | None:
    """None where the engine does not tell, as behind a proxy that passes on some calls only; servers matter more."""
    try:
        return machine_from_info(listener.info())
    except EngineRefused as error:
        log.warning("The engine does not tell what its machine has: %s", error)
        return None
