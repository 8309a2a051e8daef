"""The hub's side of the accounts, without a hub."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tornado import web

from stateroom import accounts
from stateroom.accounts import AccountStore
from stateroom.authenticator import AccountsAuthenticator, Throttle

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


async def test_guesses_at_the_same_time_are_counted_one_by_one(authenticator: AccountsAuthenticator) -> None:
    guesses = [log_in(authenticator, "ada", f"wrong password {number}") for number in range(20)]
    ended = await asyncio.gather(*guesses, return_exceptions=True)
    assert [end for end in ended if end is None] == [None] * Throttle.FREE
    assert {end.status_code for end in ended if isinstance(end, web.HTTPError)} == {429}


async def test_more_logins_at_once_than_can_be_checked_are_turned_away(
    authenticator: AccountsAuthenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AccountStore, "verified", lambda *_: time.sleep(0.01))
    ended = await asyncio.gather(*(log_in(authenticator, f"name{n}") for n in range(60)), return_exceptions=True)
    assert {end.status_code for end in ended if isinstance(end, web.HTTPError)} == {503}
    assert ended.count(None) == 40


async def test_the_hub_goes_on_while_a_password_is_checked(
    authenticator: AccountsAuthenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AccountStore, "verified", lambda *_: time.sleep(0.3))
    checking = asyncio.create_task(log_in(authenticator, "ada"))
    turns = 0
    while not checking.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert turns > 5


class TestThrottle:
    @pytest.fixture
    def clock(self) -> SimpleNamespace:
        return SimpleNamespace(now=100.0)

    @pytest.fixture
    def throttle(self, clock: SimpleNamespace) -> Throttle:
        now: Callable[[], float] = lambda: clock.now  # noqa: E731
        return Throttle(now)

    def test_some_failures_are_free(self, throttle: Throttle) -> None:
        for _ in range(Throttle.FREE - 1):
            throttle.failed("ada")
        assert throttle.wait("ada") == 0

    def test_then_waits_double_up_to_a_minute(self, throttle: Throttle) -> None:
        waits = []
        for _ in range(5000):
            throttle.failed("ada")
            waits.append(throttle.wait("ada"))
        assert waits[4:12] == [1, 2, 4, 8, 16, 32, 60, 60]
        assert waits[-1] == 60

    def test_a_wait_ends(self, throttle: Throttle, clock: SimpleNamespace) -> None:
        for _ in range(7):
            throttle.failed("ada")
        assert throttle.wait("ada") == 4
        clock.now += 4
        assert throttle.wait("ada") == 0

    def test_others_do_not_wait(self, throttle: Throttle) -> None:
        for _ in range(10):
            throttle.failed("ada")
        assert throttle.wait("root") == 0

    def test_a_login_starts_anew(self, throttle: Throttle) -> None:
        for _ in range(10):
            throttle.failed("ada")
        throttle.forget("ada")
        throttle.failed("ada")
        assert throttle.wait("ada") == 0

    def test_memory_is_bounded(self, throttle: Throttle) -> None:
        for number in range(Throttle.MOST_NAMES + 500):
            throttle.failed(f"name{number}")
        assert len(throttle._failures) == Throttle.MOST_NAMES
