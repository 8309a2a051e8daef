"""The images that ship with Stateroom, and those that the catalog names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.images import Image
from stateroom.common.errors import SetupError
from stateroom.common.text import joined, quoted
from stateroom.images.metadata import KERNELS_LABEL
from stateroom.images.sources import RECIPES, Recipe


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image by its reference, with its recipe and its catalog entry, either of which may be None."""

    name: str
    reference: str
    recipe: Recipe | None = None
    entry: Image | None = None

    @property
    def serves_notebooks(self) -> bool:
        """Whether servers run in it; False for the images of the hub and the proxy."""
        return self.recipe is None or KERNELS_LABEL.encode() in self.recipe.files["Dockerfile"]

    @property
    def remedy(self) -> str:
        """The command that brings the image to the engine."""
        return f"`stateroom images build {self.recipe.name}`" if self.recipe else f"`docker pull {self.reference}`"


def all_images(catalog: Catalog) -> Iterator[NamedImage]:
    """Yield the images of the catalog, then the others that ship with Stateroom."""
    recipes = _recipes()
    for entry in catalog.images:
        yield NamedImage(entry.id, entry.image, recipes.get(entry.image), entry)
    named = {entry.image for entry in catalog.images}
    for reference, recipe in recipes.items():
        if reference not in named:
            yield NamedImage(recipe.name, reference, recipe)


def images_named(words: Sequence[str], catalog: Catalog) -> list[NamedImage]:
    """Find images by ID in the catalog, by name among Stateroom's own, or by reference. Defaults to the catalog's.

    Raises SetupError for one in which no server runs.
    """
    images = list(all_images(catalog))
    # Of two that have the same word, the later is meant.
    known = {
        **{image.reference: image for image in images},
        **{image.recipe.name: image for image in images if image.recipe},
        **{image.name: image for image in images},
    }
    found = [known.get(word) or NamedImage(word, word) for word in words]
    for image in found:
        if not image.serves_notebooks:
            others = joined([other.name for other in images if other.serves_notebooks])
            raise SetupError(f"{quoted(image.name)} is no notebook image. Name one that is, such as {others}.")
    return found or [image for image in all_images(catalog) if image.entry]


def _recipes() -> dict[str, Recipe]:
    made = (recipe() for recipe in RECIPES.values())
    return {recipe.reference: recipe for recipe in made}
