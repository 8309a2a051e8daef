"""What the hub's own database says, read and never written, whether or not the hub runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from stateroom.errors import SetupError
from stateroom.wording import clipped

if TYPE_CHECKING:
    from sqlalchemy import Engine, Row

_PATIENCE = 10  # seconds for the hub to finish what it writes, or for a database to answer

# One statement, so that all is of one moment. The hub ties a server's row to an address before it asks for the
# server, and unties it once that is gone.
_ROWS = """
SELECT users.id, users.name, spawners.name AS server, spawners.server_id
FROM users LEFT JOIN spawners ON spawners.user_id = users.id
"""


@dataclass(frozen=True, slots=True)
class Records:
    """The hub's users by number, and which servers it takes for running, starting or stopping."""

    users: Mapping[int, str]
    active: frozenset[tuple[str, str]]  # user and server name

    def number(self, user: str) -> int | None:
        """The user's number, None for somebody who never logged in."""
        return next((number for number, name in self.users.items() if name == user), None)


def read_records(database: Path | str) -> Records:
    """What the database holds now: SQLite's in a file, or one at a URL as the hub is given it.

    Raises SetupError where it is not there or cannot be read.
    """
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - a fifth of a second, which few commands need

    if isinstance(database, Path) and not database.exists():
        raise SetupError(
            f"There is no database of a hub at {database}. Start the hub first, or name its folder with --data."
        )
    try:
        rows = _rows(_engine_of_file(database) if isinstance(database, Path) else _engine_of_url(database))
    except (SQLAlchemyError, ImportError) as error:
        why = clipped(str(getattr(error, "orig", None) or error))
        raise SetupError(
            f'The hub\'s database {_shown(database)} cannot be read: "{why}". Start the hub once, and try again.'
        ) from error
    users = {row.id: row.name for row in rows}
    return Records(users, frozenset((row.name, row.server) for row in rows if row.server_id is not None))


def _rows(engine: Engine) -> list[Row[tuple[int, str, str | None, int | None]]]:
    from sqlalchemy import text  # noqa: PLC0415 - as above

    with engine.connect().execution_options(postgresql_readonly=True) as connection:
        return list(connection.execute(text(_ROWS)))


def _engine_of_file(file: Path) -> Engine:
    from sqlalchemy import NullPool, create_engine  # noqa: PLC0415 - as above

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=_PATIENCE)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _engine_of_url(text: str) -> Engine:
    from sqlalchemy import NullPool, create_engine, make_url  # noqa: PLC0415 - as above

    url = make_url(text)
    if url.get_backend_name() == "sqlite" and url.database:
        return _engine_of_file(Path(url.database))
    waiting = {"connect_timeout": _PATIENCE} if url.get_backend_name() == "postgresql" else {}
    return create_engine(url, poolclass=NullPool, connect_args=waiting)


def _shown(database: Path | str) -> str:
    """Without a password."""
    from sqlalchemy import make_url  # noqa: PLC0415 - as above
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - as above

    if isinstance(database, Path):
        return str(database)
    try:
        return make_url(database).render_as_string()
    except ArgumentError:
        return "at the URL that it was given"
