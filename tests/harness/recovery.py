"""A cluster that comes back after its API server was away."""

from __future__ import annotations

from harness import cluster
from harness.hub import wait_for
from harness.pods import core, read_or_none

_SECONDS = 180.0


# They ask an API server that was away again after up to half a minute, one after another.
_SLOW_TO_RETURN = ("kube-controller-manager", "kube-scheduler", "kubelet")


def hurry_the_cluster() -> None:
    """Restart what would wait before it asks the API server again. Pods run on meanwhile."""
    wait_for(api_answers, "the API server")
    parts = cluster.components()
    for name in _SLOW_TO_RETURN:
        parts[name].restart()


def api_answers() -> bool:
    """Whether the API server is there."""
    try:
        core().get_api_resources()
    except Exception:  # noqa: BLE001 - whatever it is, it does not answer
        return False
    return True


def wait_for_the_cluster(image: str) -> None:
    """Until pods find a node, and what belonged to them is cleared away: its parts come back one after another.

    Where the API server was away for a minute, its controllers took the node for lost, and say so for another one.
    The cluster has the image.
    """
    wait_for(cluster_answers, "the cluster")
    pod = {
        "metadata": {"generateName": "canary-"},
        "spec": {"containers": [{"name": "canary", "image": image}]},
    }
    canary = core().create_namespaced_pod("default", pod).metadata
    owner = {"apiVersion": "v1", "kind": "Pod", "name": canary.name, "uid": canary.uid}
    core().create_namespaced_config_map(
        "default", {"metadata": {"name": canary.name, "ownerReferences": [owner]}, "data": {}}
    )

    def runs() -> bool:
        return core().read_namespaced_pod(canary.name, "default").status.phase == "Running"

    def is_cleared_away() -> bool:
        return read_or_none(core().read_namespaced_config_map, canary.name, "default") is None

    wait_for(runs, "a node for a pod", seconds=_SECONDS)
    core().delete_namespaced_pod(canary.name, "default", grace_period_seconds=0)
    wait_for(is_cleared_away, "the garbage collector", seconds=_SECONDS)


def cluster_answers() -> bool:
    """Whether the API is there and the node is ready."""
    try:
        node = core().read_node(cluster.NODE_NAME)
    except Exception:  # noqa: BLE001 - whatever it is, it does not answer
        return False
    return any(one.type == "Ready" and one.status == "True" for one in node.status.conditions)
