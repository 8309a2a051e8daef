"""Checks passwords a few at a time, in an order in which nobody keeps others from logging in.

A check takes 64 MiB and a tenth of a second of one core, so checks wait. Where
they come from takes turns: whoever floods the login waits for itself. After some
failures as one name from one source, the next tries of both come one by one,
with a pause between them, in a random order: guessing is slow, and the right
password among the guesses is late but not refused.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import random
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from stateroom.operations.accounts import Account

CHECKS_AT_ONCE = 2
FREE_FAILURES = 5  # as one name from one source, before the next tries are slowed down
PAUSE_SECONDS = 0.5  # between two of those
MOST_OF_A_SOURCE = 200  # waiting; a class behind one address logs in at once
MOST = 2_000  # waiting, from everywhere
MOST_REMEMBERED = 10_000  # names that failed last

_SOURCE = "X-Forwarded-For"


class TooManyLogins(Exception):
    """More wait than may; `everywhere` is whether they come from more than one source."""

    def __init__(self, *, everywhere: bool) -> None:
        super().__init__()
        self.everywhere = everywhere


@dataclass(eq=False, slots=True)
class _Try:
    source: str
    name: str
    password: str = field(repr=False)
    outcome: asyncio.Future[Account | None]


@dataclass(slots=True)
class _Failures:
    count: int = 0
    not_before: float = 0.0


class LoginQueue:
    """The passwords that wait for their check. `check` is called in a thread, and may raise."""

    def __init__(self, check: Callable[[str, str], Account | None]) -> None:
        self._check = check
        self._chance = random.SystemRandom()
        self._waiting: OrderedDict[str, list[_Try]] = OrderedDict()  # by source, whose turn it is next first
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._threads = ThreadPoolExecutor(CHECKS_AT_ONCE, thread_name_prefix="password")
        self._at_work: Counter[tuple[str, str]] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    async def verified(self, source: str, name: str, password: str) -> Account | None:
        """Return the account if the password is right. Raises TooManyLogins, and what the check raises."""
        own = self._waiting.get(source, [])
        if len(own) >= MOST_OF_A_SOURCE:
            raise TooManyLogins(everywhere=False)
        if sum(map(len, self._waiting.values())) >= MOST:
            raise TooManyLogins(everywhere=True)
        mine = _Try(source, name, password, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(source, []).append(mine)
        self._work()
        try:
            return await mine.outcome
        finally:
            self._drop(mine)

    def _work(self) -> None:
        """Begin as many checks as there are threads, and come back when a pause ends."""
        while self._at_work.total() < CHECKS_AT_ONCE and (chosen := self._next()):
            self._begin(chosen)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._at_work.total() < CHECKS_AT_ONCE:
            pause = min(map(self._pause, (one for tries in self._waiting.values() for one in tries)))
            if math.isfinite(pause):
                self._timer = asyncio.get_running_loop().call_later(max(pause, 0.001), self._work)

    def _next(self) -> _Try | None:
        """One that may be checked now, of the source whose turn it is; that one's next turn is after all others'."""
        for source in list(self._waiting):
            ready = [one for one in self._waiting[source] if self._pause(one) <= 0]
            if ready:
                self._waiting.move_to_end(source)
                return self._chance.choice(ready)
        return None

    def _pause(self, one: _Try) -> float:
        """Seconds until a try may be checked, infinite while another one of its kind is."""
        known = self._failures.get((one.source, one.name))
        at_work = self._at_work[one.source, one.name]
        if known is None or known.count + at_work < FREE_FAILURES:
            return 0.0
        return math.inf if at_work else known.not_before - time.monotonic()

    def _begin(self, one: _Try) -> None:
        self._drop(one)
        kind = one.source, one.name
        self._at_work[kind] += 1
        check = asyncio.get_running_loop().run_in_executor(self._threads, self._check, one.name, one.password)
        check.add_done_callback(lambda done: self._end(one, done))

    def _end(self, one: _Try, check: asyncio.Future[Account | None]) -> None:
        kind = one.source, one.name
        self._at_work -= Counter([kind])
        if (error := check.exception()) is None:
            self._remember(kind, is_right=check.result() is not None)
        if not one.outcome.done():  # whoever sent it may have gone
            if error is None:
                one.outcome.set_result(check.result())
            else:
                one.outcome.set_exception(error)
        self._work()

    def _remember(self, kind: tuple[str, str], *, is_right: bool) -> None:
        failures = self._failures.pop(kind, _Failures())
        if is_right:
            return
        failures.count += 1
        failures.not_before = time.monotonic() + PAUSE_SECONDS
        self._failures[kind] = failures
        if len(self._failures) > MOST_REMEMBERED:
            self._failures.popitem(last=False)

    def _drop(self, one: _Try) -> None:
        tries = self._waiting.get(one.source)
        if tries is not None and one in tries:
            tries.remove(one)
            if not tries:
                del self._waiting[one.source]


def source_of(handler: Any) -> str:
    """Return the address that a request comes from, "" where it is not known.

    A proxy on this machine says where it has it from, each one after what it was told. Nobody else is believed:
    a server that asks the hub itself could name any address.
    """
    if handler is None:
        return ""
    connection = handler.request.connection
    peer, socket = str(connection.context.address[0]), connection.stream.socket
    own = str(socket.getsockname()[0]) if socket else ""  # none once the other side is gone
    if peer != own and not _is_loopback(peer):
        return peer
    said = ",".join(handler.request.headers.get_list(_SOURCE)).split(",")
    return next((address for address in _addresses(reversed(said)) if not _is_loopback(address)), peer)


def _addresses(texts: Iterable[str]) -> Iterable[str]:
    for text in texts:
        try:
            yield str(ipaddress.ip_address(text.strip()))
        except ValueError:
            return  # what was said before it is anybody's


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
