"""What a hub does about servers that were starting or stopping when its database went away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from jupyterhub import orm
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from stateroom.hub import database_recovery as outage


class Spawner:
    """One whose watch ended, or whose start or stop goes on."""

    def __init__(self, *, unwatched: bool = False, pending: str | None = None) -> None:
        self.is_missing = unwatched
        self.pending = pending
        self.resumed = 0

    @property
    def watch(self) -> Spawner:
        return self

    async def resume(self, _ended: object) -> None:
        self.resumed += 1
        self.is_missing = False


@pytest.fixture
def db() -> Iterator[Session]:
    """A hub's database, with nothing in it."""
    engine = create_engine("sqlite://")
    orm.Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def hub_with(db: Session, **spawners: Spawner) -> Any:
    """A hub with a user for each."""
    users = {name: SimpleNamespace(spawners={"": spawner}) for name, spawner in spawners.items()}
    checks: list[object] = []

    async def check_routes(known: object, _services: object) -> None:
        checks.append(known)

    proxy = SimpleNamespace(check_routes=check_routes)
    return SimpleNamespace(users=users, db=db, _service_map={}, proxy=proxy, checks=checks)


async def test_who_is_taken_for_running_and_not_watched_is_looked_at(db: Session) -> None:
    lost, running = Spawner(unwatched=True), Spawner()
    hub = hub_with(db, lost=lost, running=running)
    await outage._settle(hub)
    assert (lost.resumed, running.resumed) == (1, 0)
    assert hub.checks == [hub.users]


async def test_what_was_under_way_is_looked_at_when_it_has_settled(
    db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "_PAUSE", 0.01)
    stopping = Spawner(pending="stop")
    settling = asyncio.ensure_future(outage._settle(hub_with(db, stopping=stopping)))
    await asyncio.sleep(0.05)
    assert stopping.resumed == 0
    stopping.pending, stopping.is_missing = None, True
    await settling
    assert stopping.resumed == 1


@pytest.mark.parametrize(("statement", "begun"), [("SELECT 1 FROM nothing", False), (None, True)])
async def test_a_database_that_cannot_be_reached_is_told_from_one_that_refuses(
    monkeypatch: pytest.MonkeyPatch, statement: str | None, *, begun: bool
) -> None:
    outages = outage.DatabaseRecovery()
    monkeypatch.setattr(outages, "_begin", begin := Mock())
    event.listen(Engine, "handle_error", outages.notice)
    engine = create_engine("sqlite://" if statement else "sqlite:////nowhere/hub.sqlite")
    try:
        with pytest.raises(SQLAlchemyError), engine.connect() as connection:
            connection.execute(text(statement or ""))
        await asyncio.sleep(0)
    finally:
        event.remove(Engine, "handle_error", outages.notice)
        engine.dispose()
    assert begin.called is begun
