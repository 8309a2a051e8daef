"""Room in the hub's database for the time when its disk is full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyterhub import orm
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.orm import Session

from harness.hub_database import new_database
from stateroom.hub import database_room


@pytest.fixture
def room() -> Iterator[None]:
    database_room.keep_room_on_a_full_disk()
    database_room.keep_room_on_a_full_disk()
    yield
    event.remove(Engine, "connect", database_room._keep_room)


def with_a_full_disk(db: Session) -> Session:
    """What the file has is all that it will get."""
    pages = db.execute(text("PRAGMA page_count")).scalar_one()
    db.execute(text(f"PRAGMA max_page_count = {pages}"))
    return db


def add_users(db: Session, count: int = 100) -> None:
    db.add_all(orm.User(name=f"user{number}") for number in range(count))
    db.commit()


def journal(tmp_path: Path) -> int:
    return (tmp_path / "db-journal").stat().st_size


@pytest.mark.usefixtures("room")
def test_a_full_disk_has_room_for_the_hubs_changes(tmp_path: Path) -> None:
    with with_a_full_disk(new_database(f"sqlite:///{tmp_path / 'db'}")) as db:
        length = journal(tmp_path)
        for _ in range(2):
            add_users(db)
            db.query(orm.User).delete()
            db.commit()
        assert length > database_room._ROOM
        assert journal(tmp_path) == length, "it is not lengthened, nor given back"


def test_without_room_a_full_disk_refuses_them(tmp_path: Path) -> None:
    with with_a_full_disk(new_database(f"sqlite:///{tmp_path / 'db'}")) as db, pytest.raises(Exception, match="full"):
        add_users(db)


@pytest.mark.usefixtures("room")
def test_room_is_made_once_and_again_where_the_journal_was_removed(tmp_path: Path) -> None:
    def size() -> int:
        new_database(f"sqlite:///{tmp_path / 'db'}").get_bind().dispose()
        return (tmp_path / "db").stat().st_size

    first = size()
    assert size() == first
    (tmp_path / "db-journal").unlink()
    assert size() < first + database_room._ROOM // 2, "most of it are the pages that were free"
    assert journal(tmp_path) > database_room._ROOM


@pytest.mark.usefixtures("room")
def test_a_disk_that_is_full_already_is_reported_and_does_not_end_the_hub(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_room, "_ROOM", 2**40)  # as much as no disk has
    engine = create_engine(f"sqlite:///{tmp_path / 'db'}")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    assert "could not take room" in caplog.text


@pytest.mark.usefixtures("room")
def test_a_database_in_memory_needs_none() -> None:
    with create_engine("sqlite://").connect() as connection:
        assert connection.execute(text("PRAGMA page_count")).scalar() == 0
