"""A backend on the real cluster, in a namespace that admits restricted pods alone."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contract.engines import KubernetesSubject, kubernetes_subject
from harness import cluster
from harness.api_proxy import ApiProxy
from harness.pods import core
from stateroom.backends.kubernetes.manifests import Site


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Site:
    """What the catalog says of the cluster; a test gives its own by `@pytest.mark.parametrize("site", ...)`."""
    return getattr(request, "param", None) or Site()


@pytest.fixture
async def subject(site: Site) -> AsyncIterator[KubernetesSubject]:
    async with kubernetes_subject(site) as subject:
        yield subject


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[ApiProxy]:
    """Stands between the cluster and a backend that is made from now on."""
    core()  # which skips where there is no cluster
    proxy = ApiProxy(cluster.kubeconfig())
    proxy.write_kubeconfig(tmp_path / "proxied.kubeconfig")
    yield proxy
    proxy.close()
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


@pytest.fixture
async def proxied(proxy: ApiProxy, site: Site, tmp_path: Path) -> AsyncIterator[KubernetesSubject]:  # noqa: ARG001 - made first
    """As `subject`, behind the proxy."""
    async with kubernetes_subject(site) as subject:
        os.environ["KUBECONFIG"] = str(tmp_path / "proxied.kubeconfig")  # until its namespace is given up
        yield subject
