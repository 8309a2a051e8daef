"""Hubs in which names come and go at random, to see whose files somebody finds."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyterhub import orm
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from harness.hub_database import HubDatabase, new_database
from stateroom.common.errors import HomeRefused
from stateroom.hub import numbers
from stateroom.storage.assignments import HomeAssignments
from stateroom.storage.homes import HomeRef

STEPS = 25


class World:
    """A hub with people, its accounts, database and records on disk. Subclasses say how a home is opened."""

    records_folders = False  # whether a home does not say by itself whose it is

    def __init__(self, folder: Path, hub_id: str, seed: int) -> None:
        self.folder = folder / "data"
        self.folder.mkdir(parents=True)
        self.hub_id = hub_id
        self.names = tuple(f"{name}{seed}" for name in ("ada", "bob", "eve"))
        self.chance = random.Random(seed)
        self.people: dict[str, int] = {}  # who has the account of an id
        self.backups: list[Path] = []
        self.born = 0
        self.opened = 0  # how often somebody found a home
        new_database(f"sqlite:///{self.folder / 'db'}").close()

    async def live(self) -> None:
        """Take a sequence of steps, by chance."""
        await self.open()
        kinds = [self.add, self.add, self.remove, self.rename, self.restart, self.back_up, self.restore]
        for _ in range(STEPS):
            await self.chance.choice([*kinds, self.start, self.start, self.start])()
            if self.chance.random() < 0.5:  # else several changes meet one look
                await self.hub.settle()
        await self.close()

    async def open(self) -> None:
        """Start the hub."""
        self.hub = HubDatabase(self.folder, Session(create_engine(f"sqlite:///{self.folder / 'db'}")))
        self.homes = HomeAssignments(self.folder / "homes.json")

    async def close(self) -> None:
        """End the hub."""
        for task in self.hub.access._ending.values():
            task.cancel()
        self.hub.db.close()
        self.hub.db.get_bind().dispose()

    async def open_home(self, home: HomeRef, person: int) -> int:
        """Start a server with a home; leave the person in a home that nobody is in, and return who is in it.

        Raises HomeRefused for a home that is not of the user's number.
        """
        raise NotImplementedError

    # What may happen

    async def add(self) -> None:
        name = self.chance.choice(self.names)
        if name not in self.hub.store.accounts():
            self.hub.store.add_without_password(name)
            self.born += 1
            self.people[self.hub.store.accounts()[name].id] = self.born

    async def remove(self) -> None:
        if name := self._somebody():
            self.hub.store.remove(name)

    async def rename(self) -> None:
        user, name = self.hub.db.query(orm.User).first(), self.chance.choice(self.names)
        if user and not orm.User.find(self.hub.db, name):  # as the hub checks
            user.name = name
            self.hub.db.commit()
            self.hub.access._followed = None  # as its event does

    async def restart(self) -> None:
        await self.close()
        await self.open()

    async def back_up(self) -> None:
        backup = self.folder.with_name(f"backup{len(self.backups)}")
        shutil.copytree(self.folder, backup)
        self.backups.append(backup)

    async def restore(self) -> None:
        if self.backups and not self.records_folders:  # a restored record knows nothing of folders made after it
            await self.close()
            shutil.rmtree(self.folder)
            shutil.copytree(self.chance.choice(self.backups), self.folder)
            await self.open()

    async def start(self) -> None:
        """Log in, and start a server; it finds its owner's files or none."""
        name = self._somebody()
        if not name or not await self.hub.access.is_gone(name) or name not in self.hub.store.accounts():
            return
        user = self.hub.log_in(name)
        account = self.hub.store.accounts()[name]
        if not self.hub.access.is_current(SimpleNamespace(id=user.id), account):
            return
        person = self.people[account.id]
        try:
            home = self.homes.home_of(HomeRef(self.hub_id, name, user.id))
            if self.records_folders and self.homes.folder_made_for(home) != home:  # as the runtime refuses it
                return
            found = await self.open_home(home, person)
        except HomeRefused:
            return
        self.opened += 1
        assert found == person, f"{name} sees another's files"

    def _somebody(self) -> str:
        names = sorted(self.hub.store.accounts())
        return self.chance.choice(names) if names else ""


@contextmanager
def numbers_by_a_quick_clock() -> Iterator[None]:
    """Number users as a hub does. Each look at the clock is a second later, so that a sequence takes no time."""
    now = [time.time()]

    def later() -> float:
        now[0] += 1
        return now[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "time", SimpleNamespace(time=later))
        patch.setattr(numbers, "_last", 0)
        patch.setattr(os, "fsync", lambda _: None)  # a thousand times on a disk
        numbers.never_give_a_number_twice()
        yield
        event.remove(orm.User, "before_insert", numbers._number)
