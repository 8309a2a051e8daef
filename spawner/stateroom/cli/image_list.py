"""`stateroom images list`: the images that ship with Stateroom and those of the catalog, and what the engine has."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stateroom.cli.arguments import chosen_catalog
from stateroom.cli.docker.engine import connected
from stateroom.cli.image_names import NamedImage, all_images
from stateroom.images import SOURCE_LABEL, stored_image
from stateroom.inventory import StoredImage, format_size

_COLUMNS = ("image", "reference", "is", "size", "kernels", "versions")
_WIDE = 300  # columns of what is no terminal, so that a line stays a line


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    images, engine = list(all_images(chosen_catalog(arguments))), connected()
    rows = [(image, stored_image(engine, image.reference)) for image in images]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for name in _COLUMNS:
        table.add_column(name)
    for image, stored in rows:
        table.add_row(*(Text(cell) for cell in row(image, stored)))
    console.print(table)
    for line in advice(rows):
        console.print(line, markup=False, soft_wrap=True)
    return 0


def row(image: NamedImage, stored: StoredImage | None) -> tuple[str, ...]:
    """One image's cells."""
    if stored is None:
        return image.name, image.reference, "not here", "", "", ""
    kernels = ", ".join(stored.kernels or ())
    return (
        image.name,
        image.reference,
        state(image, stored),
        format_size(stored.size),
        kernels,
        ", ".join(stored.versions),
    )


def state(image: NamedImage, stored: StoredImage) -> str:
    """Whether what the engine has is made from the files of this very Stateroom."""
    if image.recipe is None:
        return "here"
    return "up to date" if stored.labels.get(SOURCE_LABEL) == image.recipe.digest else "superseded"


def advice(rows: list[tuple[NamedImage, StoredImage | None]]) -> list[str]:
    """What to do about images that are missing or superseded."""
    old = [image for image, stored in rows if image.recipe and stored and state(image, stored) == "superseded"]
    absent = [image for image, stored in rows if stored is None]
    builds = [image.recipe.name for image in (*old, *absent) if image.recipe]
    lines = [f"To build what is missing or superseded: stateroom images build {' '.join(builds)}"] if builds else []
    if any(image.recipe is None for image in absent):
        lines.append("Other images are pulled when a server of theirs is first started.")
    return lines
