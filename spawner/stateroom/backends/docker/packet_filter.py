"""Brings the packet filter of the engine's machine to the rules of `isolation`, and looks at it.

Directly where this process is root on that machine. Elsewhere a container does
it that runs the machine's own iptables, the same that the engine uses: whoever
may use an engine may do that, and any image with a shell and chroot will do.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import docker
from docker.errors import NotFound

from stateroom.backends.docker.engine import translated
from stateroom.backends.docker.packet_rules import (
    IPV4,
    IPV6,
    Family,
    Rule,
    Servers,
    bridge_name,
    change,
    is_in_force,
    rules,
)
from stateroom.common.errors import BackendError
from stateroom.common.labels import HELPER

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECONDS = 60
_ATTEMPTS = 3  # another hub may write at the same moment
# Whether packets that stay on one bridge come to the filter: Docker turns it on, other programs turn it off.
_ASKED_WITHIN = "/proc/sys/net/bridge/bridge-nf-call-iptables"

_Run = Callable[[str], str]  # a shell script, run as root on the engine's machine; what it printed


@dataclass(frozen=True, slots=True)
class Gap:
    """What is open that should not be, and what closes it."""

    verdict: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.verdict} {self.remedy}"


class _Unable(Exception):
    """The rules cannot be read or written this way; the message says why."""


def isolate(client: docker.APIClient, servers: Servers, images: Iterable[str]) -> list[Gap]:
    """Give the hub's servers their rules, unless they have them; what stays open. Blocks.

    `images` are tried in this order where it takes a container.
    """
    return _gaps(client, servers, images, _bring)


def missing_isolation(client: docker.APIClient, servers: Servers, images: Iterable[str]) -> list[Gap]:
    """What is open now. Blocks."""
    return _gaps(client, servers, images, _require)


def lift_isolation(client: docker.APIClient, hub: str, images: Iterable[str]) -> list[Gap]:
    """Remove all rules of the hub and nothing else; what could not be removed. Blocks."""
    nothing = Servers(hub, (), "", 0)

    def lift(run: _Run) -> None:
        _bring(run, IPV4, nothing)
        with contextlib.suppress(_Unable):  # there may be no IPv6
            _bring(run, IPV6, nothing)

    try:
        _one_way(_ways(client, hub, images), lift)
    except _Unable as error:
        return [Gap(f"The hub's packet rules stay: {error}.", "They do no harm where its network is gone.")]
    return []


def _gaps(
    client: docker.APIClient, servers: Servers, images: Iterable[str], work: Callable[[_Run, Family, Servers], str]
) -> list[Gap]:
    gaps: list[Gap] = []

    def close(run: _Run) -> None:
        saved = [work(run, family, servers) for family in _families(servers)]
        if "# within bridges: 1\n" not in saved[0]:
            gaps.append(
                Gap(
                    "Servers reach each other: packets within a network do not come to the packet filter.",
                    "On the engine's machine: modprobe br_netfilter; sysctl net.bridge.bridge-nf-call-iptables=1",
                )
            )

    try:
        _one_way(_ways(client, servers.hub, images), close)
    except _Unable as error:
        gaps.append(
            Gap(
                f"Servers reach ports of this machine and a cloud's metadata service: {error}.",
                "Run `stateroom up` again as root on the engine's machine, with iptables installed.",
            )
        )
    return gaps


def _families(servers: Servers) -> list[Family]:
    return [IPV4, *([IPV6] if any(network.ipv6 for network in servers.networks) else [])]


def _bring(run: _Run, family: Family, servers: Servers) -> str:
    """Have the rules in force; the table as it then is."""
    bounded, unbounded = _sufficient(family, servers)
    saved = run(_saving(family))
    if any(is_in_force(saved, servers.hub, wanted) for wanted in (bounded, unbounded)):
        return saved
    try:
        return _bring_one(run, family, servers, bounded, saved)
    except _Unable:  # perhaps a kernel that cannot count connections
        return _bring_one(run, family, servers, unbounded, saved)


def _sufficient(family: Family, servers: Servers) -> tuple[list[Rule], list[Rule]]:
    """The rules that a hub is to have, the better ones first."""
    return rules(servers, family), rules(replace(servers, bounded=False), family)


def _bring_one(run: _Run, family: Family, servers: Servers, wanted: list[Rule], saved: str) -> str:
    for attempt in range(_ATTEMPTS):
        if is_in_force(saved, servers.hub, wanted):
            break
        lines = change(saved, servers.hub, wanted)
        try:
            saved = run(f"{family.program}-restore --wait=20 --noflush <<'END'\n{lines}END\n{_saving(family)}")
        except _Unable:
            if attempt == _ATTEMPTS - 1:
                raise
            saved = run(_saving(family))
    if not is_in_force(saved, servers.hub, wanted):
        raise _Unable("the rules were written and are not there")
    return saved


def _require(run: _Run, family: Family, servers: Servers) -> str:
    """The table, in which the rules are in force."""
    saved = run(_saving(family))
    if not any(is_in_force(saved, servers.hub, wanted) for wanted in _sufficient(family, servers)):
        raise _Unable("the hub's packet rules are not there, or not as they should be")
    return saved


def _saving(family: Family) -> str:
    return f'{family.program}-save -t filter; echo "# within bridges: $(cat {_ASKED_WITHIN} 2>/dev/null)"'


def _one_way(ways: Iterable[_Run], work: Callable[[_Run], None]) -> None:
    """Do the work in the first way that can. Raises _Unable of the last one."""
    unable = _Unable("it takes root, or an image of the catalog on the engine")
    for way in ways:
        try:
            return work(way)
        except _Unable as error:
            unable = error
    raise unable


def writes_directly(client: docker.APIClient) -> bool:
    """Whether this process may use the packet filter of the engine's machine itself. Blocks."""
    return os.geteuid() == 0 and is_here(client)


def _ways(client: docker.APIClient, hub: str, images: Iterable[str]) -> Iterator[_Run]:
    if writes_directly(client):
        yield _run_here
    if image := next((image for image in images if _is_there(client, image)), ""):
        yield partial(_run_in_container, client, hub, image)


def is_here(client: docker.APIClient) -> bool:
    """Whether this is the engine's machine: it has the bridge of a network with an id that no other engine made."""
    with contextlib.suppress(BackendError), translated():
        bridges = {bridge_name(found["Id"]) for found in client.networks(filters={"driver": "bridge"})}
        return any(name in bridges for _, name in socket.if_nameindex())
    return False


def _is_there(client: docker.APIClient, image: str) -> bool:
    with contextlib.suppress(BackendError), translated():
        try:
            client.inspect_image(image)
        except NotFound:
            return False
        return True
    return False


def _run_here(script: str) -> str:
    try:
        ended = subprocess.run(
            ["/bin/sh", "-ec", script],
            env={**os.environ, "PATH": _PATH},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _Unable(str(error)) from error
    return _output(ended.returncode, ended.stdout, ended.stderr)


def _run_in_container(client: docker.APIClient, hub: str, image: str, script: str) -> str:
    try:
        with translated():
            container = client.create_container_from_config(_one_shot(hub, image, script))["Id"]
            try:
                client.start(container)
                status = client.wait(container, timeout=_SECONDS)["StatusCode"]
                out, err = (client.logs(container, stdout=first, stderr=not first) for first in (True, False))
            finally:
                client.remove_container(container, force=True, v=True)
    except BackendError as error:
        raise _Unable(str(error).rstrip(".")) from error
    return _output(status, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def _one_shot(hub: str, image: str, script: str) -> dict[str, object]:
    return {
        "Image": image,
        "User": "0:0",
        "Entrypoint": ["/bin/sh", "-c", 'exec chroot /host /bin/sh -ec "$SCRIPT"'],
        "Cmd": [],
        "Env": [f"SCRIPT={script}", f"PATH={_PATH}"],
        "Labels": {HELPER: hub},
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "host",
            "UsernsMode": "host",
            # iptables takes a lock in /run.
            "Binds": ["/:/host:ro", "/run:/host/run"],
            "CapDrop": ["ALL"],
            "CapAdd": ["NET_ADMIN", "NET_RAW", "SYS_CHROOT"],
            "SecurityOpt": ["no-new-privileges", "label=disable"],
        },
    }


def _output(status: int, out: str, err: str) -> str:
    if status:
        said = err.strip().splitlines()
        raise _Unable(f'iptables could not be used ("{said[-1] if said else f"exit code {status}"}")')
    return out
