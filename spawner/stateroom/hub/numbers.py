"""The numbers of the hub's users, which say whose a home is: none is given twice, whatever happens to the database.

A database gives the number of a deleted last user to the next one, or, when a
backup of it is restored, those of all who came after the backup. So a new user's
number is the time in seconds, or more than the highest where that is ahead of it.
"""

from __future__ import annotations

import time
from typing import Any

from jupyterhub import orm
from sqlalchemy import Connection, event, func, select

_EPOCH = 1_767_225_600  # 2026-01-01; PostgreSQL's numbers end 68 years later

_last = 0  # that this process gave; several users of one transaction are numbered before any of them is inserted


def never_give_a_number_twice() -> None:
    """Number the users that this process makes from now on. Idempotent."""
    if not event.contains(orm.User, "before_insert", _number):
        event.listen(orm.User, "before_insert", _number)


def _number(_mapper: object, connection: Connection, user: Any) -> None:
    global _last  # noqa: PLW0603 - the hub's process has one database
    if user.id is None:
        highest = connection.execute(select(func.max(orm.User.id))).scalar() or 0
        _last = user.id = max(highest + 1, _last + 1, int(time.time()) - _EPOCH)
