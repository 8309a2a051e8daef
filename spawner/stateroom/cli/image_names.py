"""The images that the commands are about: those that ship with Stateroom, and those that the catalog names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stateroom.catalog import Catalog, Image
from stateroom.errors import SetupError
from stateroom.inventory import KERNELS_LABEL
from stateroom.recipes import RECIPES, Recipe
from stateroom.wording import joined, quoted


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image by its reference, with what makes it, and what the catalog says of it; either may be None."""

    name: str
    reference: str
    recipe: Recipe | None = None
    entry: Image | None = None

    @property
    def serves_notebooks(self) -> bool:
        """False for the hub's and the proxy's."""
        return self.recipe is None or KERNELS_LABEL.encode() in self.recipe.files["Dockerfile"]

    @property
    def remedy(self) -> str:
        """How the engine comes to have it."""
        return f"`stateroom images build {self.recipe.name}`" if self.recipe else f"`docker pull {self.reference}`"


def all_images(catalog: Catalog) -> Iterator[NamedImage]:
    """Those of the catalog, then what else ships with Stateroom."""
    recipes = _recipes()
    for entry in catalog.images:
        yield NamedImage(entry.id, entry.image, recipes.get(entry.image), entry)
    named = {entry.image for entry in catalog.images}
    for reference, recipe in recipes.items():
        if reference not in named:
            yield NamedImage(recipe.name, reference, recipe)


def images_named(words: Sequence[str], catalog: Catalog) -> list[NamedImage]:
    """Each by its id in the catalog, its name among Stateroom's own, or its reference; the catalog's if none is named.

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
