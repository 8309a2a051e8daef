"""A hub's own database with the accounts beside it, and no hub."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jupyterhub import orm
from jupyterhub.roles import create_role, get_default_roles
from jupyterhub.utils import utcnow

from stateroom.hub.accounts.access import Access
from stateroom.operations.accounts import AccountStore


class FakeSpawner:
    """A server, as far as its end is concerned."""

    def __init__(self, end: Callable[[], Awaitable[None]], pending: str | None = None) -> None:
        self.pending = pending
        self.active = True
        self.ends_at_once = False
        self.end = end

    async def stop(self) -> None:
        self.pending = None
        self.active = False


class FakeUsers:
    """The hub's dictionary of users."""

    def __init__(self, db: Any) -> None:
        self.db = db
        self.spawners: dict[int, dict[str, FakeSpawner]] = {}
        self.stopped: list[tuple[str, str]] = []

    def __getitem__(self, number: int) -> Any:
        user = self.db.get(orm.User, number)
        spawners = self.spawners.get(number, {})

        async def stop(name: str) -> None:
            await spawners[name].end()
            spawners[name].active = False
            self.stopped.append((user.name, name))

        return SimpleNamespace(
            id=number, name=user.name, orm_user=user, orm_spawners=dict(spawners), spawners=spawners, stop=stop
        )

    def delete(self, user: Any) -> None:
        self.db.delete(user.orm_user)
        self.db.commit()


class HubDatabase:
    """A hub's database with the accounts beside it."""

    def __init__(self, folder: Path, db: Any = None) -> None:
        self.db = db or new_database("sqlite:///:memory:")
        self.users = FakeUsers(self.db)
        self.routes: list[str] = []
        self.proxy = SimpleNamespace(delete_user=self._delete_route)
        self.store = AccountStore(folder / "accounts.json")
        self.record = folder / "access.json"
        self.access = Access(self, self.store)

    async def _delete_route(self, user: Any, name: str) -> None:
        self.routes.append(f"{user.name}/{name}")

    def log_in(self, name: str) -> orm.User:
        """The user of the hub, with a session and a token, as a login makes it."""
        user = orm.User.find(self.db, name)
        if user is None:
            user = orm.User(name=name, last_activity=utcnow(with_tz=False))
            self.db.add(user)
            self.db.commit()
            self.access.admit(SimpleNamespace(orm_user=user))
        self.db.add(orm.APIToken(user=user, hashed=f"x{random.random()}", prefix="x"))
        self.db.commit()
        return user

    def restart(self) -> None:
        self.access = Access(self, self.store)

    def names(self) -> list[str]:
        return sorted(user.name for user in self.db.query(orm.User))

    async def settle(self) -> None:
        self.access.follow()
        await asyncio.wait_for(asyncio.gather(*self.access._ending.values()), 30)


def new_database(url: str) -> Any:
    """A session of a database as a hub makes it, with the usual roles."""
    db = orm.new_session_factory(url)()
    for role in get_default_roles():
        create_role(db, role)
    return db
