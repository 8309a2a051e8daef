"""A cluster as a place for a hub's servers; the hub itself runs on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from stateroom.catalog import Catalog
from stateroom.cli.checks import Check, Installation
from stateroom.cli.data import DataFolder, Settings
from stateroom.cli.kubernetes.address import hub_address
from stateroom.cli.kubernetes.belongings import KubernetesBelongings
from stateroom.cli.kubernetes.checks import checks
from stateroom.cli.kubernetes.client import Client, connected, refusals_told
from stateroom.cli.kubernetes.down import take_down
from stateroom.cli.kubernetes.facts import nodes, require_namespace, require_rights
from stateroom.cli.places import Belongings
from stateroom.cli.pod import PodFolder
from stateroom.cli.screen import Screen
from stateroom.errors import EngineRefused, SetupError
from stateroom.recipes import UNIFIED


class KubernetesPlace:
    """See Place."""

    def prepare(self, settings: Settings, catalog: Catalog, data: DataFolder, screen: Screen) -> Settings:
        """See Place. Nothing is made in the cluster: it must be ready, and the hub's account in it."""
        last = data.settings()
        known = last if last and last.backend == settings.backend else None
        with (
            refusals_told(),
            _connected(catalog.kubernetes.namespace or "", known.kubeconfig if known else "", screen) as client,
        ):
            require_namespace(client)
            require_rights(client)
            screen.line("Rights", f"the account may do in the namespace {client.namespace} all that a hub needs")
            address = hub_address(client, settings.hub_ip, known.hub_ip if known else "")
            screen.line("Address", f"the hub listens at {address}, where pods are to reach it")
            if any(image.image == UNIFIED for image in catalog.images) and not _is_on_every_node(client, UNIFIED):
                screen.line("Image", f"{UNIFIED} is in no public registry: have it on every node, or push it to a")
                screen.more("registry of yours and name it there in the catalog")
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
        """See Place."""
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

    def take_down(self, settings: Settings, _: DataFolder, screen: Screen) -> None:
        """See Place."""
        take_down(settings, screen)

    @contextmanager
    def opened(self, settings: Settings) -> Iterator[Belongings]:
        """See Place."""
        with refusals_told(), connected(settings.namespace, settings.kubeconfig) as client:
            yield KubernetesBelongings(client, settings)


@contextmanager
def _connected(namespace: str, kept: str, screen: Screen) -> Iterator[Client]:
    with ExitStack() as stack:
        with screen.step("Cluster", "Looking for the cluster") as step:
            client = stack.enter_context(connected(namespace, kept))
            version = client.ask(client.cluster.at("/version")) or {}
            step.result = f"Kubernetes {version.get('gitVersion', '')} at {client.cluster.server}"
        yield client


def _is_on_every_node(client: Client, image: str) -> bool:
    """Whether that is known for sure. Nodes tell of their fifty largest images."""
    try:
        found = nodes(client)
    except EngineRefused:
        return False
    held = [
        {name for entry in (node.get("status") or {}).get("images") or () for name in entry.get("names") or ()}
        for node in found
    ]
    return bool(held) and all({image, f"docker.io/{image}"} & names for names in held)
