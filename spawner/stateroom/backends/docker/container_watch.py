"""Keeps the picture of the hub's containers current, by the engine's event stream.

One thread reads the stream. At each connection it lists all containers; after
that it inspects the one container that an event is about. A list lacks the
containers' resources, so listed containers are inspected afterwards, in the
background. A poll therefore costs no call, a death is known at once, and the
list finds what happened while the engine was away. It reconnects for ever. Another thread asks the engine every
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

from stateroom.backends.base import Life
from stateroom.backends.docker.engine import Engine
from stateroom.backends.docker.listener import Change, Listener
from stateroom.backends.docker.observation import (
    ObservedContainer,
    container_from_inspect,
    container_from_list,
    machine_from_info,
    with_known_resources,
    without_the_engine,
    without_the_hub,
)
from stateroom.backends.picture import Picture
from stateroom.common.errors import BackendError, EngineRefused
from stateroom.common.quantity import Machine

log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_SIGN_OF_LIFE_SECONDS = 10.0
_ENDING_TIMEOUT_SECONDS = 5.0  # seconds for a thread that waits for the engine when the watch is closed

_INSPECTED_AT_ONCE = 4  # servers after a list: the engine has other things to do when a hub starts
_INSPECT_TIMEOUT_SECONDS = 2.0  # for those who ask for the resources of all servers right after a list


class ContainerWatch:
    """Keeps the picture of the hub's containers."""

    def __init__(self, engine: Engine, hub: str) -> None:
        self._engine = engine
        self._hub = hub
        self.picture: Picture[ObservedContainer] = Picture(self._begin, "The Docker engine does not answer.")
        self._asked: defaultdict[str, float] = defaultdict(float)  # when the newest answer on each was asked for
        self._machine: Machine | None = None
        self._looked_after: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: Listener | None = None
        self._in_doubt = False  # whether the last list may have been behind
        self._inspecting: asyncio.Task[None] | None = None
        self._refreshing: set[asyncio.Task[None]] = set()  # held, since the loop does not
        self._threads: list[threading.Thread] = []
        self._closed = threading.Event()

    async def machine(self) -> Machine | None:
        """The engine's machine as it was at the last connection. Raises as `Picture.state` does."""
        await self.picture.known()
        return self._machine

    async def inspected(self) -> None:
        """Wait, some seconds at most, until the resources of all listed servers are known."""
        await self.picture.known()
        if self._inspecting is not None:
            await asyncio.wait([self._inspecting], timeout=_INSPECT_TIMEOUT_SECONDS)

    async def refresh(self, name: str) -> dict[str, Any] | None:
        """The engine's description of one container now, None if there is none. Raises BackendError."""
        began = time.monotonic()
        found = await self._engine.inspect_container(name)
        self.record(name, found, began)
        return found

    def record(self, name: str, found: dict[str, Any] | None, began: float) -> None:
        """Know what the engine described, if it was asked at `began` and nothing newer is known."""
        self._record(name, container_from_inspect(found, self._hub) if found else None, began)

    @contextmanager
    def looked_after(self, name: str) -> Iterator[None]:
        """While the body starts or removes the container, it finds out for itself: the event need not."""
        self._looked_after.add(name)
        try:
            yield
        finally:
            self._looked_after.discard(name)

    def refresh_soon(self, name: str) -> None:
        """Look at a container again, which no event of a container asks for. From any thread."""
        self._on_loop(self._refresh_soon, name)

    def removed(self, name: str) -> None:
        """Know that the caller has removed a container."""
        self._record(name, None, time.monotonic())

    async def close(self) -> None:
        """End the threads, and wait for that some seconds. Waiters are left alone: their tasks end with the loop."""
        self._closed.set()
        if self._inspecting is not None:
            self._inspecting.cancel()
        if self._listener is not None:
            self._listener.close()
        for thread in self._threads:
            await asyncio.to_thread(thread.join, _ENDING_TIMEOUT_SECONDS)

    # On the loop

    def _begin(self) -> None:
        self._loop = asyncio.get_running_loop()
        for name, work in (("docker-events", self._follow), ("docker-life", self._ask_for_life)):
            self._threads.append(threading.Thread(target=work, name=name, daemon=True))
            self._threads[-1].start()

    def _record(self, name: str, observed: ObservedContainer | None, began: float) -> None:
        if began < self._asked[name]:
            return
        self._asked[name] = began
        self.picture.record(name, observed if observed is not None and observed.ref is not None else None)

    def _record_all(self, listed: dict[str, ObservedContainer], machine: Machine | None, began: float) -> None:
        before = self.picture.snapshot()
        listed = without_the_engine(before, listed) if self.picture.is_complete else without_the_hub(listed)
        listed = {name: with_known_resources(found, before.get(name)) for name, found in listed.items()}
        self._machine = machine or self._machine
        for name in {*before, *listed}:
            self._record(name, listed.get(name), began)
        for name in [name for name, asked in self._asked.items() if asked <= began and name not in listed]:
            del self._asked[name]
        if self._inspecting is None or self._inspecting.done():
            self._inspecting = asyncio.ensure_future(self._inspect_listed())
        self.picture.complete()

    async def _inspect_listed(self) -> None:
        """Inspect the servers that are known from a list alone, a few at a time: a list lacks their resources."""
        names = (name for name, observed in self.picture.snapshot().items() if not observed.inspected)

        async def inspect_some() -> None:
            for name in names:
                with contextlib.suppress(BackendError):
                    await self.refresh(name)

        await asyncio.gather(*(inspect_some() for _ in range(_INSPECTED_AT_ONCE)))

    def _refresh_soon(self, name: str) -> None:
        async def refresh() -> None:
            with contextlib.suppress(BackendError):
                await self.refresh(name)

        task = asyncio.ensure_future(refresh())
        self._refreshing.add(task)
        task.add_done_callback(self._refreshing.discard)

    def _record_starvation(self, name: str) -> None:
        """A program in a container was killed for memory; of a server that lives on, the event alone tells it."""
        observed = self.picture.get(name)
        if observed is not None and observed.state.life is Life.RUNNING:
            self.picture.record(name, replace(observed, state=replace(observed.state, out_of_memory=True)))

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
                    for change in self._listener.changes():
                        self._take(self._listener, change)
            except BackendError as error:
                self._listener = None
                self._on_loop(self.picture.failed, error)
                if not self._closed.is_set():
                    log.warning("The engine's event stream broke off, trying again: %s", error.detail or error)
            self._closed.wait(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _take(self, listener: Listener, change: Change) -> None:
        name = change.name
        if change.action == "oom":
            self._on_loop(self._record_starvation, name)
        elif change.action == "rename" and self.picture.get(change.old_name) is not None:
            self._name_again(listener, change)
        elif not self._is_known(name, change.action):
            self._refresh_again(listener, name)

    def _name_again(self, listener: Listener, change: Change) -> None:
        """Give a server's container its name back: under another one nobody finds it, and it would run for ever."""
        log.warning("The container %s was renamed to %s. It gets its name back.", change.old_name, change.name)
        try:
            listener.rename(change.name, change.old_name)
        except EngineRefused as error:
            log.warning("The container %s keeps its new name: %s", change.name, error)
        self._refresh_again(listener, change.old_name)

    def _is_known(self, name: str, change: str) -> bool:
        """Whether what an event tells is known, or will be, without a look."""
        if name in self._looked_after:
            return change in {"start", "destroy"}
        return change == "destroy" and self.picture.get(name) is None

    def _list(self, listener: Listener) -> None:
        began = time.monotonic()
        listed = {}
        for found in listener.containers():
            seen = container_from_list(found, self._hub)
            if seen is None and (whole := listener.container(found["Id"])):
                seen = container_from_inspect(whole, self._hub)
            if seen is not None:
                listed[seen.name] = seen
        # Not before the list is there: a look in the meantime knows no more than it, and would end the doubt.
        # A hub that starts asks its servers for itself.
        self._in_doubt = self.picture.is_complete
        self._on_loop(self._record_all, listed, machine_of(listener), began)

    def _look_at_the_silent(self, listener: Listener) -> None:
        """Look at those that run for all that is known, and not for another list.

        Docker tells of a death before its own list knows it, so that one right
        before a connection is in neither the stream nor the first list.
        """
        self._in_doubt = False
        seen = [container_from_list(found, self._hub) for found in listener.containers()]
        run = {one.name for one in seen if one and one.state.life is Life.RUNNING}
        for name, known in self.picture.snapshot().items():
            if known.state.life is Life.RUNNING and name not in run:
                self._refresh_again(listener, name)

    def _refresh_again(self, listener: Listener, name: str) -> None:
        began = time.monotonic()
        found = listener.container(name)
        seen = container_from_inspect(found, self._hub) if found else None
        if seen is not None and seen.state.life is Life.ENDED:
            # An engine that shuts down ends its containers first. The list after its return tells that cause.
            listener.require_entrance()
        self._on_loop(self._record, name, seen, began)

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
                self.picture.heard()
            except BackendError as error:
                log.warning("The engine gives no sign of life: %s", error.detail or error)
                # Ends the reading of the stream, which then begins anew.
                listener.close()

    def _on_loop(self, work: Callable[..., None], *arguments: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # it closes at this very moment
                self._loop.call_soon_threadsafe(work, *arguments)


def machine_of(listener: Listener) -> Machine | None:
    """None where the engine does not tell, as behind a proxy that passes on some calls only; servers matter more."""
    try:
        return machine_from_info(listener.info())
    except EngineRefused as error:
        log.warning("The engine does not tell what its machine has: %s", error)
        return None
