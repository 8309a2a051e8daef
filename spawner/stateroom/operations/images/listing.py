"""Lists the images that ship with Stateroom and those of the catalog, and what the engine has of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stateroom.common.quantity import format_image_size
from stateroom.images.build import SOURCE_LABEL, stored_image
from stateroom.images.metadata import StoredImage
from stateroom.operations.docker.engine import connected
from stateroom.operations.images.names import NamedImage, all_images
from stateroom.operations.local.catalog_file import chosen_catalog

COLUMNS = ("image", "reference", "is", "size", "kernels", "versions")

Stored = tuple[NamedImage, StoredImage | None]


def images_with_stored(catalog_file: Path | None) -> list[Stored]:
    """Return every image with what the engine has of it. Raises SetupError and CatalogError."""
    images, engine = list(all_images(chosen_catalog(catalog_file))), connected()
    return [(image, stored_image(engine, image.reference)) for image in images]


def row(image: NamedImage, stored: StoredImage | None) -> tuple[str, ...]:
    """Return one image's cells."""
    if stored is None:
        return image.name, image.reference, "not here", "", "", ""
    kernels = ", ".join(stored.kernels or ())
    return (
        image.name,
        image.reference,
        state(image, stored),
        format_image_size(stored.size),
        kernels,
        ", ".join(stored.versions),
    )


def state(image: NamedImage, stored: StoredImage) -> str:
    """Return whether the engine's image was built from the files of this very Stateroom."""
    if image.recipe is None:
        return "here"
    return "up to date" if stored.labels.get(SOURCE_LABEL) == image.recipe.digest else "superseded"


def advice(rows: Sequence[Stored]) -> list[str]:
    """Return what to do about images that are missing or superseded."""
    old = [image for image, stored in rows if image.recipe and stored and state(image, stored) == "superseded"]
    absent = [image for image, stored in rows if stored is None]
    builds = [image.recipe.name for image in (*old, *absent) if image.recipe]
    lines = [f"To build what is missing or superseded: stateroom images build {' '.join(builds)}"] if builds else []
    if any(image.recipe is None for image in absent):
        lines.append("Other images are pulled when a server of theirs is first started.")
    return lines
