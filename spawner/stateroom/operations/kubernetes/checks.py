"""The checks of `stateroom doctor` in a cluster: the account's rights, and whether a server's pod is admitted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from stateroom.backends.kubernetes import manifests
from stateroom.catalog.catalog import Catalog
from stateroom.common.errors import EngineRefused
from stateroom.common.text import clipped
from stateroom.common.yaml_source import spelled
from stateroom.offers.allowance import Person, allowance_for
from stateroom.offers.choice import choose
from stateroom.operations.checks.findings import Finding, fail, ok, orphans_finding, skipped
from stateroom.operations.checks.installation import (
    HOST_NAMES_CHECK,
    PROXY_CHECK,
    Check,
    Installation,
    hub_answers_finding,
    hub_not_running_finding,
)
from stateroom.operations.kubernetes.client import Client
from stateroom.operations.kubernetes.facts import Json, missing_rights, namespace_facts
from stateroom.operations.kubernetes.findings import (
    class_finding,
    cluster_finding,
    namespace_finding,
    not_shown,
    policies_finding,
    quota_findings,
    rights_findings,
    shared_claim_finding,
)
from stateroom.operations.kubernetes.own_pods import pods_of_a_chart
from stateroom.operations.kubernetes.resources import KubernetesResources
from stateroom.operations.local.pod_folder import Pod
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import Server, server_for

_NOBODY = "stateroom doctor"

_Look = Callable[[Client, Installation], Iterable[Finding]]


def checks(client: Client | None, problem: str, pod: Pod | None = None) -> Sequence[Check]:
    """Return the checks, each after those it depends on. `client` is None if no cluster answers; `problem` says why.

    `pod` is where the hub and its proxy are pods as well.
    """

    def asking(look: _Look) -> Callable[[Installation], Iterable[Finding]]:
        return lambda found: [skipped("the cluster does not answer")] if client is None else look(client, found)

    return (
        Check("Cluster", lambda _: _cluster(client, problem)),
        Check("Namespace", asking(_namespace)),
        Check("Rights", asking(_rights)),
        Check("Storage", asking(_storage)),
        Check("Pod", asking(_pod)),
        Check("Policies", asking(_policies)),
        *((Check("Hub", _hub), PROXY_CHECK) if pod is None else pods_of_a_chart(pod)),
        HOST_NAMES_CHECK,
        Check("Orphans", asking(_orphans)),
    )


def _cluster(client: Client | None, problem: str) -> Iterator[Finding]:
    if client is None:
        fact, _, remedy = problem.partition(". ")
        yield fail(fact, remedy or "Set KUBECONFIG to the file that names your cluster.")
        return
    began = time.monotonic()
    version = client.ask(client.cluster.at("/version")) or {}
    yield cluster_finding(version, client.cluster.server, time.monotonic() - began)


def _namespace(client: Client, _: Installation) -> Iterator[Finding]:
    try:
        found = namespace_facts(client)
    except EngineRefused:
        yield skipped(f"the account may not even try to make anything in {client.namespace}")
        return
    yield namespace_finding(client.namespace, found)
    if found is None:
        return
    try:
        quotas = _items(client, f"/api/v1/namespaces/{client.namespace}/resourcequotas")
    except EngineRefused:
        yield not_shown("the namespace's quotas")
    else:
        yield from quota_findings(quotas)


def _rights(client: Client, _: Installation) -> Iterator[Finding]:
    yield from rights_findings(missing_rights(client), client.namespace)


def _storage(client: Client, installation: Installation) -> Iterator[Finding]:
    if installation.catalog is None:
        yield skipped("there is no catalog that holds")
        return
    homes = installation.catalog.home.kubernetes
    if homes.shared:
        found = client.ask(client.cluster.read("persistentvolumeclaims", homes.shared))
        yield shared_claim_finding(homes.shared, found, client.namespace)
        return
    path = "/apis/storage.k8s.io/v1/storageclasses"
    try:
        named = client.ask(client.cluster.at(f"{path}/{homes.storage_class}")) if homes.storage_class else None
        yield class_finding(homes, named, _items(client, path))
    except EngineRefused:
        yield not_shown("storage classes")


def _pod(client: Client, installation: Installation) -> Iterator[Finding]:
    if installation.catalog is None:
        yield skipped("there is no catalog that holds")
        return
    found = list(manifests.pod_faults(installation.catalog))
    for fault in found:
        yield fail(f"{spelled(fault.path)} {fault.sentence}", "No server can start until the catalog is right.")
    if found:
        return
    spec = _a_servers_spec(installation.catalog, installation.hub_id or "none")
    body = manifests.pod(spec, manifests.site_of(installation.catalog), prove_home=True, beside_others=True)
    try:
        client.ask(client.cluster.create("pods", body, dry_run=True))
    except EngineRefused as error:
        yield fail(
            f'the cluster refuses the pod of a server: "{clipped(error.message)}"',
            "Change what it names in the catalog or in the namespace; no server can start until then.",
        )
    else:
        yield ok("a server as the catalog has it is admitted")


def _policies(client: Client, installation: Installation) -> Iterator[Finding]:
    path = f"/apis/networking.k8s.io/v1/namespaces/{client.namespace}/networkpolicies"
    labels = manifests.common_labels(installation.hub_id or "none", "server")
    try:
        yield policies_finding(_items(client, path), labels, client.namespace)
    except EngineRefused:
        yield not_shown("network policies")


def _hub(installation: Installation) -> Iterator[Finding]:
    if installation.settings is None or not installation.running:
        yield hub_not_running_finding(installation)
    else:
        yield hub_answers_finding(installation, installation.settings.hub_ip)


def _orphans(client: Client, installation: Installation) -> Iterator[Finding]:
    if not installation.data.has_database:
        yield ok("none: no hub has run yet")
        return
    if installation.settings is None:
        yield skipped("which hub's they would be is not known")
        return
    resources = KubernetesResources(client, installation.settings)
    found = resources.orphans(installation.data.records, running=installation.running)
    yield orphans_finding([orphan.kind for orphan in found])


def _items(client: Client, path: str) -> list[Json]:
    return list((client.ask(client.cluster.at(path)) or {}).get("items") or ())


def _a_servers_spec(catalog: Catalog, hub: str) -> Server:
    """Return the default server of a user who is in no group."""
    allowance = allowance_for(catalog, Person(_NOBODY, frozenset()))
    return server_for(
        catalog,
        allowance,
        choose({}, allowance),
        ref=ServerRef(hub, _NOBODY),
        home=HomeRef(hub, _NOBODY, 0),
        base_url="/",
        variables={},
    )
