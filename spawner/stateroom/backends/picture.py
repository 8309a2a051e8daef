"""What is known of the hub's servers, and who waits for a change of one: the same for every engine.

An engine's watch writes it and everyone else reads it, so that a question about
a server costs no call. It is used on the loop alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from stateroom.backends.base import Life, RunningServer, ServerState
from stateroom.common.errors import BackendError, BackendUnavailable
from stateroom.common.quantity import Resources
from stateroom.workloads.names import ServerRef

_ABSENT = ServerState(Life.ABSENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One container or pod as it was when the engine was last asked, or last reported it."""

    name: str
    ref: ServerRef | None  # None for what is no server of the hub
    image: str
    resources: Resources
    state: ServerState


O = TypeVar("O", bound=Observed)  # noqa: E741 - as short as what it stands for is plain


class Picture(Generic[O]):
    """The servers of the hub by their names.

    `follow` is called at the first question, and has the engine's watch begin.
    `unreachable` is the sentence for an engine of which nothing was ever heard.
    """

    def __init__(self, follow: Callable[[], None], unreachable: str) -> None:
        self._follow = follow
        self._unreachable = unreachable
        self._following = False
        self._observed: dict[str, O] = {}
        self._notifier = Notifier()
        self._attempted = asyncio.Event()  # the first list was made, or failed
        self._trouble: BackendError | None = None
        self._last_contact = time.time()
        self.is_complete = False  # whether all servers were listed once; what was known then stays known

    # Questions

    async def state(self, name: str) -> ServerState:
        """What is known of a server. Raises BackendUnavailable or EngineRefused while nothing is known of any."""
        await self.known()
        return self.last(name)

    async def all(self) -> list[O]:
        """Every server of the hub. Raises as `state` does."""
        await self.known()
        return list(self._observed.values())

    def last(self, name: str) -> ServerState:
        """What was last heard of a server."""
        observed = self._observed.get(name)
        return observed.state if observed else _ABSENT

    def get(self, name: str) -> O | None:
        """The container or pod itself as it was last heard of."""
        return self._observed.get(name)

    def has_address(self, host: str) -> bool:
        """Whether a server was last heard of at an IP address."""
        return any(observed.ref is not None and observed.state.is_at(host) for observed in self._observed.values())

    def snapshot(self) -> dict[str, O]:
        """A copy of all, which another thread may take too."""
        return self._observed.copy()

    async def changed(self, name: str, known: ServerState | None) -> ServerState:
        """Wait until a server's state is another than `known`. Outlasts an engine that is away."""
        await self._begun().wait()
        while not self.is_complete or self.last(name) == known:
            await self._notifier.wait_for(name)
        return self.last(name)

    async def ended(self, name: str) -> ServerState:
        """Wait until a server no longer runs."""
        while (state := self.last(name)).life is Life.RUNNING:
            await self.changed(name, state)
        return state

    async def next(self, name: str, known: O | None, seconds: float) -> O | None:
        """Wait until anything of a server is other than `known`, and for so long at most."""
        self._begun()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._observed.get(name) == known:
                    await self._notifier.wait_for(name)
        return self._observed.get(name)

    async def known(self) -> None:
        """Return once all servers were listed. Raises BackendUnavailable or EngineRefused if that failed."""
        await self._begun().wait()
        if not self.is_complete:
            raise _fresh(self._trouble) if self._trouble else BackendUnavailable(self._unreachable)

    def last_contact(self) -> float:
        """The Unix time at which the engine was last heard of."""
        return self._last_contact

    # What a watch reports

    def record(self, name: str, observed: O | None) -> None:
        """Know a server as it is now, None if it is gone, and wake those who wait for it."""
        if observed is None:
            self._observed.pop(name, None)
        else:
            self._observed[name] = observed
        self._notifier.notify(name)

    def complete(self) -> None:
        """Every server was listed and recorded."""
        self.is_complete, self._trouble = True, None
        self.heard()
        self._attempted.set()
        for name in list(self._notifier):
            self._notifier.notify(name)

    def failed(self, error: BackendError | None = None) -> None:
        """The engine did not answer. What is known stays known."""
        self._trouble = _fresh(error) if error else self._trouble
        self._attempted.set()

    def heard(self) -> None:
        """The engine gave a sign of life. From any thread."""
        self._last_contact = time.time()

    def _begun(self) -> asyncio.Event:
        """Have the watch begin at the first question; set once there is an answer."""
        if not self._following:
            self._following = True
            self._follow()
        return self._attempted


def listed(observed: Observed) -> Iterator[RunningServer]:
    """The line of a list for it, none for what is no server."""
    if observed.ref is not None:
        yield RunningServer(observed.ref, observed.state, observed.image, observed.resources)


class Notifier:
    """Wakes any number of waiters for each name, on one loop. It iterates over the names that are waited for."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def __iter__(self) -> Iterator[str]:
        return iter(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait_for(self, name: str) -> None:
        """Wait for the next `notify` of the name."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[name].add(waiter)
        try:
            await waiter
        finally:
            self._waiting[name].discard(waiter)
            if not self._waiting[name]:
                del self._waiting[name]

    def notify(self, name: str) -> None:
        """Wake all who wait for the name now."""
        for waiter in self._waiting.get(name, ()):
            if not waiter.done():
                waiter.set_result(None)


def _fresh(error: BackendError) -> BackendError:
    """The same without its traceback, which grows each time that it is raised and keeps connections open."""
    return type(error)(error.message, detail=error.detail)
