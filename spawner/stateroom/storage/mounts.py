"""Storage as a container gets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from stateroom.storage.homes import HomeRef


@dataclass(frozen=True, slots=True)
class HomeMount:
    """The home of a user at `path`, which is relative to the home directory of the image's user."""

    home: HomeRef
    path: str


Mount: TypeAlias = HomeMount  # a folder of the catalog will be another kind
