"""Lets servers in one by one, so that starts at the same moment cannot pass a limit together.

What counts is what the backend holds (servers of an earlier process of this
hub too) and what was let in and cannot be seen there yet.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from stateroom.backends.base import Backend, Life
from stateroom.names import ServerRef
from stateroom.policy import Allowance
from stateroom.quantity import Resources
from stateroom.quota import Left, Members, check_quota, is_limited, left_for


class Admissions:
    """The servers of one hub that were let in and have not come to the end of their start."""

    def __init__(self) -> None:
        self._let_in: dict[ServerRef, Resources] = {}
        self._one_by_one = asyncio.Lock()

    async def admit(
        self, ref: ServerRef, wanted: Resources, allowance: Allowance, backend: Backend, members: Members
    ) -> None:
        """Let a server in, to be followed by `release` once it runs or will not. Raises as `check` does."""
        async with self._one_by_one:
            await self.check(ref, wanted, allowance, backend, members)
            self._let_in[ref] = replace(wanted, reserved_memory=allowance.reserve.of_memory(wanted.memory))

    async def check(
        self, ref: ServerRef, wanted: Resources, allowance: Allowance, backend: Backend, members: Members
    ) -> None:
        """Raise QuotaExceeded if the server may not be let in now, or what `Backend.list` raises.

        Asks for what runs only where there is a limit.
        """
        machine = await backend.machine()
        if is_limited(allowance, machine):
            check_quota(ref, wanted, allowance, await self._running(backend), members, machine=machine)

    def release(self, ref: ServerRef) -> None:
        """The backend alone knows the server from now on. Idempotent."""
        self._let_in.pop(ref, None)

    async def left(self, ref: ServerRef, allowance: Allowance, backend: Backend, members: Members) -> list[Left]:
        """What is left for the server `ref`, now. Raises what `Backend.list` raises."""
        machine = await backend.machine()
        if not is_limited(allowance, machine):
            return []
        return left_for(ref, allowance, await self._running(backend), members, machine=machine)

    async def _running(self, backend: Backend) -> dict[ServerRef, Resources]:
        # Read before the list: what is released while the backend answers must be in one of the two.
        let_in = dict(self._let_in)
        listed = {server.ref: server for server in await backend.list() if server.state.life is not Life.ENDED}
        return {ref: server.resources for ref, server in listed.items()} | let_in | self._let_in
