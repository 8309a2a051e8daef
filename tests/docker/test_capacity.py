"""What the engine's machine has is never promised to more servers than there is memory for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from contract.engines import MIB, DockerSubject, docker_subject
from harness.starts import start_as_a_hub_does
from stateroom.backends.base import Life
from stateroom.backends.memory import Behaviour
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.common.deadline import Deadline
from stateroom.common.errors import QuotaExceeded
from stateroom.runtime.admission import Admissions
from stateroom.workloads.names import ServerRef


@pytest.fixture
async def subject() -> AsyncIterator[DockerSubject]:
    async with docker_subject() as subject:
        yield subject


def catalog_with_room_for(subject: DockerSubject, memory: int, guarantee: float = 1) -> Catalog:
    """Servers of 128 MiB, and a share of the machine that comes to so many bytes and a little more."""
    return parse_catalog(f"""\
version: 1
images: [{{id: stub, image: "{subject.image(Behaviour.ANSWERS)}", default: true}}]
sizes: [{{id: stub, cpu: 0.5, memory: 128 MiB, default: true}}]
guarantee: {{memory: {guarantee}}}
docker: {{capacity: {{memory: {memory / subject.machine.memory + 0.0001:.6f}}}}}
""")


def server(subject: DockerSubject, user: str) -> ServerRef:
    return ServerRef(subject.hub, user)


async def test_of_many_starts_at_once_as_many_run_as_the_machine_has_memory_for(subject: DockerSubject) -> None:
    catalog, admissions = catalog_with_room_for(subject, 256 * MIB), Admissions(lambda: subject.backend)
    outcomes = await asyncio.gather(
        *(
            start_as_a_hub_does(catalog, subject.backend, admissions, server(subject, f"user{number}"))
            for number in range(8)
        ),
        return_exceptions=True,
    )
    assert outcomes.count(None) == 2
    refusals = {str(outcome) for outcome in outcomes if isinstance(outcome, QuotaExceeded)}
    assert len(refusals) == 1
    assert refusals.pop().startswith("You asked for 128 MiB of memory. The machine has ")
    running = [listed for listed in await subject.backend.servers.list() if listed.state.life is Life.RUNNING]
    assert sum(listed.resources.memory_guarantee for listed in running) == 256 * MIB


async def test_a_hub_that_restarts_counts_what_was_guaranteed_before(subject: DockerSubject) -> None:
    catalog = catalog_with_room_for(subject, 128 * MIB, guarantee=0.5)
    for user in ("ada", "bob"):
        await start_as_a_hub_does(catalog, subject.backend, Admissions(lambda: subject.backend), server(subject, user))
    again = subject.another_process()
    with pytest.raises(QuotaExceeded, match="wait until somebody stops a server"):
        await start_as_a_hub_does(catalog, again, Admissions(lambda: again), server(subject, "eve"))
    await again.servers.stop(server(subject, "ada"), Deadline.after(30, "stopping"))
    await start_as_a_hub_does(catalog, again, Admissions(lambda: again), server(subject, "eve"))
    await again.close()
