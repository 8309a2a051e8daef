"""Homes that were handed to another user, kept in a file beside the hub's id.

A home carries the user by whose name and number it was made. After a rename, or
when a name is used again, that user is no more, and the home is nobody's until
an administrator assigns it. No file of the home is moved for that: Docker's
labels cannot change, so a home of other labels would have to be a copy, which
could be caught half made. Here one small file is replaced, whole or not at all,
and where it is lost a home is refused and never given to the wrong person.

A home has at most one user, and a user one home.
"""

from __future__ import annotations

import fcntl
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stateroom.errors import HomeRefused
from stateroom.files import open_private, replace_file
from stateroom.names import HomeRef

_FILE = "homes.json"
_VERSION = 1


def home_assignments_file(data: Path) -> Path:
    """Where they are kept in a hub's data folder."""
    return data / _FILE


def assign_command(home: str, to: str) -> str:
    """The command that hands the home of a user name to a user."""
    return f"stateroom homes assign {shlex.quote(home)} --to {shlex.quote(to)}"


def new_command(user: str) -> str:
    """The command that gives a user a home without anybody's files."""
    return f"stateroom homes new {shlex.quote(user)}"


def fresh_home(user: HomeRef) -> HomeRef:
    """Another home than the one that the user's name leads to, for when that has somebody else's files."""
    return HomeRef(user.hub, f"{user.user}#{user.user_id}", user.user_id)


class HomeAssignments:
    """The assignments in one file. Every method raises HomeRefused for a file that cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def home_of(self, own: HomeRef) -> HomeRef:
        """The home of the user whose home would be `own`. Raises HomeRefused if that was handed to another user.

        Reads the file, which is small: an assignment counts at the next start.
        """
        users = self.users()
        for home, user in users.items():
            if user == own:
                return home
        for home, user in users.items():
            if home.name == own.name:
                raise HomeRefused(
                    f'The home "{own.name}" was handed to {user.user} (number {user.user_id}). '
                    f"An administrator hands it back with `{assign_command(home.user, own.user)}`, or gives "
                    f"{own.user} an empty one with `{new_command(own.user)}`."
                )
        return own

    def users(self) -> Mapping[HomeRef, HomeRef]:
        """To whom each assigned home was handed; the user is told by the home that would be the user's own."""
        try:
            data = json.loads(self._path.read_bytes())
            return _parsed(data)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise HomeRefused(
                f"{self._path}, which says whose home is whose, cannot be read: {error.strerror}."
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise HomeRefused(
                f"{self._path}, which says whose home is whose, is damaged. An administrator must put a copy back."
            ) from error

    def assign(self, home: HomeRef, to: HomeRef) -> None:
        """Hand `home` to the user whose own home would be `to`, who thereby has no other. Idempotent."""
        with self._changing() as users:
            for other in [other for other, user in users.items() if user == to or other.name == home.name]:
                del users[other]
            if home != to:
                users[home] = to

    def forget(self, home: HomeRef) -> None:
        """Keep nothing of a home that is no more. Idempotent."""
        if any(other.name == home.name for other in self.users()):
            with self._changing() as users:
                for other in [other for other in users if other.name == home.name]:
                    del users[other]

    @contextmanager
    def _changing(self) -> Iterator[dict[HomeRef, HomeRef]]:
        with open_private(self._path.with_name(f"{self._path.name}.lock"), "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            users = dict(self.users())
            yield users
            entries = [{"home": asdict(home), "to": asdict(user)} for home, user in users.items()]
            replace_file(self._path, json.dumps({"version": _VERSION, "assigned": entries}, indent=2) + "\n")


def _parsed(data: Any) -> dict[HomeRef, HomeRef]:
    if data["version"] != _VERSION:
        raise ValueError("written by another version")
    return {_ref(entry["home"]): _ref(entry["to"]) for entry in data["assigned"]}


def _ref(entry: Any) -> HomeRef:
    hub, user, number = entry["hub"], entry["user"], entry["user_id"]
    if not (isinstance(hub, str) and isinstance(user, str) and type(number) is int):
        raise TypeError("a hub and a user are texts, a number is whole")
    return HomeRef(hub, user, number)
