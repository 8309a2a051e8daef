"""Numbers of the hub's users."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from jupyterhub import orm
from sqlalchemy import event

from stateroom.hub import numbers


@pytest.fixture(autouse=True)
def numbered(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(numbers, "_last", 0)
    numbers.never_give_a_number_twice()
    numbers.never_give_a_number_twice()
    yield
    event.remove(orm.User, "before_insert", numbers._number)


def database(path: Path) -> Any:
    return orm.new_session_factory(f"sqlite:///{path}")()


def added(db: Any, *names: str) -> list[int]:
    users = [orm.User(name=name) for name in names]
    db.add_all(users)
    db.commit()
    return [user.id for user in users]


def test_users_of_one_transaction_have_numbers_of_their_own(tmp_path: Path) -> None:
    given = added(database(tmp_path / "db"), *(f"user{n}" for n in range(50)))
    assert len(set(given)) == 50


def test_the_number_of_a_deleted_user_is_not_given_again(tmp_path: Path) -> None:
    db = database(tmp_path / "db")
    (first,) = added(db, "ada")
    db.delete(db.get(orm.User, first))
    db.commit()
    assert added(db, "bob") > [first]


def test_a_restored_database_gives_no_number_of_those_who_came_after_the_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = database(tmp_path / "db")
    added(db, "ada")
    backup = (tmp_path / "db").read_bytes()
    after = added(db, "bob", "carol")
    (tmp_path / "restored").write_bytes(backup)
    now = time.time()
    monkeypatch.setattr(numbers, "_last", 0)  # another process
    monkeypatch.setattr(time, "time", lambda: now + 60)
    assert min(added(database(tmp_path / "restored"), "dan", "eve")) > max(after)


def test_numbers_that_are_there_stay_and_a_clock_that_is_late_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = database(tmp_path / "db")
    db.add(orm.User(id=7, name="earlier"))
    db.commit()
    (ada,) = added(db, "ada")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(numbers, "_last", 0)
    assert added(db, "bob") == [ada + 1]
    assert db.query(orm.User).filter_by(name="earlier").one().id == 7
