"""A cluster as the platform of a hub. The hub itself runs on this machine, or in a pod that Helm manages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from stateroom.catalog.catalog import Catalog
from stateroom.common.errors import EngineRefused, SetupError
from stateroom.images.sources import UNIFIED
from stateroom.operations.checks.installation import Check, Installation
from stateroom.operations.kubernetes.address import hub_address
from stateroom.operations.kubernetes.checks import checks
from stateroom.operations.kubernetes.client import Client, connected, refusals_translated
from stateroom.operations.kubernetes.down import take_down
from stateroom.operations.kubernetes.facts import nodes, require_namespace, require_rights
from stateroom.operations.kubernetes.resources import KubernetesResources
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.pod_folder import PodFolder
from stateroom.operations.platform import HubResources
from stateroom.operations.report import Report


class KubernetesPlatform:
    """See Platform."""

    def prepare(self, settings: Settings, catalog: Catalog, data: DataFolder, report: Report) -> Settings:
        """See Platform. Nothing is made in the cluster: it must be ready, and the hub's account in it."""
        last = data.settings()
        known = last if last and last.backend == settings.backend else None
        with (
            refusals_translated(),
            _connected(catalog.kubernetes.namespace or "", known.kubeconfig if known else "", report) as client,
        ):
            require_namespace(client)
            require_rights(client)
            report.line("Rights", f"the account may do in the namespace {client.namespace} all that a hub needs")
            address = hub_address(client, settings.hub_ip, known.hub_ip if known else "")
            report.line("Address", f"the hub listens at {address}, where pods are to reach it")
            if any(image.image == UNIFIED for image in catalog.images) and not _is_on_every_node(client, UNIFIED):
                report.line("Image", f"{UNIFIED} is in no public registry: have it on every node, or push it to a")
                report.more("registry of yours and name it there in the catalog")
            settings = replace(
                settings,
                homes=catalog.home.kubernetes.shared,
                hub_ip=address,
                kubeconfig=client.kubeconfig,
                namespace=client.namespace,
                cluster=client.cluster.server,
            )
        data.keep(settings)
        return settings

    @contextmanager
    def checks(self, installation: Installation) -> Iterator[Sequence[Check]]:
        """See Platform."""
        settings, catalog = installation.settings, installation.catalog
        kept = settings.kubeconfig if settings else ""
        namespace = (catalog.kubernetes.namespace if catalog else None) or (settings.namespace if settings else "")
        with ExitStack() as stack:
            client, problem = None, ""
            try:
                client = stack.enter_context(connected(namespace, kept))
            except SetupError as error:
                problem = error.message
            data = installation.data
            yield checks(client, problem, data.pod if isinstance(data, PodFolder) else None)

    def take_down(self, settings: Settings, _: DataFolder, report: Report) -> None:
        """See Platform."""
        take_down(settings, report)

    @contextmanager
    def open(self, settings: Settings) -> Iterator[HubResources]:
        """See Platform."""
        with refusals_translated(), connected(settings.namespace, settings.kubeconfig) as client:
            yield KubernetesResources(client, settings)


@contextmanager
def _connected(namespace: str, kept: str, report: Report) -> Iterator[Client]:
    with ExitStack() as stack:
        with report.step("Cluster", "Looking for the cluster") as step:
            client = stack.enter_context(connected(namespace, kept))
            version = client.ask(client.cluster.at("/version")) or {}
            step.result = f"Kubernetes {version.get('gitVersion', '')} at {client.cluster.server}"
        yield client


def _is_on_every_node(client: Client, image: str) -> bool:
    """Return whether every node is known to have the image. Nodes list only their fifty largest images."""
    try:
        found = nodes(client)
    except EngineRefused:
        return False
    held = [
        {name for entry in (node.get("status") or {}).get("images") or () for name in entry.get("names") or ()}
        for node in found
    ]
    return bool(held) and all({image, f"docker.io/{image}"} & names for names in held)
