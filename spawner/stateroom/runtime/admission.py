"""Lets servers in one by one, so that starts at the same moment cannot pass a limit together.

What counts is what the backend holds (servers of an earlier process of this
hub too) and what was let in and cannot be seen there yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stateroom.backends.base import Backend, Life
from stateroom.common.errors import BackendError
from stateroom.common.quantity import Resources
from stateroom.offers.allowance import Allowance
from stateroom.offers.quota import Left, Members, check_quota, is_limited, left_for
from stateroom.workloads.names import ServerRef


class Admissions:
    """The servers of one hub that were let in and have not come to the end of their start.

    `backend` returns where they run.
    """

    def __init__(self, backend: Callable[[], Backend]) -> None:
        self._backend = backend
        self._let_in: dict[ServerRef, Resources] = {}
        self._one_by_one = asyncio.Lock()

    async def admit(self, ref: ServerRef, wanted: Resources, allowance: Allowance, members: Members) -> None:
        """Count a server from now on, until `release`. Raises as `check` does."""
        async with self._one_by_one:
            await self.check(ref, wanted, allowance, members)
            share = allowance.guarantee
            self._let_in[ref] = wanted.guaranteed(share.cpu, share.memory)

    async def check(self, ref: ServerRef, wanted: Resources, allowance: Allowance, members: Members) -> None:
        """Raise QuotaExceeded if the server may not be let in now, BackendError if that is not known.

        Asks for what runs only where there is a limit.
        """
        machine = await self._backend().machine()
        if is_limited(allowance, machine):
            check_quota(ref, wanted, allowance, await self._running(), members, machine=machine)

    def release(self, ref: ServerRef) -> None:
        """End what `admit` began: the server runs, or will not. Idempotent."""
        self._let_in.pop(ref, None)

    async def left(self, ref: ServerRef, allowance: Allowance, members: Members) -> list[Left]:
        """Return the remaining quota for a server; nothing is known of it while the backend is away."""
        try:
            machine = await self._backend().machine()
            running = await self._running() if is_limited(allowance, machine) else None
        except BackendError:
            return []
        return [] if running is None else left_for(ref, allowance, running, members, machine=machine)

    async def _running(self) -> dict[ServerRef, Resources]:
        # Read before the list: what is released while the backend answers must be in one of the two.
        let_in = dict(self._let_in)
        listed = await self._backend().servers.list()
        known = {server.ref: server.resources for server in listed if server.state.life is not Life.ENDED}
        return known | let_in | self._let_in
