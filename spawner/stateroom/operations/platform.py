"""A platform that runs a hub's servers, as operations see it: a Docker engine, or a cluster.

Operations use the protocols below. Each platform implements them in a folder of
its own, and only `platforms.py` knows which platforms there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from stateroom.catalog.catalog import Catalog
from stateroom.operations.checks.installation import Check, Installation
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.records import Records
from stateroom.operations.report import Report
from stateroom.storage.homes import HomeRef


class Kind(StrEnum):
    """The kinds of orphans."""

    SERVER = "server"
    HELPER = "helper"
    NETWORK = "network"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Orphan:
    """An object that is no longer used, and why. `id` is the engine's or the cluster's own."""

    kind: Kind
    id: str
    name: str
    why: str


class HubResources(Protocol):
    """What one hub has on a platform: orphans and homes. Methods raise SetupError or BackendError."""

    def orphans(self, read: Callable[[], Records], *, running: bool) -> list[Orphan]:
        """List what may be removed, `running` being whether the hub runs. `read` reads the hub's database."""
        ...

    def remove(self, orphan: Orphan) -> bool:
        """Remove the orphan. Returns False if it has come into use in the meantime."""
        ...

    def homes(self, known: Iterable[HomeRef]) -> list[HomeRef]:
        """List the homes by the name and number of the user each was made for.

        `known` is used where a home does not carry these itself.
        """
        ...

    def unknown_homes(self, known: Iterable[HomeRef]) -> list[str]:
        """List the homes whose user cannot be determined, apart from those `known`."""
        ...

    def sizes(self, homes: Iterable[HomeRef]) -> Mapping[str, str]:
        """Return the sizes of homes by name, as far as they are known."""
        ...

    def require_unused(self, home: HomeRef) -> None:
        """Raises SetupError while anything that runs uses the home."""
        ...

    def undeletable(self) -> str:
        """Return why Stateroom must not delete homes here, or "" if it may."""
        ...

    def delete_home(self, home: HomeRef) -> None:
        """Delete the home and all its files."""
        ...


class Platform(Protocol):
    """A kind of platform that runs servers. Methods raise SetupError or BackendError."""

    def prepare(self, settings: Settings, catalog: Catalog, data: DataFolder, report: Report) -> Settings:
        """Set up what the hub needs on the platform, and store the settings, completed by what was found."""
        ...

    def checks(self, installation: Installation, /) -> AbstractContextManager[Sequence[Check]]:
        """Return the platform's checks for `doctor`, to be run while the context is open."""
        ...

    def take_down(self, settings: Settings, data: DataFolder, report: Report) -> None:
        """Stop all servers of the hub, and what `prepare` started. Homes are kept."""
        ...

    def open(self, settings: Settings) -> AbstractContextManager[HubResources]:
        """Connect to the platform, for what the hub has there."""
        ...
