"""A cluster takes all that the chart renders, in namespaces that enforce the restricted standard."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from harness import cluster
from harness.gateway_api import http_route_definition
from harness.helm import CATALOG, Json, render
from harness.pods import kubectl, kubectl_program, namespace_of_its_own, until

SWITCHES: dict[str, Json] = {
    "the defaults": {},
    "a load balancer": {"proxy": {"service": {"type": "LoadBalancer", "port": 8080, "annotations": {"a": "b"}}}},
    "an ingress": {
        "host": "hub.example.org",
        "ingress": {"enabled": True, "class": "nginx", "tls_secret": "tls", "annotations": {"a": "b"}},
    },
    "a route": {"host": "hub.example.org", "route": {"enabled": True, "gateway": "front", "section": "https"}},
    "nodes of its own": {
        "node_selector": {"pool": "hubs"},
        "tolerations": [{"key": "hubs", "operator": "Exists", "effect": "NoSchedule"}],
        "pull_secrets": ["login"],
    },
    "a database and more for the hub": {
        "hub": {
            "database_url": "postgresql+psycopg://hub:sesame@db/hub",
            "environment": {"TZ": "UTC"},
            "secrets": ["oauth"],
            "volumes": [{"name": "more", "emptyDir": {}}],
            "mounts": [{"name": "more", "mountPath": "/more"}],
            "volume": {"storage_class": "standard", "size": "2Gi"},
        }
    },
    "a claim and a secret of ones own": {"secret": "mine", "hub": {"volume": {"claim": "mine"}}},
    "budgets": {"disruption_budgets": True},
    "no closed addresses": {"network_policies": {"closed": [], "open": ["10.1.2.3/32", "fd00::1/128"]}},
    "no policies and no pulls": {
        "network_policies": {"enabled": False},
        "prepull": {"hook": False, "continuous": False},
    },
}


@pytest.fixture(scope="module")
def namespaces() -> Iterator[tuple[str, str]]:
    """That of the hub, and one for servers."""
    with namespace_of_its_own() as hubs, namespace_of_its_own() as servers:
        yield hubs, servers


@pytest.fixture(scope="module")
def route_definition() -> Iterator[None]:
    """The cluster knows what an HTTPRoute is."""
    file = http_route_definition()
    kubectl("apply", "--server-side", "--filename", str(file))
    until(lambda: "httproutes" in kubectl("api-resources", "--api-group=gateway.networking.k8s.io"), "HTTPRoute")
    yield
    kubectl("delete", "--filename", str(file))


@pytest.mark.usefixtures("route_definition")
@pytest.mark.parametrize("apart", [False, True], ids=["together", "servers apart"])
@pytest.mark.parametrize("switch", SWITCHES)
def test_a_cluster_takes_it(namespaces: tuple[str, str], switch: str, apart: bool) -> None:
    hubs, servers = namespaces
    catalog = f"{CATALOG}\nkubernetes: {{namespace: {servers}}}\n" if apart else CATALOG
    objects = render({"catalog": catalog, **SWITCHES[switch]}, namespace=hubs)
    for found in objects:
        found["metadata"].setdefault("namespace", hubs)
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    command = [kubectl_program(), "--kubeconfig", str(cluster.kubeconfig())]
    done = subprocess.run(
        [*command, "apply", "--dry-run=server", "--validate=strict", "--filename=-"],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "the cluster warns"
    assert len(done.stdout.splitlines()) == len(objects)
