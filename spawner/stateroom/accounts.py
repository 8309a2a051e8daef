"""Who may log in: a file of names, password hashes and who is an admin.

The hub and the command line both use the file, each in a process of its own. A
change is written to a new file that takes the old one's place, so a reader
never sees half of it, and a reader notices a change by the file's status. A
lock keeps two writers from losing each other's change.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from stateroom.errors import SetupError
from stateroom.files import file_signature, open_private, replace_file
from stateroom.wording import quoted

LONGEST_NAME = 100
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1024

_VERSION = 1

# 64 MiB and about a tenth of a second a try, above what RFC 9106 asks of small machines.
_hasher = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)

# Made with the parameters above from a password that nobody has. An unknown name is
# checked against it, so that the answer takes as long as for a known one.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=1$c3RhdGVyb29tLW5vYm9keQ$IZbKcZjm42X+8bHyWwr6961XwSE1JG7biRAvDgeJHso"

# Letters and digits that are not mistaken for one another.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5  # 20 of 31 letters: 99 bits


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in."""

    name: str
    hash: str
    admin: bool


class AccountStore:
    """The accounts in a file, as they are now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._accounts: Mapping[str, Account] = MappingProxyType({})

    def accounts(self) -> Mapping[str, Account]:
        """All accounts by name, none while there is no file. Raises SetupError for a broken file."""
        seen = _signature(self._path)
        if seen != self._seen:
            self._accounts = _read(self._path) if seen else MappingProxyType({})
            self._seen = seen
        return self._accounts

    def verified(self, name: str, password: str) -> Account | None:
        """The account of `name` if the password is its own. Takes a tenth of a second of one core."""
        account = self.accounts().get(normal_name(name))
        if len(password) > LONGEST_PASSWORD:
            return None
        matches = _matches(account.hash if account else _NOBODY, password)
        return account if matches else None

    def add(self, name: str, password: str, *, admin: bool = False) -> None:
        """Add an account. Raises SetupError if there is one of that name, or the name or password will not do."""
        account = Account(parse_name(name), _hashed(password), admin)
        with self._changing() as accounts:
            if account.name in accounts:
                raise SetupError(f'There is an account "{account.name}" already. Choose another name.')
            accounts[account.name] = account

    def set_password(self, name: str, password: str) -> None:
        """Give the account another password. Raises SetupError if there is none, or the password will not do."""
        hashed = _hashed(password)
        with self._changing() as accounts:
            known = require(accounts, name)
            accounts[known.name] = Account(known.name, hashed, known.admin)

    def remove(self, name: str) -> None:
        """Remove the account. Raises SetupError if there is none."""
        with self._changing() as accounts:
            del accounts[require(accounts, name).name]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Account]]:
        lock = self._path.with_name(f"{self._path.name}.lock")
        with open_private(lock, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            accounts = dict(self.accounts())
            yield accounts
            _write(self._path, accounts)


def require(accounts: Mapping[str, Account], name: str) -> Account:
    """The account of `name`. Raises SetupError if there is none."""
    try:
        return accounts[normal_name(name)]
    except KeyError:
        raise SetupError(f"There is no account {quoted(name)}. `stateroom user list` shows all names.") from None


def normal_name(text: str) -> str:
    """The one spelling of a name: lower case, and letters with accents composed."""
    return unicodedata.normalize("NFC", text.lower())


def parse_name(text: str) -> str:
    """A user name in its one spelling. Raises SetupError for what JupyterHub or a person could not use as a name."""
    name = normal_name(text)
    printable = name.isprintable() and not any(letter.isspace() for letter in name)
    if not name or not printable or "/" in name or "\\" in name or set(unquote(name)) <= {"."}:
        raise SetupError(
            f"{quoted(text)} is not a user name; use letters, digits and signs, without blanks, '/' and '\\'."
        )
    if len(name) > LONGEST_NAME:
        raise SetupError(f"The user name has {len(name)} letters; at most {LONGEST_NAME} are allowed.")
    return name


def check_password(password: str) -> None:
    """Raises SetupError for a password that is too short or too long."""
    if len(password) < SHORTEST_PASSWORD:
        raise SetupError(f"The password has {len(password)} letters; at least {SHORTEST_PASSWORD} are needed.")
    if len(password) > LONGEST_PASSWORD:
        raise SetupError(f"The password has more than {LONGEST_PASSWORD} letters. Choose a shorter one.")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise SetupError("The password is not UTF-8 text. Choose another.") from None


def new_password() -> str:
    """A password that cannot be guessed and can be read aloud."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


def _hashed(password: str) -> str:
    check_password(password)
    return _hasher.hash(_composed(password))


def _matches(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, _composed(password))
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def _composed(password: str) -> str:
    # Keyboards differ in how they send a letter with an accent.
    return unicodedata.normalize("NFC", password)


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        return file_signature(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SetupError(f"The accounts in {path} cannot be read: {error.strerror}.") from error


def _read(path: Path) -> Mapping[str, Account]:
    try:
        data = json.loads(path.read_bytes())
        accounts = _parsed(data)
    except OSError as error:
        raise SetupError(f"The accounts in {path} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SetupError(
            f"{path} is not a file of accounts of version {_VERSION}. Put a copy back, or remove it to start anew."
        ) from error
    return MappingProxyType(accounts)


def _parsed(data: Any) -> dict[str, Account]:
    if data["version"] != _VERSION:
        raise ValueError("written by another version")
    return {name: _account(name, entry) for name, entry in data["accounts"].items()}


def _account(name: str, entry: Any) -> Account:
    hashed, admin = entry["hash"], entry["admin"]
    if not isinstance(hashed, str) or not isinstance(admin, bool):
        raise TypeError("a hash is a text, and admin is true or false")
    return Account(name, hashed, admin)


def _write(path: Path, accounts: Mapping[str, Account]) -> None:
    entries = {account.name: {"hash": account.hash, "admin": account.admin} for account in accounts.values()}
    text = json.dumps({"version": _VERSION, "accounts": entries}, indent=2) + "\n"
    replace_file(path, text)
