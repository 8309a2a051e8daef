"""`stateroom check`: whether a catalog holds, with a line for each fault."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stateroom.errors import CatalogError
from stateroom.loading import load_catalog


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `check`."""
    parser = commands.add_parser(
        "check",
        help="check a catalog file, with a line number for each fault",
        description="Check a catalog file. Prints a line for each fault and ends with 1 if there is any.",
        epilog="example: stateroom check catalog.yaml",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the catalog")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the file, and print what was found."""
    try:
        catalog = load_catalog(arguments.file)
    except CatalogError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        return 1
    images, sizes = _count(len(catalog.images), "image"), _count(len(catalog.sizes), "size")
    print(f"{arguments.file} holds: {images}, {sizes}.")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
