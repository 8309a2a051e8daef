"""The one object of a hub's process that owns what all its servers share.

That is the catalog in force, the backend with its connections and threads, the
admission of servers, the assignments of homes, and the metrics about them.
`configure` makes it, spawners and the hub's API use it, and it closes itself
when the hub ends. An edited catalog is in force at the next use: the backend
asks for its settings each time, and is never replaced.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from stateroom.backends.base import Backend
from stateroom.backends.diagnosis import not_theirs
from stateroom.backends.docker import DockerBackend
from stateroom.backends.docker.network_keeper import KINDS_OF_REPAIR, NetworkKeeper
from stateroom.backends.docker.payload import docker_settings
from stateroom.backends.memory import Behaviour, MemoryBackend
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.watch import CatalogFile
from stateroom.common.errors import BackendError, HomeRefused
from stateroom.common.quantity import Machine
from stateroom.offers.allowance import Allowance, Person, allowance_for
from stateroom.runtime.admission import Admissions
from stateroom.runtime.claim import claim
from stateroom.storage.assignments import HomeAssignments
from stateroom.storage.homes import HomeRef


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """What the hub's configuration says about the runtime."""

    catalog: Path
    backend: str
    hub_id: str
    home_assignments: Path | None = None


class Runtime:
    """What all servers of one hub share.

    Making one reads the catalog and starts nothing, so a process that only
    evaluates the hub's configuration can do so. `begin` starts the catalog's
    watch. The backend starts its own threads when it is first asked.
    """

    def __init__(self, settings: RuntimeSettings, catalog_file: CatalogFile | None = None) -> None:
        """Raises CatalogError if `catalog_file` is to be read and cannot be used."""
        self.settings = settings
        self.catalog_file = catalog_file or CatalogFile(settings.catalog)
        self.admissions = Admissions(lambda: self.backend)
        self._assignments = HomeAssignments(settings.home_assignments) if settings.home_assignments else None
        self.networks: NetworkKeeper | None = None
        self._backend: Backend | None = None
        self._claim: socket.socket | None = None
        self._lifetime: asyncio.Task[None] | None = None

    @property
    def catalog(self) -> Catalog:
        """The catalog in force."""
        return self.catalog_file.catalog

    @property
    def backend(self) -> Backend:
        """The backend, made at the first use."""
        if self._backend is None:
            self._backend = self._new_backend()
        return self._backend

    @property
    def last_contact(self) -> float | None:
        """When the backend was last heard of, in seconds since 1970; None if there is no backend yet."""
        return self._backend.last_contact() if self._backend else None

    def begin(self) -> None:
        """Watch the catalog from now on, until the running loop ends. Idempotent."""
        if self._lifetime is None:
            self.catalog_file.keep_looking()
            self._lifetime = asyncio.ensure_future(self._close_with_the_loop())

    def claim_id(self) -> None:
        """Claim the hub's id for this process. Raises SetupError if another hub on this machine has it."""
        self._claim = claim(self.settings.hub_id)

    def keep_networks(self, networks: NetworkKeeper) -> None:
        """Keep the servers' networks on Docker as long as the runtime lives. Call it before the backend is used."""
        self.networks = networks
        if self._lifetime is not None:
            networks.begin()

    async def close(self) -> None:
        """End the catalog's watch, the backend's threads and its connections. Servers run on."""
        _runtimes.pop(self.settings, None)
        self.catalog_file.stop_looking()
        if self.networks is not None:
            await self.networks.close()
        if self._backend is not None:
            await self._backend.close()
        if self._claim is not None:
            self._claim.close()

    async def _close_with_the_loop(self) -> None:
        """Wait for the end of the hub, which has no hook for it: it cancels all tasks and waits for them."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    # What may be started

    def allowance(self, person: Person) -> Allowance:
        """What a user may choose now."""
        return allowance_for(self.catalog, person)

    async def machine(self) -> Machine | None:
        """The machine that all servers share, if there is one; unknown while the engine is away."""
        try:
            return await self.backend.machine()
        except BackendError:
            return None

    def has_server_at(self, host: str) -> bool:
        """Return whether one of the hub's servers is at an IP address, as far as the backend has heard."""
        return self._backend is not None and self._backend.servers.has_address(host)

    # Homes

    def home_of(self, own: HomeRef) -> HomeRef:
        """The home of the user whose home would be `own`. Raises HomeRefused if another user has that."""
        if self._assignments is None:
            return own
        home = self._assignments.home_of(own)
        if self.settings.backend == "docker" and self.catalog.home.docker.path:
            made_for = self._assignments.folder_made_for(home)
            if made_for != home:
                raise HomeRefused(not_theirs("folder", home, made_for))
        return home

    async def remove_home(self, home: HomeRef) -> None:
        """Delete a home and its assignment. Raises BackendError."""
        if homes := self.backend.homes:
            await homes.remove(home)
        if self._assignments:
            self._assignments.forget(home)

    # The backend

    def _new_backend(self) -> Backend:
        hub_id = self.settings.hub_id
        if self.settings.backend == "memory":
            return MemoryBackend(self._images_in_memory)
        if self.settings.backend == "kubernetes":
            # Imported where it is used: the client takes half a second, which a hub on Docker need not wait.
            from stateroom.backends.kubernetes import KubernetesBackend  # noqa: PLC0415
            from stateroom.backends.kubernetes.manifests import site_of  # noqa: PLC0415

            # Another namespace counts from the hub's next start: servers would be lost sight of in the old one.
            return KubernetesBackend(hub_id, self.catalog.kubernetes.namespace or "", lambda: site_of(self.catalog))
        return DockerBackend(hub_id, lambda: docker_settings(self.catalog, hub_id), self.networks)

    def _images_in_memory(self) -> dict[str, Behaviour]:
        return dict.fromkeys((image.image for image in self.catalog.images), Behaviour.ANSWERS)


_runtimes: dict[RuntimeSettings, Runtime] = {}


def add_runtime(runtime: Runtime) -> None:
    """Have this process use `runtime` wherever its settings are asked for."""
    _runtimes[runtime.settings] = runtime


def runtime_for(settings: RuntimeSettings) -> Runtime:
    """The process's runtime with these settings, begun on the running loop.

    There is one, unless an administrator gives some spawners other settings by
    hand, as by JupyterHub's group overrides. Raises CatalogError for such a catalog.
    """
    runtime = _runtimes.get(settings)
    if runtime is None:
        runtime = _runtimes[settings] = Runtime(settings)
    runtime.begin()
    return runtime


class _Metrics(Collector):
    """Among the hub's own metrics. In no probe: an engine that is away must not have a working hub restarted."""

    def collect(self) -> Iterator[Metric]:
        contacts = [runtime.last_contact for runtime in _runtimes.values() if runtime.last_contact is not None]
        if contacts:
            yield GaugeMetricFamily(
                "stateroom_backend_last_contact_timestamp_seconds",
                "Time at which the container engine or cluster was last heard of",
                value=min(contacts),
            )
        for networks in (runtime.networks for runtime in _runtimes.values() if runtime.networks is not None):
            yield GaugeMetricFamily(
                "stateroom_networks_whole",
                "Whether the servers' networks have all addresses and packet rules; no server is started where not",
                value=float(networks.is_whole),
            )
            repairs = CounterMetricFamily(
                "stateroom_network_repairs",
                "How often something of the servers' networks was missing and was brought back",
                labels=["kind"],
            )
            for kind in KINDS_OF_REPAIR:
                repairs.add_metric([kind], networks.repairs[kind])
            yield repairs


REGISTRY.register(_Metrics())
