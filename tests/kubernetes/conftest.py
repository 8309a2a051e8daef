"""A backend on the real cluster, in a namespace that admits restricted pods alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from contract.engines import KubernetesSubject, kubernetes_subject
from stateroom.backends.kubernetes.manifests import Site


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Site:
    """What the catalog says of the cluster; a test gives its own by `@pytest.mark.parametrize("site", ...)`."""
    return getattr(request, "param", None) or Site()


@pytest.fixture
async def subject(site: Site) -> AsyncIterator[KubernetesSubject]:
    async with kubernetes_subject(site) as subject:
        yield subject
