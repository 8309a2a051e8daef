"""The accounts file: what it accepts, what it keeps, and that nobody's change is lost."""

from __future__ import annotations

import json
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stateroom.common.errors import SetupError
from stateroom.operations import accounts
from stateroom.operations.accounts import AccountStore, new_password, parse_name

PASSWORD = "correct horse battery"
REAL_HASHER = accounts._hasher


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_hasher", accounts.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def store(tmp_path: Path) -> AccountStore:
    return AccountStore(tmp_path / "accounts.json")


def test_without_a_file_nobody_may_log_in(store: AccountStore) -> None:
    assert not store.accounts()
    assert store.verified("ada", PASSWORD) is None


def test_the_right_password_gives_the_account(store: AccountStore) -> None:
    store.add("ada", PASSWORD, admin=True)
    account = store.verified("ada", PASSWORD)
    assert account is not None
    assert account.admin


@pytest.mark.parametrize("password", ["", "wrong password", PASSWORD.upper(), PASSWORD + "\0", "\ud800", "x" * 10**6])
def test_any_other_password_gives_none(store: AccountStore, password: str) -> None:
    store.add("ada", PASSWORD)
    assert store.verified("ada", password) is None


def test_a_name_has_one_spelling(store: AccountStore) -> None:
    store.add("Ada", PASSWORD)
    assert list(store.accounts()) == ["ada"]
    assert store.verified("ADA", PASSWORD)
    with pytest.raises(SetupError, match="already"):
        store.add("aDa", PASSWORD)


def test_an_accent_may_be_typed_either_way(store: AccountStore) -> None:
    composed, apart = (unicodedata.normalize(form, "zoë größe straße") for form in ("NFC", "NFD"))
    store.add(composed[:3], composed)
    assert store.verified(apart[:4], apart)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a/b", "a\\b", "..", ".", "%2e%2e", "a\n", "a\tb", "a\0b", "a\u202eb", "\ud800", "x" * 101]
)
def test_a_name_that_the_hub_could_not_use_is_refused(store: AccountStore, name: str) -> None:
    with pytest.raises(SetupError, match="name"):
        store.add(name, PASSWORD)
    assert not store.accounts()


@pytest.mark.parametrize("name", ["ada", "ada@example.org", "zoë", "o'neil", "1", "a.b-c_d+e", "陳"])
def test_a_name_is_more_than_letters(name: str) -> None:
    assert parse_name(name) == name


@pytest.mark.parametrize("password", ["", "nine char", "x" * 1025, "\ud800" * 10])
def test_a_password_too_short_or_too_long_is_refused(store: AccountStore, password: str) -> None:
    with pytest.raises(SetupError, match="password"):
        store.add("ada", password)
    assert not store.accounts()


def test_a_new_password_replaces_the_old_one(store: AccountStore) -> None:
    store.add("ada", PASSWORD, admin=True)
    store.set_password("ada", "another password")
    assert store.verified("ada", PASSWORD) is None
    account = store.verified("ada", "another password")
    assert account is not None
    assert account.admin


def test_a_removed_account_is_gone(store: AccountStore) -> None:
    store.add("ada", PASSWORD)
    store.remove("ada")
    assert store.verified("ada", PASSWORD) is None
    with pytest.raises(SetupError, match='no account "ada"'):
        store.remove("ada")
    with pytest.raises(SetupError, match='no account "ada"'):
        store.set_password("ada", PASSWORD)


def test_another_process_sees_a_change_at_once(store: AccountStore, tmp_path: Path) -> None:
    other = AccountStore(tmp_path / "accounts.json")
    assert not other.accounts()
    store.add("ada", PASSWORD)
    assert list(other.accounts()) == ["ada"]
    store.remove("ada")
    assert not other.accounts()


def test_the_file_holds_hashes_and_is_its_owners_alone(store: AccountStore, tmp_path: Path) -> None:
    store.add("ada", PASSWORD)
    file = tmp_path / "accounts.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in file.read_text()
    assert json.loads(file.read_text())["accounts"]["ada"]["hash"].startswith("$argon2id$")
    assert {path.name for path in tmp_path.iterdir()} == {"accounts.json", "accounts.json.lock"}


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    names = [f"user{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: AccountStore(tmp_path / "accounts.json").add(name, PASSWORD), names))
    assert sorted(AccountStore(tmp_path / "accounts.json").accounts()) == sorted(names)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "[" * 100_000),
        '{"version": 2, "accounts": {}}',
        '{"version": 1, "accounts": []}',
        '{"version": 1, "accounts": {"ada": 1}}',
        '{"version": 1, "accounts": {"ada": {"hash": 1, "admin": true}}}',
        '{"version": 1, "accounts": {"ada": {"hash": "x", "admin": "no"}}}',
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "accounts.json").write_text(text)
    with pytest.raises(SetupError, match=r"accounts\.json is not a file of accounts"):
        AccountStore(tmp_path / "accounts.json").accounts()


def test_a_hash_that_is_none_matches_nothing(tmp_path: Path) -> None:
    (tmp_path / "accounts.json").write_text('{"version": 1, "accounts": {"ada": {"hash": "", "admin": true}}}')
    assert AccountStore(tmp_path / "accounts.json").verified("ada", "") is None


def test_a_made_password_is_long_and_new_each_time() -> None:
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(password) == 23 for password in made)


def test_an_unknown_name_costs_as_much_as_a_known_one() -> None:
    assert not REAL_HASHER.check_needs_rehash(accounts._NOBODY)


@pytest.mark.parametrize("name", ["аda", "αda", "adа-2", "αγа"])  # noqa: RUF001 - each has a letter of another script
def test_a_name_of_letters_that_look_alike_is_refused(store: AccountStore, name: str) -> None:
    with pytest.raises(SetupError, match="letters of several alphabets that look alike"):
        store.add(name, PASSWORD)


@pytest.mark.parametrize("name", ["ада", "юлия", "σοφία", "李明", "さとう明", "josé", "user_1", "мария"])
def test_names_of_one_alphabet_are_names(store: AccountStore, name: str) -> None:
    store.add(name, PASSWORD)
    assert store.verified(name, PASSWORD)


def test_a_name_that_looks_like_anothers_is_refused(store: AccountStore) -> None:
    store.add("cop", PASSWORD)
    store.add("ada", PASSWORD)
    with pytest.raises(SetupError, match=r'looks like the account "cop" \(CYRILLIC and LATIN letters\)'):
        store.add("сор", PASSWORD)  # noqa: RUF001 - the point of it
    with pytest.raises(SetupError, match="looks like"):
        store.rename("ada", "сор")  # noqa: RUF001 - the point of it
    assert "ada" in store.accounts()
