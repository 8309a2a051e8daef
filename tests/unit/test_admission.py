"""Starts at the same moment, against a quota that they could only pass together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.starts import start_as_a_hub_does
from stateroom.backends.base import Life, RunningServer, ServerState
from stateroom.backends.memory import Behaviour, MemoryBackend
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.docker import Capacity
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.sizes import Guarantee, Quota
from stateroom.common.errors import BackendUnavailable, QuotaExceeded
from stateroom.common.quantity import GiB, Machine, Resources
from stateroom.offers.allowance import Allowance, allowance_for
from stateroom.runtime.admission import Admissions
from stateroom.workloads.names import ServerRef

from .conftest import ADA, CATALOG

SMALL = Resources(500, GiB)
TWO, FIVE = Quota(servers=2), Quota(servers=5)
NOBODY: dict[str, list[str]] = {}
ALLOWANCE = allowance_for(parse_catalog(CATALOG), ADA)


class SlowBackend:
    """Lists what ran when it was asked, and answers some turns of the loop later."""

    def __init__(self, turns: int = 3, memory: int = 0) -> None:
        self.running: dict[ServerRef, Life] = {}
        self.turns = turns
        self.memory = memory  # the machine's, if there is one
        self.gate: asyncio.Event | None = None  # while there is one, answers wait for it
        self.asked = asyncio.Event()
        self.away = False

    @property
    def servers(self) -> SlowBackend:
        return self

    async def list(self) -> list[RunningServer]:
        self.asked.set()
        seen = [RunningServer(ref, ServerState(life), "x", SMALL) for ref, life in self.running.items()]
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if self.gate:
            await asyncio.wait_for(self.gate.wait(), 30)
        if self.away:
            raise BackendUnavailable("The engine does not answer.")
        return seen

    async def machine(self) -> Machine | None:
        if self.away:
            raise BackendUnavailable("The engine does not answer.")
        return Machine(2000, self.memory) if self.memory else None


@pytest.fixture
def backend() -> SlowBackend:
    return SlowBackend()


@pytest.fixture
def admissions(backend: SlowBackend) -> Admissions:
    return Admissions(lambda: backend)


@pytest.fixture
async def memory() -> AsyncIterator[MemoryBackend]:
    backend = MemoryBackend({"stateroom/unified:1": Behaviour.ANSWERS})
    yield backend
    await backend.close()


def limited(quota: Quota, totals: dict[str, Quota] | None = None) -> Allowance:
    return replace(ALLOWANCE, quota=quota, totals=totals or {})


def server(number: int, user: str = "ada") -> ServerRef:
    return ServerRef("hub", user, f"s{number}")


async def let_in(admissions: Admissions, quota: Quota, *refs: ServerRef) -> list[bool]:
    """All of them at once; which were let in."""
    outcomes = await asyncio.gather(
        *(admissions.admit(ref, SMALL, limited(quota), NOBODY) for ref in refs), return_exceptions=True
    )
    assert all(outcome is None or isinstance(outcome, QuotaExceeded) for outcome in outcomes)
    return [outcome is None for outcome in outcomes]


async def used(admissions: Admissions) -> int:
    (left,) = await admissions.left(server(99), limited(FIVE), NOBODY)
    return left.used


class TestAtOnce:
    async def test_of_twenty_starts_as_many_are_let_in_as_may_run(self, admissions: Admissions) -> None:
        assert sum(await let_in(admissions, FIVE, *map(server, range(20)))) == 5

    async def test_what_runs_already_counts(self, admissions: Admissions, backend: SlowBackend) -> None:
        backend.running = {server(100): Life.RUNNING, server(101): Life.STARTING, server(102): Life.ENDED}
        assert sum(await let_in(admissions, FIVE, *map(server, range(20)))) == 3

    async def test_amounts_are_added_up(self, admissions: Admissions) -> None:
        assert sum(await let_in(admissions, Quota(cpu=1.8), *map(server, range(20)))) == 3

    async def test_each_user_has_a_quota_of_its_own(self, admissions: Admissions) -> None:
        refs = [server(number, user) for number in range(10) for user in ("ada", "bob")]
        outcomes = await let_in(admissions, FIVE, *refs)
        users = [ref.user for ref, inside in zip(refs, outcomes, strict=True) if inside]
        assert (users.count("ada"), users.count("bob")) == (5, 5)

    async def test_all_members_share_a_total(self, admissions: Admissions) -> None:
        total, members = limited(Quota(), {"research": FIVE}), {"research": ["ada", "bob"]}
        outcomes = await asyncio.gather(
            *(
                admissions.admit(server(number, user), SMALL, total, members)
                for number in range(10)
                for user in ("ada", "bob")
            ),
            return_exceptions=True,
        )
        assert outcomes.count(None) == 5

    async def test_everybodys_servers_share_a_machine(self, admissions: Admissions, backend: SlowBackend) -> None:
        backend.memory = 10 * GiB
        backend.running = {server(100, "eve"): Life.RUNNING, server(101, "eve"): Life.ENDED}
        refs = [server(number, user) for number in range(10) for user in ("ada", "bob")]
        assert sum(await let_in(admissions, Quota(), *refs)) == 8  # of 9 GiB

    async def test_what_is_guaranteed_to_a_server_on_its_way_is_a_share_of_its_memory(
        self, admissions: Admissions, backend: SlowBackend
    ) -> None:
        backend.memory = 10 * GiB
        half = replace(limited(Quota()), guarantee=Guarantee(memory=0.5), capacity=Capacity(memory=1))
        starts = (admissions.admit(server(number), SMALL, half, NOBODY) for number in range(30))
        outcomes = await asyncio.gather(*starts, return_exceptions=True)
        assert outcomes.count(None) == 20

    async def test_a_server_that_is_let_in_twice_counts_once(self, admissions: Admissions) -> None:
        await let_in(admissions, FIVE, server(1), server(1))
        assert await used(admissions) == 1

    @given(
        turns=st.integers(0, 4),
        starts=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.booleans()), min_size=1, max_size=12),
        limit=st.integers(1, 4),
    )
    def test_however_starts_and_stops_come_together_never_more_run_than_may(
        self, turns: int, starts: list[tuple[int, int, bool]], limit: int
    ) -> None:
        """Each start comes at its time, takes its time, and fails or runs for a while."""

        async def everything() -> None:
            backend = SlowBackend(turns)
            admissions = Admissions(lambda: backend)
            await asyncio.gather(*(start(admissions, backend, server(n), times) for n, times in enumerate(starts)))

        async def start(
            admissions: Admissions, backend: SlowBackend, ref: ServerRef, times: tuple[int, int, bool]
        ) -> None:
            comes, takes, fails = times
            await wait(comes)
            try:
                await admissions.admit(ref, SMALL, limited(Quota(servers=limit)), NOBODY)
            except QuotaExceeded:
                return
            await wait(takes)
            if not fails:
                backend.running[ref] = Life.RUNNING
                assert len(backend.running) <= limit
            admissions.release(ref)
            await wait(takes)
            backend.running.pop(ref, None)

        async def wait(turns: int) -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        asyncio.run(everything())


class TestRelease:
    async def test_a_start_that_failed_makes_room(self, admissions: Admissions) -> None:
        await let_in(admissions, Quota(servers=1), server(1))
        assert await let_in(admissions, Quota(servers=1), server(2)) == [False]
        admissions.release(server(1))
        assert await let_in(admissions, Quota(servers=1), server(2)) == [True]

    async def test_it_may_come_twice_and_for_what_was_never_let_in(self, admissions: Admissions) -> None:
        await let_in(admissions, FIVE, server(1))
        admissions.release(server(1))
        admissions.release(server(1))
        admissions.release(server(7))
        assert await used(admissions) == 0

    async def test_a_server_counts_once_while_both_know_it(self, admissions: Admissions, backend: SlowBackend) -> None:
        await let_in(admissions, FIVE, server(1))
        backend.running = {server(1): Life.RUNNING}
        assert await used(admissions) == 1

    async def test_a_server_that_comes_up_while_the_backend_answers_is_not_missed(
        self, admissions: Admissions, backend: SlowBackend
    ) -> None:
        """The backend saw it too early, and the admissions let go of it too soon."""
        await let_in(admissions, Quota(servers=1), server(1))
        backend.asked, backend.gate = asyncio.Event(), asyncio.Event()
        second = asyncio.create_task(let_in(admissions, Quota(servers=1), server(2)))
        await asyncio.wait_for(backend.asked.wait(), 30)
        backend.running = {server(1): Life.RUNNING}
        admissions.release(server(1))
        backend.gate.set()
        assert await second == [False]


class TestTrouble:
    async def test_where_nothing_is_limited_the_backend_is_not_asked(
        self, admissions: Admissions, backend: SlowBackend
    ) -> None:
        assert all(await let_in(admissions, Quota(), *map(server, range(20))))
        assert await admissions.left(server(1), limited(Quota()), NOBODY) == []
        assert not backend.asked.is_set()

    async def test_an_engine_that_is_away_lets_nobody_in(self, admissions: Admissions, backend: SlowBackend) -> None:
        backend.away = True
        for quota in [FIVE] * 7 + [Quota()]:
            with pytest.raises(BackendUnavailable):
                await admissions.admit(server(1), SMALL, limited(quota), NOBODY)
        assert await admissions.left(server(1), limited(FIVE), NOBODY) == []
        backend.away = False
        assert await used(admissions) == 0
        assert sum(await let_in(admissions, FIVE, *map(server, range(20)))) == 5

    async def test_who_gives_up_while_the_backend_answers_is_not_let_in(
        self, admissions: Admissions, backend: SlowBackend
    ) -> None:
        backend.gate = asyncio.Event()
        start = asyncio.create_task(admissions.admit(server(1), SMALL, limited(FIVE), NOBODY))
        await asyncio.wait_for(backend.asked.wait(), 30)
        await give_up(start)
        backend.gate = None
        assert await used(admissions) == 0

    async def test_who_gives_up_while_waiting_for_another_is_not_let_in_and_holds_up_nobody(
        self, admissions: Admissions, backend: SlowBackend
    ) -> None:
        backend.gate = asyncio.Event()
        first, second, third = (
            asyncio.create_task(admissions.admit(server(number), SMALL, limited(FIVE), NOBODY)) for number in range(3)
        )
        await asyncio.wait_for(backend.asked.wait(), 30)
        await give_up(second)
        backend.gate.set()
        await asyncio.gather(first, third)
        assert await used(admissions) == 2

    async def test_a_refusal_lets_nobody_in(self, admissions: Admissions) -> None:
        await let_in(admissions, FIVE, *map(server, range(5)))
        for number in range(5, 10):
            assert await let_in(admissions, FIVE, server(number)) == [False]
        admissions.release(server(0))
        assert await used(admissions) == 4


class TestWithServers:
    @pytest.fixture
    def admissions(self, memory: MemoryBackend) -> Admissions:
        return Admissions(lambda: memory)

    async def test_starts_at_once_end_with_as_many_servers_as_may_run(
        self, catalog: Catalog, memory: MemoryBackend, admissions: Admissions
    ) -> None:
        outcomes = await asyncio.gather(
            *(started(catalog, memory, admissions, number) for number in range(8)), return_exceptions=True
        )
        assert outcomes.count(None) == len(await memory.servers.list()) == 2
        assert sum(isinstance(outcome, QuotaExceeded) for outcome in outcomes) == 6

    async def test_a_server_that_ended_makes_room_although_it_is_still_there(
        self, catalog: Catalog, memory: MemoryBackend, admissions: Admissions
    ) -> None:
        for number in range(2):
            await started(catalog, memory, admissions, number)
        with pytest.raises(QuotaExceeded, match="these run: s0, s1"):
            await started(catalog, memory, admissions, 2)
        memory.servers.kill(server(0))
        assert len(await memory.servers.list()) == 2
        await started(catalog, memory, admissions, 2)

    async def test_a_running_server_may_be_started_anew_at_the_limit(
        self, catalog: Catalog, memory: MemoryBackend, admissions: Admissions
    ) -> None:
        for number in (0, 1, 1, 0):
            await started(catalog, memory, admissions, number)
        assert len(await memory.servers.list()) == 2

    async def test_what_was_guaranteed_by_an_earlier_process_of_the_hub_counts(self, catalog: Catalog) -> None:
        """On a machine of which they may have 2.5 GiB, at 2 GiB a server."""
        half = parse_catalog(f"{CATALOG}guarantee: {{memory: 0.5}}\n")
        memory = MemoryBackend({"stateroom/unified:1": Behaviour.ANSWERS}, Machine(2000, int(2.5 * GiB / 0.9) + 1))
        await started(half, memory, Admissions(lambda: memory), 0, quota=Quota())
        await started(half, memory, Admissions(lambda: memory), 1, quota=Quota())
        with pytest.raises(QuotaExceeded, match="The machine has 1 GiB left for servers; choose 1 GiB or less"):
            await started(half, memory, Admissions(lambda: memory), 2, quota=Quota())
        with pytest.raises(QuotaExceeded, match="The machine has 512 MiB left for servers; choose 512 MiB or less"):
            await started(catalog, memory, Admissions(lambda: memory), 2, quota=Quota())
        await memory.close()

    async def test_servers_of_an_earlier_process_of_the_hub_count(
        self, catalog: Catalog, memory: MemoryBackend
    ) -> None:
        for number in range(2):
            await started(catalog, memory, Admissions(lambda: memory), number)
        with pytest.raises(QuotaExceeded):
            await started(catalog, memory, Admissions(lambda: memory), 2)


async def started(
    catalog: Catalog, memory: MemoryBackend, admissions: Admissions, number: int, quota: Quota = TWO
) -> None:
    await start_as_a_hub_does(catalog, memory, admissions, server(number), quota=quota)


async def give_up(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
