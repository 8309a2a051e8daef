"""Reads the hub's own database, and never writes to it, whether or not the hub runs.

Imported only where it is used: SQLAlchemy takes a fifth of a second to import, and few commands need it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, NullPool, Row, create_engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from stateroom.common.errors import SetupError
from stateroom.common.text import clipped
from stateroom.operations.local.records import Records

_TIMEOUT_SECONDS = 10  # for the hub to finish what it writes, or for a database to answer

# One statement, so that all is of one moment. The hub ties a server's row to an address before it asks for the
# server, and unties it once that is gone.
_ROWS = """
SELECT users.id, users.name, spawners.name AS server, spawners.server_id
FROM users LEFT JOIN spawners ON spawners.user_id = users.id
"""


def read_records(database: Path | str) -> Records:
    """Read the users and active servers from an SQLite file, or from a database at a URL.

    Raises SetupError where it is not there or cannot be read.
    """
    if isinstance(database, Path) and not database.exists():
        raise SetupError(
            f"There is no database of a hub at {database}. Start the hub first, or name its folder with --data."
        )
    try:
        rows = _rows(_engine_of_file(database) if isinstance(database, Path) else _engine_of_url(database))
    except (SQLAlchemyError, ImportError) as error:
        why = clipped(str(getattr(error, "orig", None) or error))
        raise SetupError(
            f'The hub\'s database {_without_password(database)} cannot be read: "{why}". '
            "Start the hub once, and try again."
        ) from error
    users = {row.id: row.name for row in rows}
    return Records(users, frozenset((row.name, row.server) for row in rows if row.server_id is not None))


def _rows(engine: Engine) -> list[Row[tuple[int, str, str | None, int | None]]]:
    with engine.connect().execution_options(postgresql_readonly=True) as connection:
        return list(connection.execute(text(_ROWS)))


def _engine_of_file(file: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=_TIMEOUT_SECONDS)

    return create_engine("sqlite://", creator=connect, poolclass=NullPool)


def _engine_of_url(address: str) -> Engine:
    url = make_url(address)
    if url.get_backend_name() == "sqlite" and url.database:
        return _engine_of_file(Path(url.database))
    waiting = {"connect_timeout": _TIMEOUT_SECONDS} if url.get_backend_name() == "postgresql" else {}
    return create_engine(url, poolclass=NullPool, connect_args=waiting)


def _without_password(database: Path | str) -> str:
    if isinstance(database, Path):
        return str(database)
    try:
        return make_url(database).render_as_string()
    except ArgumentError:
        return "at the URL that it was given"
