"""Homes that were handed to another user, and whose a folder is, kept in a file beside the hub's id.

A home carries the user by whose name and number it was made. After a rename, or
when a name is used again, that user is no more, and the home is nobody's until
an administrator assigns it. No file of the home is moved for that: Docker's
labels cannot change, so a home of other labels would have to be a copy, which
could be caught half made. Here one small file is replaced, whole or not at all,
and where it is lost a home is refused and never given to the wrong person.

A home has at most one user, and a user one home.

A volume or a claim says by its labels whose it is. A folder of the host cannot,
so the file has the user who first started a server with it.
"""

from __future__ import annotations

import fcntl
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stateroom.common.errors import HomeRefused
from stateroom.common.files import file_signature, open_private, replace_file
from stateroom.storage.homes import HomeRef

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


@dataclass(frozen=True, slots=True)
class _Content:
    """What is in the file."""

    assigned: dict[HomeRef, HomeRef] = field(default_factory=dict)
    folders: dict[str, HomeRef] = field(default_factory=dict)  # by the home's name, for whom it was made

    def copy(self) -> _Content:
        return _Content(dict(self.assigned), dict(self.folders))


class HomeAssignments:
    """The assignments in one file. Every method raises HomeRefused for a file that cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[tuple[int, int, int] | None, _Content] | None = None  # at a signature, what

    def home_of(self, own: HomeRef) -> HomeRef:
        """The home of the user whose home would be `own`. Raises HomeRefused if that was handed to another user.

        Reads the file, which is small, if it has changed: an assignment counts at the next start.
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
        return self._content().assigned

    def folders(self) -> Mapping[str, HomeRef]:
        """For whom each home that is a folder was made, by the home's name, as far as that is known."""
        return self._content().folders

    def folder_made_for(self, home: HomeRef) -> HomeRef:
        """For whom a home that is a folder was made: the first who is asked for. Idempotent."""
        if home.name not in self.folders():
            with self._changing() as content:
                content.folders.setdefault(home.name, home)
        return self.folders()[home.name]

    def _content(self) -> _Content:
        try:
            signature = file_signature(self._path)
            if signature is None or self._read is None or self._read[0] != signature:
                self._read = signature, _parsed(json.loads(self._path.read_bytes()))
            return self._read[1]
        except FileNotFoundError:
            return _Content()
        except OSError as error:
            raise HomeRefused(
                f"{self._path}, which says whose home is whose, cannot be read: {error.strerror}."
            ) from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise HomeRefused(
                f"{self._path}, which says whose home is whose, is damaged. An administrator must put a copy back."
            ) from error

    def assign(self, home: HomeRef, owner: HomeRef) -> None:
        """Hand `home` to the owner, who is given by the home they would have, and then has no other. Idempotent."""
        with self._changing() as content:
            users = content.assigned
            for other in [other for other, user in users.items() if user == owner or other.name == home.name]:
                del users[other]
            if home != owner:
                users[home] = owner

    def forget(self, home: HomeRef) -> None:
        """Keep nothing of a home that is no more. Idempotent."""
        if home.name in self.folders() or any(other.name == home.name for other in self.users()):
            with self._changing() as content:
                content.folders.pop(home.name, None)
                for other in [other for other in content.assigned if other.name == home.name]:
                    del content.assigned[other]

    @contextmanager
    def _changing(self) -> Iterator[_Content]:
        with open_private(self._path.with_name(f"{self._path.name}.lock"), "w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            content = self._content().copy()
            yield content
            entries = [{"home": asdict(home), "owner": asdict(user)} for home, user in content.assigned.items()]
            folders = [asdict(home) for home in content.folders.values()]
            data = {"version": _VERSION, "assigned": entries, "folders": folders}
            replace_file(self._path, json.dumps(data, indent=2) + "\n")


def _parsed(data: Any) -> _Content:
    if data["version"] != _VERSION:
        raise ValueError("written by another version")
    folders = [_ref(entry) for entry in data.get("folders", ())]
    return _Content(
        {_ref(entry["home"]): _ref(entry["owner"]) for entry in data["assigned"]},
        {home.name: home for home in folders},
    )


def _ref(entry: Any) -> HomeRef:
    hub, user, number = entry["hub"], entry["user"], entry["user_id"]
    if not (isinstance(hub, str) and isinstance(user, str) and type(number) is int):
        raise TypeError("a hub and a user are texts, a number is whole")
    return HomeRef(hub, user, number)
