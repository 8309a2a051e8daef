from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contract.engines import Subject, docker_subject, kubernetes_subject, memory_subject

SUBJECTS = {"memory": memory_subject, "docker": docker_subject, "kubernetes": kubernetes_subject}


@pytest.fixture(params=SUBJECTS)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async with SUBJECTS[request.param]() as subject:
        yield subject
