"""The hub's side of the accounts, without a hub."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tornado import web

from stateroom.hub.accounts import login_queue
from stateroom.hub.accounts.authenticator import AccountsAuthenticator
from stateroom.hub.accounts.login_queue import LoginQueue
from stateroom.operations import accounts
from stateroom.operations.accounts import AccountStore

PASSWORD = "correct horse battery"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AccountStore:
    monkeypatch.setattr(accounts, "_hasher", accounts.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    store = AccountStore(tmp_path / "accounts.json")
    store.add("ada", PASSWORD)
    store.add("root", PASSWORD, admin=True)
    return store


@pytest.fixture
def authenticator(store: AccountStore, tmp_path: Path) -> AccountsAuthenticator:  # noqa: ARG001 - it fills the file
    return AccountsAuthenticator(accounts_file=str(tmp_path / "accounts.json"))


async def log_in(authenticator: AccountsAuthenticator, name: str, password: str = PASSWORD) -> Any:
    return await authenticator.get_authenticated_user(None, {"username": name, "password": password})


async def test_every_account_may_log_in_and_no_one_else(authenticator: AccountsAuthenticator) -> None:
    ada = await log_in(authenticator, "Ada")
    assert (ada["name"], ada["admin"]) == ("ada", False)
    assert (await log_in(authenticator, "root"))["admin"] is True
    assert await log_in(authenticator, "ada", "another password") is None
    assert await log_in(authenticator, "nobody") is None


@pytest.mark.parametrize("data", [{}, {"username": "ada"}, {"password": PASSWORD}, {"username": "x" * 10**6}])
async def test_a_form_with_less_in_it_is_a_failed_login(
    authenticator: AccountsAuthenticator, data: dict[str, str]
) -> None:
    assert await authenticator.authenticate(None, data) is None


async def test_a_session_lives_as_long_as_its_account(
    authenticator: AccountsAuthenticator, store: AccountStore
) -> None:
    ada = SimpleNamespace(name="ada", admin=False)
    assert await authenticator.refresh_user(ada) is True
    store.remove("ada")
    assert await authenticator.refresh_user(ada) is False


async def test_the_file_decides_who_is_an_admin(authenticator: AccountsAuthenticator) -> None:
    promoted = SimpleNamespace(name="ada", admin=True)
    assert await authenticator.refresh_user(promoted) == {"name": "ada", "admin": False}


async def test_the_hub_looks_again_within_seconds_and_before_a_start(authenticator: AccountsAuthenticator) -> None:
    assert 0 < authenticator.auth_refresh_age <= 10
    assert getattr(authenticator, "auth_refresh_strict", True)  # JupyterHub before 6.1 knows no other way
    assert authenticator.refresh_pre_spawn


async def test_a_broken_file_lets_nobody_in_and_throws_nobody_out(
    authenticator: AccountsAuthenticator, tmp_path: Path
) -> None:
    (tmp_path / "accounts.json").write_text("{")
    with pytest.raises(web.HTTPError) as refusal:
        await log_in(authenticator, "ada")
    assert refusal.value.status_code == 503
    assert await authenticator.refresh_user(SimpleNamespace(name="ada", admin=False)) is True


async def test_a_user_deleted_in_the_hub_cannot_come_back(
    authenticator: AccountsAuthenticator, store: AccountStore
) -> None:
    authenticator.delete_user(SimpleNamespace(name="ada"))
    authenticator.delete_user(SimpleNamespace(name="nobody"))
    assert list(store.accounts()) == ["root"]


async def test_more_logins_at_once_than_may_wait_are_turned_away(
    authenticator: AccountsAuthenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_queue, "MOST_OF_A_SOURCE", 40)
    authenticator._logins = LoginQueue(lambda *_: time.sleep(0.01))
    ended = await asyncio.gather(*(log_in(authenticator, f"name{n}") for n in range(60)), return_exceptions=True)
    refused = [end for end in ended if isinstance(end, web.HTTPError)]
    assert {end.status_code for end in refused} == {429}
    assert {end.log_message for end in refused} == {
        "Too many people log in from your address at this moment. Try again in a minute."
    }
    assert ended.count(None) == 40 + login_queue.CHECKS_AT_ONCE


async def test_the_hub_goes_on_while_a_password_is_checked(
    authenticator: AccountsAuthenticator,
) -> None:
    go_on = threading.Event()

    def verified(*_: object) -> None:
        go_on.wait(10)

    authenticator._logins = LoginQueue(verified)
    checking = asyncio.create_task(log_in(authenticator, "ada"))
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert not checking.done(), "had it held the loop, it would be done by now"
    go_on.set()
    await asyncio.wait_for(checking, 30)
