"""Names of servers and of what they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stateroom.common.labels import HUB, KIND, SERVER, USER
from stateroom.common.naming import object_name


@dataclass(frozen=True, slots=True)
class ServerRef:
    """Which server: the hub's id, the user's name, and the server's name ("" is the default one)."""

    hub: str
    user: str
    server: str = ""

    @property
    def name(self) -> str:
        """The container's or pod's name."""
        return object_name("stateroom", "server", self.hub, self.user, self.server)

    @property
    def labels(self) -> Mapping[str, str]:
        """What marks an object as this server and nobody else's."""
        return {KIND: "server", HUB: self.hub, USER: self.user, SERVER: self.server}

    def is_sibling_of(self, other: ServerRef) -> bool:
        """Whether it is another server of the same user."""
        return (self.hub, self.user) == (other.hub, other.user) and self.server != other.server

    def __str__(self) -> str:
        return f"{self.user}/{self.server}" if self.server else self.user


def network_name(hub: str) -> str:
    """The network that the hub's servers are on."""
    return object_name("stateroom-net", "network", hub)
