"""What the measurements ask of the sides, whatever engine they are on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol


class Side(Protocol):
    """A spawner that is set up for a hub."""

    name: str
    gateway: str  # this machine's address for servers, where the hub listens
    engine_variable: str  # by which a process is told where its engine is

    def configuration(self, folder: Path) -> str:
        """The side's own lines of the hub's configuration, whose folder this is."""

    def make_homes(self, users: Sequence[str]) -> None:
        """Make the users' homes, where the first start does not do so as the benchmark needs it."""

    def has_server(self, user: str) -> bool:
        """Whether the engine has the user's server, running or not."""

    def servers(self) -> Sequence[Any]:
        """All that it has on the engine, ended ones included."""


class Contender(Protocol):
    """Whatever takes a turn: a side's hub, or the engine without one. Seconds come back."""

    name: str

    async def start(self, user: str) -> float:
        """Start a server."""

    async def stop(self, user: str) -> float:
        """Stop a server."""

    def has_server(self, user: str) -> bool:
        """Whether the engine has the user's server, running or not."""

    async def start_all(self, users: Sequence[str]) -> list[float]:
        """Start all at once; how long each waited, the shortest first."""

    async def stop_all(self, users: Sequence[str]) -> None:
        """Stop all, until the engine has none of them."""

    def cpu_seconds(self) -> float:
        """What the hub's process has computed."""
