"""The hub's id, which stands in the names and labels of all that it makes."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

from stateroom.common.errors import CatalogError, CatalogFault
from stateroom.common.files import make_file

_FILE = "hub-id"
# A new id would leave all homes and servers behind.
_WHERE_IT_IS = (
    "Write the hub's id into the file: `settings.json` beside it has it, and so have the labels `io.stateroom.hub` "
    "of the hub's containers, volumes and claims"
)


def given_hub_id(text: str, source: str) -> str:
    """The hub's id that an option or a variable, `source`, gives. Raises CatalogError for what is no id."""
    try:
        return _id(text)
    except ValueError as error:
        raise CatalogError([CatalogFault(source, str(error))]) from error


def stored_hub_id(data: Path, last: str = "") -> str:
    """The hub's id kept in `data`, made at the first call. Raises CatalogError for a file that holds none.

    `last` is the id that the hub had, where something else than the file knows it: a lost file is made of it.
    """
    with contextlib.suppress(FileExistsError):
        make_file(data / _FILE, f"{last or secrets.token_hex(5)}\n")
    return known_hub_id(data)


def known_hub_id(data: Path) -> str:
    """The hub's id kept in `data`, "" if none was made yet. Raises CatalogError for a file that holds none."""
    file = data / _FILE
    try:
        return _id(file.read_text(errors="replace").strip())
    except FileNotFoundError:
        return ""
    except ValueError as error:
        raise CatalogError([CatalogFault(file.name, f"{error}. {_WHERE_IT_IS}")]) from error


def _id(text: str) -> str:
    # Imported here: `up` loads its hub first, and then what models of a catalog take.
    from stateroom.catalog.scalars import ID  # noqa: PLC0415

    return ID.parse(text)
