"""What operations know from the hub's database. `database.py` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Records:
    """The hub's users by number, and the servers that it regards as running, starting or stopping."""

    users: Mapping[int, str]
    active: frozenset[tuple[str, str]]  # user and server name

    def number(self, user: str) -> int | None:
        """Return the user's number, or None for someone who has never logged in."""
        return next((number for number, name in self.users.items() if name == user), None)
