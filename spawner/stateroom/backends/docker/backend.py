"""The Docker backend: the servers of one hub as containers of one engine."""

from __future__ import annotations

from collections.abc import Callable

from stateroom.backends.docker.containers import Containers
from stateroom.backends.docker.engine import Engine
from stateroom.backends.docker.network_keeper import NetworkKeeper
from stateroom.backends.docker.payload import DockerSettings
from stateroom.backends.lifecycle import Lifecycle
from stateroom.common.quantity import Machine


class DockerBackend:
    """See `base.Backend`. `settings` returns what the catalog says of the engine now; each start reads it once.

    Without `networks`, the caller must prepare the networks of the servers.
    """

    def __init__(self, hub: str, settings: Callable[[], DockerSettings], networks: NetworkKeeper | None = None) -> None:
        self._engine = Engine()
        self._containers = Containers(self._engine, hub, settings, networks)
        self._watch = self._containers.watch
        if networks is not None:
            networks.on_rejoin = self._watch.refresh_soon
        self.servers = Lifecycle(self._containers, self._watch.picture)
        self.homes = self._containers.homes

    async def machine(self) -> Machine | None:
        """See Backend.machine."""
        return await self._watch.machine()

    def last_contact(self) -> float:
        """See Backend.last_contact."""
        return self._watch.picture.last_contact()

    async def close(self) -> None:
        """See Backend.close."""
        await self.servers.close()
        await self._watch.close()
        self._engine.close()
