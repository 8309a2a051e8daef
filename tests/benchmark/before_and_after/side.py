"""Stateroom on Docker, at any commit.

Only what is public is used: the one line of configuration, and a catalog whose
keys all commits know. Names and labels of containers may differ between
commits, so a side's things are found by the hub's id, which is the value of
one of their labels whatever its key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError

from benchmark.side_by_side.docker_sides import DockerSide
from contract.engines import BASE_IMAGE
from stateroom.backends.docker.packet_filter import lift_isolation

_MEMORY_MIB = 128


class CommitSide(DockerSide):
    """One commit's spawner, with a network that the benchmark made and the catalog names."""

    def __init__(self, client: docker.APIClient, hub_id: str, name: str, image: str) -> None:
        super().__init__(client, hub_id, network=hub_id)  # a name that no commit gives of itself
        self.name = name
        self._image = image

    def configuration(self, folder: Path) -> str:
        """See DockerSide."""
        catalog = folder / "catalog.yaml"
        catalog.write_text(
            f"version: 1\n"
            f"hub: {self.hub_id}\n"
            f"images:\n"
            f"  - {{id: stub, image: '{self._image}', default: true}}\n"
            f"sizes:\n"
            f"  - {{id: small, cpu: 1, memory: {_MEMORY_MIB} MiB, default: true}}\n"
            f"docker: {{network: {self.network}}}\n"
        )
        return f"import stateroom\nstateroom.configure(c, catalog={str(catalog)!r}, backend='docker', data='.')\n"

    def has_server(self, user: str) -> bool:
        """See DockerSide."""
        return any(user in container["Labels"].values() for container in self.servers())

    def servers(self) -> list[dict[str, Any]]:
        """See DockerSide."""
        return [container for container in self.client.containers(all=True) if self._is_own(container)]

    def remove_all(self) -> None:
        """Remove containers, homes, packet rules and the network. What the engine does not let go of is left."""
        lift_isolation(self.client, self.hub_id, [BASE_IMAGE])
        for container in self.servers():
            self.remove(container["Id"])
        for volume in filter(self._is_own, self.client.volumes()["Volumes"] or ()):
            with contextlib.suppress(APIError):
                self.client.remove_volume(volume["Name"])
        for network in filter(self._is_own, self.client.networks()):
            with contextlib.suppress(APIError):
                self.client.remove_network(network["Id"])

    def _is_own(self, found: Mapping[str, Any]) -> bool:
        return self.hub_id in (found["Labels"] or {}).values()
