"""The containers that a test's hub made, looked at from outside and inside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import docker
from docker.errors import APIError
from docker.models.containers import Container

from stateroom.backends.docker.packet_filter import lift_isolation
from stateroom.common.labels import HUB, USER
from stateroom.images.sources import UNIFIED
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef

_LIMITS = """
cd /sys/fs/cgroup
if [ -e memory.max ]; then cat memory.max cpu.max; else
    cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us
fi
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the kernel grants to a server: cores and bytes."""

    cpu: float
    memory: int


class Servers:
    """The servers and homes of one hub on the real engine."""

    def __init__(self, hub: str) -> None:
        self._hub = hub

    @cached_property
    def engine(self) -> docker.DockerClient:
        """A client of the engine."""
        return docker.from_env()

    def names(self) -> set[str]:
        """All containers of the hub, ended ones included."""
        return {container.name or "" for container in self._all(f"{HUB}={self._hub}")}

    def of(self, user: str) -> list[Container]:
        """All containers of a user."""
        return [container for container in self._all(f"{USER}={user}") if container.labels.get(HUB) == self._hub]

    def container(self, user: str, server: str = "") -> Container:
        """A server's container."""
        return self.engine.containers.get(ServerRef(self._hub, user, server).name)

    def inspected(self, user: str, server: str = "") -> dict[str, Any]:
        """What `docker inspect` shows of a server to anybody who may ask."""
        found: dict[str, Any] = self.container(user, server).attrs
        return found

    def limits(self, user: str, server: str = "") -> Limits:
        """The limits as they are read inside the server."""
        memory, *cpu = self.output(user, "sh", "-c", _LIMITS, server=server).split()
        quota, period = map(float, cpu)
        return Limits(quota / period, int(memory))

    def output(self, user: str, *command: str, server: str = "", root: bool = False) -> str:
        """What a command prints inside the server, where it runs as the server's user."""
        done = self.container(user, server).exec_run(list(command), user="root" if root else "")
        assert done.exit_code == 0, done.output.decode(errors="replace")
        return done.output.decode()

    def variable(self, user: str, name: str) -> str:
        """A variable of the server's own process, which its kernels and terminals may not have."""
        script = f"cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -m1 ^{name}="
        return self.output(user, "sh", "-c", script).strip().partition("=")[2]

    def has_home(self, user: str) -> bool:
        """Whether the user's volume is there."""
        name = HomeRef(self._hub, user, 0).name
        return any(volume.name == name for volume in self.engine.volumes.list())

    def remove_everything(self) -> None:
        """Containers, homes, packet rules and networks of the hub."""
        lift_isolation(self.engine.api, self._hub, (UNIFIED,))
        mine = {"label": f"{HUB}={self._hub}"}
        for container in self._all(f"{HUB}={self._hub}"):
            container.remove(force=True, v=True)
        for volume in self.engine.volumes.list(filters=mine):
            volume.remove()
        for network in self.engine.networks.list(filters=mine):
            remove_network(self.engine.api, str(network.id))
        self.engine.close()

    def _all(self, label: str) -> list[Container]:
        return self.engine.containers.list(all=True, filters={"label": label}, ignore_removed=True)


def remove_network(client: docker.APIClient, network: str) -> None:
    """Remove a network, unless the engine takes it for used.

    Docker 20.10 now and then keeps a container on its network that was killed
    right after its start, until the engine is restarted.
    """
    try:
        client.remove_network(network)
    except APIError as error:
        if "active endpoints" not in str(error.explanation):
            raise
