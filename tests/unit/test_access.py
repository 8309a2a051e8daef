"""The access of a hub's users follows the accounts file, with the hub's own database and no hub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from jupyterhub import orm

from harness.hub_database import FakeSpawner, HubDatabase
from stateroom.operations import accounts

PASSWORD = "correct horse battery"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubDatabase:
    monkeypatch.setattr(accounts, "_hasher", accounts.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    hub = HubDatabase(tmp_path)
    hub.store.add("ada", PASSWORD)
    hub.store.add("root", PASSWORD, admin=True)
    return hub


async def test_a_removed_account_takes_session_tokens_servers_and_number_with_it(hub: HubDatabase) -> None:
    ada, root = hub.log_in("ada"), hub.log_in("root")
    number, cookie = ada.id, root.cookie_id
    hub.users.spawners[number] = {"": FakeSpawner(_at_once), "b": FakeSpawner(_at_once, "spawn")}
    hub.store.remove("ada")
    hub.access.follow()
    assert not ada.api_tokens, "they end at once, before any server does"
    await hub.settle()
    assert hub.names() == ["root"]
    assert hub.users.stopped == [("ada", "")], "the other one was starting, and its start was ended"
    assert hub.routes == ["ada/"]
    assert (root.cookie_id, len(root.api_tokens)) == (cookie, 1)
    assert str(number) not in json.loads(hub.record.read_text())["users"]


@pytest.mark.parametrize("running", [True, False], ids=["while the hub runs", "while it does not"])
async def test_another_account_of_the_same_name_is_another_user(hub: HubDatabase, running: bool) -> None:
    number = hub.log_in("ada").id
    hub.store.remove("ada")
    hub.store.add("ada", PASSWORD)
    if not running:
        hub.restart()
    account = hub.store.accounts()["ada"]
    assert not hub.access.is_current(SimpleNamespace(id=number), account)
    await hub.settle()
    assert hub.names() == []
    assert await hub.access.is_gone("ada")
    assert hub.access.is_current(hub.log_in("ada"), account)


async def test_a_login_waits_for_what_is_left_of_an_earlier_user(hub: HubDatabase) -> None:
    end = asyncio.Event()
    ada = hub.log_in("ada")
    hub.users.spawners[ada.id] = {"": FakeSpawner(_waiting_for(end))}
    hub.store.remove("ada")
    hub.store.add("ada", PASSWORD)
    waiting = asyncio.create_task(hub.access.is_gone("ada"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    end.set()
    assert await asyncio.wait_for(waiting, 30)
    assert hub.names() == []


async def test_a_server_that_cannot_be_ended_now_is_ended_later(
    hub: HubDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stateroom.hub.accounts.access._PAUSE_SECONDS", 0.0)
    failures = iter([OSError("the engine is away"), OSError("still")])
    ada = hub.log_in("ada")

    async def end() -> None:
        if error := next(failures, None):
            raise error

    hub.users.spawners[ada.id] = {"": FakeSpawner(end)}
    hub.store.remove("ada")
    for _ in range(3):
        await hub.settle()
    assert hub.names() == []


async def test_a_new_password_ends_sessions_and_tokens_but_those_of_servers(hub: HubDatabase) -> None:
    ada = hub.log_in("ada")
    kept = orm.APIToken(user=ada, hashed="kept", prefix="k")
    hub.db.add(kept)
    hub.db.commit()
    ada._orm_spawners.append(orm.Spawner(name="", state={"token_id": kept.id}))
    hub.db.commit()
    cookie = ada.cookie_id
    hub.store.set_password("ada", PASSWORD)
    await hub.settle()
    assert ada.cookie_id != cookie
    assert [token.id for token in ada.api_tokens] == [kept.id]
    assert hub.names() == ["ada"]


async def test_a_withdrawn_admin_right_ends_sessions_and_a_new_one_does_not(hub: HubDatabase) -> None:
    ada, root = hub.log_in("ada"), hub.log_in("root")
    await hub.settle()
    before = ada.cookie_id, root.cookie_id
    assert (ada.admin, root.admin) == (False, True)
    hub.store.set_admin("ada", admin=True)
    hub.store.set_admin("root", admin=False)
    await hub.settle()
    assert (ada.admin, root.admin) == (True, False)
    assert ada.cookie_id == before[0]
    assert root.cookie_id != before[1]
    assert [role.name for role in root.roles] == ["user"]


async def test_what_an_admin_changes_on_the_hubs_pages_goes_into_the_file(hub: HubDatabase) -> None:
    hub.access.begin()
    ada = hub.log_in("ada")
    await hub.settle()
    ada.name, ada.admin = "countess", True
    hub.db.commit()
    await hub.settle()
    assert hub.names() == ["countess"]
    account = hub.store.accounts()["countess"]
    assert (account.admin, "ada" in hub.store.accounts()) == (True, False)
    assert hub.store.verified("countess", PASSWORD)
    assert hub.access._keeping is not None
    hub.access._keeping.cancel()


async def test_nobody_takes_another_accounts_name(hub: HubDatabase) -> None:
    ada = hub.log_in("ada")
    ada.name = "root"
    hub.db.commit()
    await hub.settle()
    assert (hub.names(), sorted(hub.store.accounts())) == (["ada"], ["ada", "root"])


async def test_a_file_that_is_missing_or_broken_ends_nobodys_access(hub: HubDatabase) -> None:
    ada = hub.log_in("ada")
    file = hub.record.with_name("accounts.json")
    content, cookie = file.read_text(), ada.cookie_id
    file.unlink()
    await hub.settle()
    file.write_text("{")
    with pytest.raises(accounts.SetupError):
        hub.access.follow()
    file.write_text(content)
    await hub.settle()
    assert (hub.names(), ada.cookie_id) == (["ada"], cookie)


async def test_somebody_in_a_group_who_never_logged_in_needs_no_account(hub: HubDatabase) -> None:
    hub.db.add(orm.User(name="later"))
    hub.db.commit()
    await hub.settle()
    assert hub.names() == ["later"]


async def test_a_full_disk_ends_nobodys_access_and_the_record_is_written_once_there_is_room(
    hub: HubDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = hub.log_in("ada")
    hub.store.set_admin("ada", admin=True)
    with monkeypatch.context() as full:
        full.setattr("stateroom.hub.accounts.access.replace_file", Mock(side_effect=OSError(28, "No space left")))
        await hub.settle()
    assert ada.admin
    assert json.loads(hub.record.read_text())["users"][str(ada.id)]["admin"] is False
    hub.access._keep_record()
    assert json.loads(hub.record.read_text())["users"][str(ada.id)]["admin"] is True


async def test_a_damaged_record_is_made_again(hub: HubDatabase) -> None:
    ada = hub.log_in("ada")
    hub.record.write_text('{"users": {"1": {"name": 3}}}')
    hub.restart()
    await hub.settle()
    assert hub.names() == ["ada"]
    assert json.loads(hub.record.read_text())["users"][str(ada.id)]["name"] == "ada"


async def _at_once() -> None:
    return


def _waiting_for(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def end() -> None:
        await asyncio.wait_for(event.wait(), 30)

    return end
