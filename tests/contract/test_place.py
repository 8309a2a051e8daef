"""What every backend promises of the place itself (`stateroom.backends.base.Backend`), checked against each."""

from __future__ import annotations

import time

from contract.engines import Subject


async def test_the_machine_that_servers_share_is_told(subject: Subject) -> None:
    assert await subject.backend.machine() == subject.machine


async def test_a_place_that_answers_was_heard_of_since(subject: Subject) -> None:
    before = time.time()
    await subject.backend.servers.list()
    assert before <= subject.backend.last_contact() <= time.time()
