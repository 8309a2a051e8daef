"""What the hub's own database says, read and never written, whether or not the hub runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from stateroom.errors import SetupError

_PATIENCE = 10.0  # seconds for the hub to finish what it writes

# The hub ties a server's row to an address before it asks for the server, and unties it once that is gone.
_ACTIVE = "SELECT users.name, spawners.name FROM spawners JOIN users ON users.id = user_id WHERE server_id IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Records:
    """The hub's users by number, and which servers it takes for running, starting or stopping."""

    users: Mapping[int, str]
    active: frozenset[tuple[str, str]]  # user and server name

    def number(self, user: str) -> int | None:
        """The user's number, None for somebody who never logged in."""
        return next((number for number, name in self.users.items() if name == user), None)


def read_records(file: Path) -> Records:
    """What the database holds now. Raises SetupError where it is not there or cannot be read."""
    if not file.exists():
        raise SetupError(
            f"There is no database of a hub at {file}. Run `stateroom up` first, or name the folder with --data."
        )
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=_PATIENCE)) as database:
            database.execute("BEGIN")  # both answers from one moment
            users = dict(database.execute("SELECT id, name FROM users"))
            active = frozenset((user, server) for user, server in database.execute(_ACTIVE))
            return Records(users, active)
    except sqlite3.Error as error:
        raise SetupError(
            f'The hub\'s database {file} cannot be read: "{error}". Start the hub once, and try again.'
        ) from error
