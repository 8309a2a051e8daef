"""What a hub has in a cluster: orphans, and homes as claims or as folders of one that all share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from stateroom.backends.kubernetes.homes import Homes
from stateroom.backends.kubernetes.manifests import home_selector, site_of
from stateroom.catalog.load import load_catalog
from stateroom.common.errors import CatalogError, SetupError
from stateroom.common.quantity import format_memory, parse_kubernetes_quantity
from stateroom.operations.kubernetes.client import Client
from stateroom.operations.kubernetes.facts import Json
from stateroom.operations.kubernetes.pods import ended, listed, orphan_folder_pods, orphan_servers, selector
from stateroom.operations.local.data import Settings
from stateroom.operations.local.records import Records
from stateroom.operations.platform import Orphan
from stateroom.storage.homes import HomeRef, home_from_labels


class KubernetesResources:
    """See HubResources."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._hub = settings.hub_id
        self._shared = shared_claim(settings)
        self._catalog = Path(settings.catalog)

    def orphans(self, read: Callable[[], Records], *, running: bool) -> list[Orphan]:
        """See HubResources. The hub notes a server before it makes it, so what was listed is known by then."""
        servers, folders = self._listed("pods", "server"), self._listed("pods", "folder")
        records, now = read(), time.time()
        return [
            *orphan_servers(servers, self._hub, records, now, running=running),
            *orphan_folder_pods(folders, self._hub, now),
        ]

    def remove(self, orphan: Orphan) -> bool:
        """See HubResources. Whatever has the name by now is left alone."""
        self._client.ask(ended(self._client.cluster, [(orphan.name, orphan.id)]))
        return True

    def homes(self, known: Iterable[HomeRef]) -> list[HomeRef]:  # noqa: ARG002 - each home says whose it is
        """See HubResources."""
        found = self._listed("configmaps" if self._shared else "persistentvolumeclaims", "home")
        return [ref for home in found if (ref := home_of(home, self._hub)) is not None]

    def unknown_homes(self, known: Iterable[HomeRef]) -> list[str]:  # noqa: ARG002
        """See HubResources. A folder that nothing tells of could only be seen by a pod that mounts the claim."""
        return []

    def sizes(self, homes: Iterable[HomeRef]) -> Mapping[str, str]:
        """See HubResources. What a claim holds at most; how much of a shared one a folder takes is not known."""
        if self._shared:
            return {}
        names = {home.name for home in homes}
        claims = self._listed("persistentvolumeclaims", "home")
        return {
            claim["metadata"]["name"]: f"{_size(claim)} claimed"
            for claim in claims
            if claim["metadata"]["name"] in names
        }

    def require_unused(self, home: HomeRef) -> None:
        """See HubResources."""
        pods = self._client.ask(listed(self._client.cluster, "pods", home_selector(home)))
        helper = self._client.ask(self._client.cluster.read("pods", f"{home.name}-folder"))
        if pods or helper:
            raise SetupError(f"A pod uses the home {home.name}. Stop it, or run `stateroom gc`, and try again.")

    def undeletable(self) -> str:
        """See HubResources."""
        return ""

    def delete_home(self, home: HomeRef) -> None:
        """See HubResources."""
        self.require_unused(home)
        site = site_of(load_catalog(self._catalog))
        self._client.ask(Homes(self._client.cluster, self._hub, lambda: site).remove(home))

    def _listed(self, kind: str, what: str) -> list[Json]:
        return self._client.ask(listed(self._client.cluster, kind, selector(self._hub, what)))


def shared_claim(settings: Settings) -> str:
    """Return the claim that homes share, from the catalog, or as of the last `up` if the catalog is invalid."""
    with suppress(CatalogError):
        return load_catalog(Path(settings.catalog)).home.kubernetes.shared
    return settings.homes


def home_of(found: Json, hub: str) -> HomeRef | None:
    """Return the home that a claim or a ConfigMap stands for, if its annotations match its name."""
    ref = home_from_labels(found["metadata"].get("annotations") or {}, hub)
    return ref if ref is not None and ref.name == found["metadata"]["name"] else None


def _size(claim: Json) -> str:
    text = str(claim["spec"]["resources"]["requests"]["storage"])
    text = str(((claim.get("status") or {}).get("capacity") or {}).get("storage", text))
    found = parse_kubernetes_quantity(text)
    return text if found is None else format_memory(int(found))
