"""What is compared on the way to the first cell: an image, and the spawner that starts it.

The same limits (1 CPU, 2 GiB), a network of its own, a home as a volume that is
there from an earlier start, and a form whose button starts the server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker

from benchmark.side_by_side.docker_sides import DockerSide, DockerSpawnerSide
from stateroom.images.build import build
from stateroom.images.sources import Recipe

MEMORY_MIB = 2048
_MOUNT = "/home/jovyan/notebooks"
_PLAIN_LAB = Path(__file__).with_name("plain_lab")


def plain_lab() -> Recipe:
    """JupyterLab as it comes, for the image's own share of the wait."""
    files = {path.name: path.read_bytes() for path in _PLAIN_LAB.iterdir()}
    return Recipe("plain-lab", "image of plain JupyterLab", "stateroom.benchmark/plain-lab:1", "JupyterLab", files)


def make_plain_lab(client: docker.APIClient, log: Path) -> str:
    """Build it unless the engine has it from these very files. Raises SetupError."""
    recipe = plain_lab()
    build(client, recipe, lambda _: None, log)
    return recipe.reference


class LabSide(DockerSide):
    """A side with an image that serves JupyterLab."""

    def __init__(self, client: docker.APIClient, hub_id: str, name: str, image: str) -> None:
        super().__init__(client, hub_id)
        self.name = name
        self.image = image


class OnStateroom(LabSide):
    """Its one line of configuration, and a catalog of one image and one size."""

    def configuration(self, folder: Path) -> str:
        """See Side."""
        catalog = folder / "catalog.yaml"
        catalog.write_text(
            f"version: 1\n"
            f"hub: {self.hub_id}\n"
            f"images:\n"
            f"  - {{id: lab, title: {self.name!r}, image: '{self.image}', default: true}}\n"
            f"sizes:\n"
            f"  - {{id: small, title: Small, cpu: 1, memory: {MEMORY_MIB} MiB, default: true}}\n"
        )
        return f"import stateroom\nstateroom.configure(c, catalog={str(catalog)!r})\n"


class OnDockerSpawner(DockerSpawnerSide, LabSide):
    """With a form that asks for nothing: its button is what is clicked."""

    def settings(self) -> dict[str, Any]:
        """See DockerSpawnerSide."""
        return {
            "image": self.image,
            "notebook_dir": _MOUNT,
            "mem_limit": f"{MEMORY_MIB}M",
            "options_form": "<p>Small: 1 CPU, 2 GiB</p>",
        }
