"""A hub outside of the cluster, whose servers are pods in a namespace of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import cluster
from harness.configured_hub import ConfiguredHub
from harness.pods import Pods, in_cluster, namespace_of_its_own
from stateroom.images.sources import UNIFIED

_CONFIGURATION = """
c.JupyterHub.hub_ip = "{host}"
c.JupyterHub.hub_connect_ip = "{host}"
"""


class ClusterHub(ConfiguredHub):
    """As `ConfiguredHub`, on Kubernetes."""

    backend = "kubernetes"

    def __init__(self, data: Path, namespace: str, catalog: str = "", more: str = "", scheme: str = "http") -> None:
        super().__init__(data, _CONFIGURATION.format(host=cluster.HOST) + more, scheme)
        self.namespace = namespace
        self.pods = Pods(self.id, namespace)
        text = f"hub: {self.id}\n{catalog}" if catalog else self.catalog.read_text()
        self.catalog.write_text(f"{text}\nkubernetes: {{namespace: {namespace}}}\n")

    @property
    def runs(self) -> bool:
        """Whether the hub's process is there."""
        return self._process is not None and self._process.poll() is None


@contextmanager
def cluster_hub(data: Path, catalog: str = "", more: str = "", scheme: str = "http") -> Iterator[ClusterHub]:
    """A hub from start to end, with the unified image in the cluster unless the catalog is the test's own."""
    with namespace_of_its_own() as namespace:
        if not catalog:
            in_cluster(UNIFIED)
        hub = ClusterHub(data, namespace, catalog, more, scheme)
        try:
            hub.up()
            yield hub
        finally:
            hub.down()
