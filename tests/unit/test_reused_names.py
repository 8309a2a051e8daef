"""Names that come and go: whoever starts a server gets their own files, and never anybody else's."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from jupyterhub import orm
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from harness.hub_database import HubDatabase, new_database
from stateroom.common.errors import HomeRefused, SetupError
from stateroom.hub import numbers
from stateroom.storage.assignments import HomeAssignments
from stateroom.storage.homes import HomeRef, home_from_labels

SEQUENCES = int(os.environ.get("STATEROOM_SEQUENCES", "25"))  # of each kind; a thousand take some minutes
STEPS = 25
NAMES = ("ada", "bob", "eve")
HUB = "hub"


class World:
    """A hub with people. Volumes have labels and whose files are in them; folders have only those."""

    def __init__(self, folder: Path, chance: random.Random, *, folders: bool) -> None:
        self.folder = folder
        self.chance = chance
        self.folders = folders
        self.volumes: dict[str, dict[str, str]] = {}
        self.files: dict[str, int] = {}  # a person, by the home's name
        self.people: dict[str, int] = {}  # who has the account of an id
        self.backups: list[Path] = []
        self.born = 0
        self.open()

    def open(self) -> None:
        """Start the hub."""
        self.hub = HubDatabase(self.folder, Session(create_engine(f"sqlite:///{self.folder / 'db'}")))
        self.homes = HomeAssignments(self.folder / "homes.json")

    def close(self) -> None:
        for task in self.hub.access._ending.values():
            task.cancel()
        self.hub.db.close()
        self.hub.db.get_bind().dispose()

    # What may happen

    async def add(self) -> None:
        name = self.chance.choice(NAMES)
        if name not in self.hub.store.accounts():
            self.hub.store.add_without_password(name)
            self.born += 1
            self.people[self.hub.store.accounts()[name].id] = self.born

    async def remove(self) -> None:
        if name := self._somebody():
            self.hub.store.remove(name)

    async def rename(self) -> None:
        user, name = self.hub.db.query(orm.User).first(), self.chance.choice(NAMES)
        if user and not orm.User.find(self.hub.db, name):  # as the hub checks
            user.name = name
            self.hub.db.commit()
            self.hub.access._followed = None  # as its event does

    async def restart(self) -> None:
        self.close()
        self.open()

    async def back_up(self) -> None:
        backup = self.folder.with_name(f"backup{len(self.backups)}")
        shutil.copytree(self.folder, backup)
        self.backups.append(backup)

    async def restore(self) -> None:
        if self.backups and not self.folders:  # a restored record knows nothing of folders made after it
            self.close()
            shutil.rmtree(self.folder)
            shutil.copytree(self.chance.choice(self.backups), self.folder)
            self.open()

    async def start(self) -> None:
        """Log in, and start a server; it finds its owner's files or none."""
        name = self._somebody()
        if not name or not await self.hub.access.is_gone(name) or name not in self.hub.store.accounts():
            return
        user = self.hub.log_in(name)
        account = self.hub.store.accounts()[name]
        if not self.hub.access.is_current(SimpleNamespace(id=user.id), account):
            return
        own = HomeRef(HUB, name, user.id)
        try:
            home = self.homes.home_of(own)
            if self.folders and self.homes.folder_made_for(home) != home:
                return
        except HomeRefused:
            return
        if not self.folders:
            labels = self.volumes.setdefault(home.name, dict(home.labels))
            if home_from_labels(labels, HUB) != home:
                return
        person = self.people[account.id]
        assert self.files.setdefault(home.name, person) == person, f"{name} sees another's files"

    def _somebody(self) -> str:
        names = sorted(self.hub.store.accounts())
        return self.chance.choice(names) if names else ""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each look at the clock is a second later, so that a sequence takes no time."""
    now = [time.time()]

    def later() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(numbers, "time", SimpleNamespace(time=later))
    monkeypatch.setattr(numbers, "_last", 0)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a thousand times on a disk
    numbers.never_give_a_number_twice()
    yield
    event.remove(orm.User, "before_insert", numbers._number)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("folders", [False, True], ids=["volumes", "folders"])
async def test_nobody_gets_anybody_elses_files(tmp_path: Path, *, folders: bool) -> None:
    empty = tmp_path / "empty"
    new_database(f"sqlite:///{empty}").close()
    for seed in range(SEQUENCES):
        place = tmp_path / str(seed)
        (place / "data").mkdir(parents=True)
        shutil.copy(empty, place / "data" / "db")
        world = World(place / "data", random.Random(seed), folders=folders)
        steps = [world.add, world.add, world.remove, world.rename, world.restart, world.back_up, world.restore]
        for _ in range(STEPS):
            try:
                await world.chance.choice([*steps, world.start, world.start, world.start])()
                if world.chance.random() < 0.5:  # else several changes meet one look
                    await world.hub.settle()
            except SetupError as error:
                pytest.fail(f"{seed}: {error}")
        world.close()
        shutil.rmtree(place)
