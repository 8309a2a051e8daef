"""The Kubernetes backend: the servers of one hub as pods of one namespace."""

from __future__ import annotations

from collections.abc import Callable

from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.manifests import Site
from stateroom.backends.kubernetes.pods import Pods
from stateroom.backends.lifecycle import Lifecycle
from stateroom.common.quantity import Machine


class KubernetesBackend:
    """See `base.Backend`.

    `namespace` is the credentials' own where it is "". `site` returns what the
    catalog says of the cluster now; each start reads it once.
    """

    def __init__(self, hub: str, namespace: str, site: Callable[[], Site]) -> None:
        self._cluster = Cluster(namespace)
        pods = Pods(self._cluster, hub, site)
        self._watch = pods.watch
        self.servers = Lifecycle(pods, pods.watch.picture)
        self.homes = pods.homes

    async def machine(self) -> Machine | None:
        """See Backend.machine. A cluster is no machine, and admits by its own rules."""
        await self._watch.picture.known()
        return None

    def last_contact(self) -> float:
        """See Backend.last_contact."""
        return self._watch.picture.last_contact()

    async def close(self) -> None:
        """See Backend.close."""
        await self.servers.close()
        await self._watch.close()
        await self._cluster.close()
