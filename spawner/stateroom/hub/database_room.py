"""Room in the hub's SQLite file, so that a full disk keeps nobody from starting or stopping a server.

SQLite fills the free pages of its file before it lengthens the file, and keeps its
journal at its length with `journal_mode=PERSIST`. So some megabytes of both are
taken ahead. Not on file systems that write a copy of what is overwritten (btrfs,
ZFS): they want space for that as well.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from stateroom.common.quantity import MiB

log = logging.getLogger(__name__)

_ROOM = 4 * MiB  # some ten thousand starts
_TABLE = "stateroom_room"  # is there while room is made


def keep_room_on_a_full_disk() -> None:
    """Have room in each SQLite file that this process opens from now on. Idempotent."""
    if not event.contains(Engine, "connect", _keep_room):
        event.listen(Engine, "connect", _keep_room)


def _keep_room(connection: Any, _record: object) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    with closing(connection.cursor()) as cursor:
        file = cursor.execute("PRAGMA database_list").fetchone()[2]
        if not file:  # it is in memory
            return
        try:
            cursor.execute("PRAGMA journal_mode = PERSIST")
            if min(_free_bytes(cursor), _size(Path(f"{file}-journal"))) < _ROOM // 2:
                _make_room(connection, cursor)
        except sqlite3.Error as error:
            connection.rollback()
            log.warning("The hub's database could not take room for the time when the disk is full: %s", error)


def _free_bytes(cursor: sqlite3.Cursor) -> int:
    pages, size = (cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    return int(pages) * int(size)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _make_room(connection: sqlite3.Connection, cursor: sqlite3.Cursor) -> None:
    """Write as much and delete it: the pages stay in the file, and the journal had them at the second writing."""
    cursor.execute(f"DROP TABLE IF EXISTS {_TABLE}")
    cursor.execute(f"CREATE TABLE {_TABLE} (room BLOB)")
    cursor.execute(f"INSERT INTO {_TABLE} VALUES (zeroblob({_ROOM}))")  # noqa: S608 - of constants
    connection.commit()
    cursor.execute(f"UPDATE {_TABLE} SET room = zeroblob({_ROOM})")  # noqa: S608 - of constants
    connection.commit()
    cursor.execute(f"DROP TABLE {_TABLE}")
