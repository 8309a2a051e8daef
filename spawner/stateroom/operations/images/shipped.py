"""Builds the images that ship with Stateroom on the engine of this machine, and brings them to a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import docker
import platformdirs

from stateroom.common.quantity import format_image_size
from stateroom.images.build import parts_of, stored_image
from stateroom.images.metadata import Part
from stateroom.images.sources import RECIPES, USUAL, Recipe
from stateroom.images.transfer import IMPORT, load, push
from stateroom.operations.docker.build import build_with_progress
from stateroom.operations.docker.engine import connected
from stateroom.operations.report import Report

SHIPPED = tuple(RECIPES)
USUALLY_BUILT = tuple(USUAL)
LOAD_COMMAND = IMPORT  # containerd's, as Kubernetes uses it


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image on the engine that was built from this version's files."""

    reference: str
    built: bool  # False if it was up to date
    size: int
    parts: Sequence[Part]

    def lines(self) -> Iterator[str]:
        """Yield its state and size, then a line for each of its largest parts."""
        yield f"{self.reference} is {'built' if self.built else 'up to date'}: {format_image_size(self.size)}"
        for part in self.parts:
            yield f"{format_image_size(part.size):>10}  {part.step}"


def build_images(names: Sequence[str], report: Report, *, rebuild: bool = False) -> Iterator[BuiltImage]:
    """Build each image unless it is up to date; the usual ones if none is named. Raises SetupError."""
    log_folder = platformdirs.user_log_path("stateroom", appauthor=False)
    engine = connected()
    for recipe in _recipes(names):
        built = build_with_progress(report, engine, recipe, log_folder, rebuild=rebuild)
        if image := built_image(engine, recipe.reference, built=built):
            yield image


def built_image(engine: docker.APIClient, reference: str, *, built: bool) -> BuiltImage | None:
    """Return what the engine has of an image, or None if it was removed in the meantime."""
    image = stored_image(engine, reference)
    return BuiltImage(reference, built, image.size, parts_of(engine, image)) if image else None


def push_images(names: Sequence[str], registry: str, report: Report) -> Iterator[str]:
    """Push images to a registry, and yield the name of each there. Raises SetupError."""
    engine = connected()
    for recipe in _recipes(names):
        with report.share(f"Pushing {recipe.reference}") as share:
            name = push(engine, recipe.reference, registry, share)
        yield name


def load_images(names: Sequence[str], command: str, report: Report) -> Iterator[str]:
    """Pass images to a command that loads them on a node, and yield each that is loaded. Raises SetupError."""
    engine = connected()
    for recipe in _recipes(names):
        with report.share(f"Loading {recipe.reference}") as share:
            load(engine, recipe.reference, command, share)
        yield recipe.reference


def _recipes(names: Sequence[str]) -> Iterator[Recipe]:
    return (RECIPES[name]() for name in names or USUAL)
