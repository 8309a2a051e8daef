"""The hub's id, which stands in the names and labels of all that it makes."""

from __future__ import annotations

import secrets
from pathlib import Path

from stateroom.catalog import parse_id
from stateroom.errors import CatalogError, CatalogFault

_FILE = "hub-id"


def given_hub_id(text: str, source: str) -> str:
    """The hub's id that an option or a variable, `source`, gives. Raises CatalogError for what is no id."""
    try:
        return parse_id(text)
    except ValueError as error:
        raise CatalogError([CatalogFault(source, str(error))]) from error


def stored_hub_id(data: Path) -> str:
    """The hub's id kept in `data`, made at the first call. Raises CatalogError for a file that holds none."""
    file = data / _FILE
    try:
        with file.open("x") as new:
            new.write(f"{secrets.token_hex(5)}\n")
    except FileExistsError:
        pass
    return known_hub_id(data)


def known_hub_id(data: Path) -> str:
    """The hub's id kept in `data`, "" if none was made yet. Raises CatalogError for a file that holds none."""
    file = data / _FILE
    try:
        return parse_id(file.read_text(errors="replace").strip())
    except FileNotFoundError:
        return ""
    except ValueError as error:
        raise CatalogError([CatalogFault(file.name, f"{error}, or remove the file to have an id made")]) from error
