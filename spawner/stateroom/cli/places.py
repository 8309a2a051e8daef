"""The places that run a hub's servers, as the commands see them: Docker's engine, or a cluster.

A command asks the place; which of them it is, only `place` below knows. Each has
a folder of its own, which is imported where that place is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from stateroom.catalog import Catalog
from stateroom.cli.checks import Check, Installation
from stateroom.cli.data import DataFolder, Settings
from stateroom.cli.database import Records
from stateroom.cli.screen import Screen
from stateroom.names import HomeRef

BACKENDS = ("docker", "kubernetes")


class Kind(StrEnum):
    """What an orphan is."""

    SERVER = "server"
    HELPER = "helper"
    NETWORK = "network"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Orphan:
    """Something that nobody uses any more, and why. `id` is the engine's or the cluster's own."""

    kind: Kind
    id: str
    name: str
    why: str


class Belongings(Protocol):
    """What is there of one hub, for `gc` and `homes`."""

    def orphans(self, read: Callable[[], Records], *, running: bool) -> list[Orphan]:
        """What may be removed of the hub, which is `running` or not. `read` asks the hub's database."""
        ...

    def remove(self, orphan: Orphan) -> bool:
        """Remove it; False if somebody has come to use it meanwhile."""
        ...

    def homes(self, known: Iterable[HomeRef]) -> list[HomeRef]:
        """By whose name and number the homes were made. `known` is asked for where a home does not say that itself."""
        ...

    def unknown_homes(self, known: Iterable[HomeRef]) -> list[str]:
        """The homes of which nobody can say whose they are, beyond those `known`."""
        ...

    def sizes(self, homes: Iterable[HomeRef]) -> Mapping[str, str]:
        """How large homes are, by name, as far as that can be told."""
        ...

    def require_unused(self, home: HomeRef) -> None:
        """Raises SetupError while anything that runs has the home."""
        ...

    def undeletable(self) -> str:
        """Why homes are not ours to delete, "" where they are."""
        ...

    def delete_home(self, home: HomeRef) -> None:
        """Delete it and all its files."""
        ...


class Place(Protocol):
    """A kind of place that runs servers. Methods raise SetupError or BackendError."""

    def prepare(self, settings: Settings, catalog: Catalog, data: DataFolder, screen: Screen) -> Settings:
        """Have all there that the hub needs of the place, and keep the settings, with what was found out."""
        ...

    def checks(self, installation: Installation, /) -> AbstractContextManager[Sequence[Check]]:
        """What `doctor` looks at beyond the hub's own files."""
        ...

    def take_down(self, settings: Settings, data: DataFolder, screen: Screen) -> None:
        """Stop all servers of the hub, and what `prepare` started; homes are kept."""
        ...

    def opened(self, settings: Settings) -> AbstractContextManager[Belongings]:
        """What is there of the hub."""
        ...


def place(backend: str) -> Place:
    """The place of a backend."""
    # Imported here: a client takes half a second, which a hub in the other place need not wait.
    if backend == "kubernetes":
        from stateroom.cli.kubernetes.place import KubernetesPlace  # noqa: PLC0415

        return KubernetesPlace()
    from stateroom.cli.docker.place import DockerPlace  # noqa: PLC0415

    return DockerPlace()
