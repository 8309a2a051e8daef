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
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from stateroom.common.errors import SetupError
from stateroom.common.files import file_signature, open_private, replace_file
from stateroom.common.text import quoted
from stateroom.operations.lookalikes import is_mixed, look_alike, scripts

LONGEST_NAME = 100
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1024

_VERSION = 1

# 64 MiB and about a tenth of a second a try, above what RFC 9106 asks of small machines.
_hasher = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)

# Made with the parameters above from a password that nobody has. An unknown name is
# checked against it, so that the answer takes as long as for a known one.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=1$c3RhdGVyb29tLW5vYm9keQ$IZbKcZjm42X+8bHyWwr6961XwSE1JG7biRAvDgeJHso"

# Letters and digits that are not mistaken for one another.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5  # 20 of 31 letters: 99 bits

_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Account:
    """A user who can log in."""

    name: str
    hash: str  # "" until it has a password: then nobody logs in with it
    admin: bool
    id: str = ""  # its own, which no later account of the same name has; "" in a file of before 0.1.0


class AccountStore:
    """The accounts in a file, as they are now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._accounts: Mapping[str, Account] = MappingProxyType({})

    def accounts(self) -> Mapping[str, Account]:
        """Return all accounts by name; none if there is no file. Raises SetupError if the file is damaged."""
        seen = file_signature(self.path)
        if seen is None or seen != self._seen:
            self._accounts = _read(self.path)
            self._seen = seen
        return self._accounts

    def known_name(self, name: str) -> str:
        """Return the name in its canonical spelling. Raises SetupError if there is no such account."""
        return require(self.accounts(), name).name

    def unused_name(self, name: str) -> str:
        """Return a new account's name in its canonical spelling. Raises SetupError if it is taken or invalid."""
        parsed = parse_name(name)
        _require_new(parsed, self.accounts())
        return parsed

    def verified(self, name: str, password: str) -> Account | None:
        """Return the account of `name` if the password is right. Takes a tenth of a second of one core."""
        account = self.accounts().get(normal_name(name))
        if len(password) > LONGEST_PASSWORD:
            return None
        matches = _matches((account and account.hash) or _NOBODY, password)
        return account if matches else None

    def add(self, name: str, password: str, *, admin: bool = False) -> None:
        """Add an account. Raises SetupError if the name is taken, or if the name or the password is invalid."""
        self._add(parse_name(name), _hashed(password), admin=admin)

    def add_without_password(self, name: str, *, admin: bool = False) -> None:
        """Add an account that nobody can log in with until it has a password. Raises SetupError as `add` does."""
        self._add(parse_name(name), "", admin=admin)

    def _add(self, name: str, hashed: str, *, admin: bool) -> None:
        with self._changing() as accounts:
            _require_new(name, accounts)
            accounts[name] = Account(name, hashed, admin, secrets.token_hex(_ID_BYTES))

    def set_password(self, name: str, password: str) -> None:
        """Change the account's password. Raises SetupError if there is no such account or the password is invalid."""
        hashed = _hashed(password)
        with self._changing() as accounts:
            known = require(accounts, name)
            accounts[known.name] = replace(known, hash=hashed)

    def set_admin(self, name: str, *, admin: bool) -> None:
        """Make the account an admin's, or no longer. Raises SetupError if there is no such account."""
        with self._changing() as accounts:
            known = require(accounts, name)
            accounts[known.name] = replace(known, admin=admin)

    def rename(self, name: str, new_name: str) -> None:
        """Give the account another name. Raises SetupError if there is none, or if the new name is taken or invalid."""
        parsed = parse_name(new_name)
        with self._changing() as accounts:
            known = require(accounts, name)
            _require_new(parsed, accounts)
            del accounts[known.name]
            accounts[parsed] = replace(known, name=parsed)

    def remove(self, name: str) -> None:
        """Remove the account. Raises SetupError if there is none."""
        with self._changing() as accounts:
            del accounts[require(accounts, name).name]

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Account]]:
        lock = self.path.with_name(f"{self.path.name}.lock")
        with open_private(lock, "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            accounts = dict(self.accounts())
            yield accounts
            _write(self.path, accounts)


def require(accounts: Mapping[str, Account], name: str) -> Account:
    """Return the account of `name`. Raises SetupError if there is none."""
    try:
        return accounts[normal_name(name)]
    except KeyError:
        raise SetupError(f"There is no account {quoted(name)}. `stateroom user list` shows all names.") from None


def _require_new(name: str, accounts: Mapping[str, Account]) -> None:
    """Raises SetupError if there is an account of the name, or of one that people would take for it."""
    if name in accounts:
        raise SetupError(f'There is an account "{name}" already. Choose another name, or set its password.')
    if other := look_alike(name, accounts):
        letters = " and ".join(", ".join(scripts(one)) for one in (name, other))
        raise SetupError(
            f'The name "{name}" looks like the account "{other}" ({letters} letters). Choose another name.'
        )


def normal_name(text: str) -> str:
    """Return the canonical spelling of a name: lower case, with composed accents."""
    return unicodedata.normalize("NFC", text.lower())


def parse_name(text: str) -> str:
    """Return a user name in its canonical spelling. Raises SetupError if it is not usable as a name."""
    name = normal_name(text)
    printable = name.isprintable() and not any(letter.isspace() for letter in name)
    if not name or not printable or "/" in name or "\\" in name or set(unquote(name)) <= {"."}:
        raise SetupError(
            f"{quoted(text)} is not a user name; use letters, digits and signs, without blanks, '/' and '\\'."
        )
    if len(name) > LONGEST_NAME:
        raise SetupError(f"The user name has {len(name)} letters; at most {LONGEST_NAME} are allowed.")
    if is_mixed(name):
        raise SetupError(
            f"{quoted(text)} has letters of several alphabets that look alike ({', '.join(scripts(name))}). "
            "Use letters of one."
        )
    return name


def check_password(password: str) -> None:
    """Raises SetupError if the password is too short or too long."""
    if len(password) < SHORTEST_PASSWORD:
        raise SetupError(f"The password has {len(password)} letters; at least {SHORTEST_PASSWORD} are needed.")
    if len(password) > LONGEST_PASSWORD:
        raise SetupError(f"The password has more than {LONGEST_PASSWORD} letters. Choose a shorter one.")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise SetupError("The password is not UTF-8 text. Choose another.") from None


def new_password() -> str:
    """Return a password that cannot be guessed and can be read aloud."""
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


def _read(path: Path) -> Mapping[str, Account]:
    try:
        data = json.loads(path.read_bytes())
        accounts = _parsed(data)
    except FileNotFoundError:
        return MappingProxyType({})
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
    hashed, admin, own_id = entry["hash"], entry["admin"], entry.get("id", "")
    if not isinstance(hashed, str) or not isinstance(admin, bool) or not isinstance(own_id, str):
        raise TypeError("hash and id are texts, and admin is true or false")
    return Account(name, hashed, admin, own_id)


def _write(path: Path, accounts: Mapping[str, Account]) -> None:
    entries = {
        account.name: {"hash": account.hash, "admin": account.admin, "id": account.id} for account in accounts.values()
    }
    text = json.dumps({"version": _VERSION, "accounts": entries}, indent=2) + "\n"
    replace_file(path, text)
