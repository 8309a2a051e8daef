"""Turns an engine's answers into the findings of `stateroom doctor`: a verdict with a remedy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stateroom.catalog.catalog import Catalog
from stateroom.common.quantity import GiB, format_memory
from stateroom.common.text import counted, joined
from stateroom.operations.checks.findings import Finding, disk_finding, fail, ok, warn

# What a build of the notebook image takes, and what is too little for anything.
_ENOUGH_FOR_IMAGES, _TOO_LITTLE_FOR_IMAGES = 5 * GiB, 1 * GiB

_OLDEST_API = (1, 40)  # of 2019; nothing older is tested
_FEW_SERVERS = 64  # that no admin would think of as many
_ICC = "com.docker.network.bridge.enable_icc"

_LIVE_RESTORE_REMEDY = (
    'Write "live-restore": true into /etc/docker/daemon.json and reload the engine '
    "(systemctl reload docker, or kill -HUP its process); servers then outlive its restarts."
)

Info = Mapping[str, Any]


def engine_finding(version: Info) -> Finding:
    """Identify the engine, from `GET /version`."""
    words = f"{engine_name(version)} {version.get('Version', '')}, API {version.get('ApiVersion', '')}"
    if _numbers(str(version.get("ApiVersion", ""))) < _OLDEST_API:
        return warn(f"{words}, which is older than any that is tested", "Upgrade the engine.")
    return ok(words)


def engine_name(version: Info) -> str:
    """Return "Docker" or "Podman". Podman answers like Docker, but names itself among its components."""
    names = [str(component.get("Name", "")) for component in version.get("Components") or ()]
    return "Podman" if any("podman" in name.lower() for name in names) else "Docker"


def machine_finding(info: Info, catalog: Catalog | None) -> Finding:
    """Report the machine's CPU and memory, and the sizes that exceed its memory."""
    memory = int(info.get("MemTotal", 0))
    words = f"{counted(int(info.get('NCPU', 0)), 'CPU')}, {format_memory(memory)} of memory"
    beyond = [size for size in (catalog.sizes if catalog else ()) if size.memory > memory]
    if not beyond:
        return ok(words)
    named = joined([f'"{size.id}" ({format_memory(size.memory)})' for size in beyond])
    fact, remedy = f"{words}; more is offered as {named}", "Take a larger machine, or smaller sizes in the catalog."
    return fail(fact, remedy) if any(size.default for size in beyond) else warn(fact, remedy)


def limits_finding(info: Info) -> Finding:
    """Report whether the kernel enforces the limits of servers, and through which version of cgroups."""
    words = f"cgroup version {info.get('CgroupVersion', '1')}, driver {info.get('CgroupDriver', 'unknown')}"
    kinds = {"MemoryLimit": "memory", "CpuCfsQuota": "CPU", "PidsLimit": "processes"}
    missing = [kind for key, kind in kinds.items() if info.get(key) is False]
    if info.get("CgroupDriver") == "none" or missing:
        what = joined(missing) or "any limit"
        return fail(
            f"{words}: the engine cannot hold servers to {what}",
            "Run the engine as root, or delegate the cgroup controllers cpu, memory and pids to it.",
        )
    if info.get("SwapLimit") is False:
        return warn(f"{words}: swap is not limited", "Boot with the kernel parameter swapaccount=1, or without swap.")
    return ok(words)


def processes_finding(most: int, each: int) -> Finding:
    """Check that servers with `each` so many processes cannot use up the machine's numbers for `most`."""
    servers = most // each
    words = f"the machine has numbers for {most} processes, and a server may have {each}"
    if servers < _FEW_SERVERS:
        return warn(
            f"{words}: {servers} servers together can keep all others from starting a program",
            "On the engine's machine: sysctl -w kernel.pid_max=4194304, and the same in /etc/sysctl.d.",
        )
    return ok(words)


def restart_finding(info: Info, version: Info) -> Finding:
    """Report whether servers survive a restart of the engine."""
    if engine_name(version) == "Podman":
        return ok("servers outlive a restart of the engine")
    if info.get("LiveRestoreEnabled"):
        return ok("live-restore is on: servers outlive a restart of the engine")
    return warn("live-restore is off: a restart of the engine ends all servers", _LIVE_RESTORE_REMEDY)


def network_finding(name: str, found: Info | None, *, ours: bool, running: bool) -> Finding:
    """Check the servers' network, from `GET /networks/NAME`. `ours` is whether the catalog names none."""
    if found is None:
        if running:
            remedy = "The hub makes it within seconds; if it stays so, the hub's log says why."
            return fail(f"{name} is not there, so that no server can start", remedy)
        return ok(f"{name} is made by the next `stateroom up`")
    if not gateway_of(found):
        return fail(f"{name} has no gateway, at which the hub could listen", "Name a bridge network, or none.")
    if str((found.get("Options") or {}).get(_ICC)).lower() != "false":
        anew = "Run `stateroom down` and `stateroom up` to have it made anew."
        return warn(
            f"{name} is there, but servers can reach each other on it",
            anew if ours else f"Make it anew with --opt {_ICC}=false, or leave docker.network out of the catalog.",
        )
    return ok(f"{name} at {gateway_of(found)}; servers cannot reach each other on it")


def gateway_of(network: Info) -> str:
    """Return the host's address on a network, or "" if it has none."""
    pools = (network.get("IPAM") or {}).get("Config") or ()
    return next((str(pool["Gateway"]) for pool in pools if pool.get("Gateway")), "")


def image_disk_finding(free: int, folder: str) -> Finding:
    """Report the free space for images, containers and volumes."""
    return disk_finding(free, folder, _ENOUGH_FOR_IMAGES, _TOO_LITTLE_FOR_IMAGES, "Run `stateroom gc`, or make room.")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())
