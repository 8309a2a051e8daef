"""What a place that can run notebook servers must offer.

`Servers.stop` and `Homes.remove` succeed when the object is already gone, so a caller
may repeat them after a crash. Only errors of `stateroom.common.errors` leave a
backend. `BackendUnavailable` never means that a server is gone.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from stateroom.common.deadline import Deadline
from stateroom.common.quantity import Machine, Resources
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.progress import Progress
from stateroom.workloads.server import Server


class Life(StrEnum):
    """Where a server is in its life."""

    ABSENT = "absent"  # nothing has its name
    STARTING = "starting"  # made, not running yet
    RUNNING = "running"
    ENDED = "ended"  # it ran, and what is left of it is still there


@dataclass(frozen=True, slots=True)
class ServerState:
    """What is known of one server. `address` is "http://host:port", or https, while it runs."""

    life: Life
    address: str = ""
    exit_code: int = 0
    reason: str = ""  # one sentence on why it ended, where that is known
    out_of_memory: bool = False  # whether it ended for want of memory, or a program in it while it runs on
    spec_hash: str = ""  # of the spec that it was made from

    def is_at(self, host: str) -> bool:
        """Whether its address has this IP address."""
        return f"//{host}:" in self.address or f"//[{host}]:" in self.address


@dataclass(frozen=True, slots=True)
class RunningServer:
    """One line of a list."""

    ref: ServerRef
    state: ServerState
    image: str
    resources: Resources


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Tls:
    """How a hub and its servers know each other, where they speak TLS.

    `certify` makes the certificate of the server at a host's address, and gives
    its files by their names in `spec.CERTIFICATE`. `hub` is the hub's own side.
    """

    certify: Callable[[str], Awaitable[Mapping[str, bytes]]]
    hub: ssl.SSLContext


class Servers(Protocol):
    """The notebook servers of one hub."""

    async def start(self, spec: Server, deadline: Deadline, report: Report, tls: Tls | None = None) -> str:
        """Run `spec` in a fresh container and return its address once it answers.

        `tls` is needed where `spec.tls` is true.

        What is left under the server's name is removed first if it is ours.
        After any error, cancellation included, nothing of the server is left.
        An image pull has the container's `pull_timeout` on top of the deadline.

        Raises ImageUnavailable, ImageUnfit, NameTaken, HomeRefused, ServerEnded,
        EngineRefused, DeadlineExceeded or BackendUnavailable.
        """
        ...

    async def state(self, ref: ServerRef) -> ServerState:
        """Return what is known of the server now.

        Raises BackendUnavailable or EngineRefused; neither says anything about the server.
        """
        ...

    async def changed(self, ref: ServerRef, known: ServerState | None) -> ServerState:
        """Wait until the server's state is another than `known`; with None, until anything is known of it.

        Outlasts an engine that is away. Cancel to give up.
        """
        ...

    async def stop(self, ref: ServerRef, deadline: Deadline, *, gently: bool = True) -> None:
        """End the server and remove it; its home stays. Idempotent, and right during a start too.

        `gently` gives it ten seconds to end by itself.
        """
        ...

    async def list(self) -> list[RunningServer]:
        """Return every server of this hub, running or not, whichever process started it.

        A server is listed with the resources that it has now, also after they were changed from outside.
        """
        ...

    def has_address(self, host: str) -> bool:
        """Return whether a server of this hub was last heard of at an IP address. Costs no call to the engine."""
        ...

    async def logs(self, ref: ServerRef, lines: int) -> str:
        """Return the last lines the server wrote, "" if there are none. Hostile text."""
        ...


class Homes(Protocol):
    """The homes of one hub's users."""

    async def remove(self, home: HomeRef) -> None:
        """Delete the home and all in it. Idempotent. Raises HomeRefused if its labels name another owner."""
        ...


class Backend(Protocol):
    """A place where containers run. What it can do comes in groups; one that it lacks is None."""

    @property
    def servers(self) -> Servers:
        """Notebook servers, which every backend runs."""
        ...

    @property
    def homes(self) -> Homes | None:
        """Users' homes, None where they are not the backend's to remove."""
        ...

    async def machine(self) -> Machine | None:
        """Return what all servers share; None where there is no such machine, or where it is not known.

        Raises BackendUnavailable as long as there was no answer at all. Costs no
        call to the engine where `Servers.state` costs none.
        """
        ...

    def last_contact(self) -> float:
        """Return the Unix time of the engine's last sign of life. What is known of servers is at least as new."""
        ...

    async def close(self) -> None:
        """Release connections and threads. Servers run on."""
        ...
