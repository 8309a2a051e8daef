"""The checks of `stateroom doctor` on Docker: the engine, its images and networks, and the path from servers to hub."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import ImageNotFound, NotFound

from stateroom.backends.docker.engine import read_passwd, translated
from stateroom.backends.docker.network import isolation_gaps
from stateroom.backends.docker.packet_filter import is_here
from stateroom.backends.docker.payload import PROCESS_LIMIT, facts_from_image, servers_network
from stateroom.common.errors import ImageUnfit, SetupError
from stateroom.common.labels import HELPER
from stateroom.common.quantity import MiB
from stateroom.images.base import has_image
from stateroom.images.build import is_current
from stateroom.images.sources import UNIFIED, unified
from stateroom.operations.checks.findings import Finding, fail, ok, orphans_finding, skipped, warn
from stateroom.operations.checks.installation import (
    HOST_NAMES_CHECK,
    HUB_NOT_RUNNING,
    PROXY_CHECK,
    Check,
    Installation,
    hub_answers_finding,
    hub_not_running_finding,
)
from stateroom.operations.docker.findings import (
    engine_finding,
    gateway_of,
    image_disk_finding,
    limits_finding,
    machine_finding,
    network_finding,
    processes_finding,
    restart_finding,
)
from stateroom.operations.docker.orphans import find_orphans
from stateroom.operations.local.hub import is_free
from stateroom.workloads.names import network_name

ENGINE_TIMEOUT = 10
_REACH_SECONDS = 15
_IMAGE_SECONDS = 20.0  # for all of them
_MOST_PROCESSES = Path("/proc/sys/kernel/pid_max")

# Whatever the image has that opens a connection; 77 where it has nothing of the kind.
_NOTHING_TO_REACH_WITH = 77
_REACH = f"""
if command -v python3 >/dev/null; then
    exec python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)' "$0" "$1"
elif command -v bash >/dev/null; then exec timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$0" "$1"
elif command -v nc >/dev/null; then exec nc -z -w 5 "$0" "$1"
else exit {_NOTHING_TO_REACH_WITH}
fi
"""


def checks(engine: docker.APIClient | None, problem: str) -> Sequence[Check]:
    """Return the checks, each after those it depends on. `engine` is None if none answers, and `problem` says why."""

    def asking(
        look: Callable[[docker.APIClient, Installation], Iterable[Finding]],
    ) -> Callable[[Installation], Iterable[Finding]]:
        return lambda installation: _asked(look, engine, installation)

    return (
        Check("Engine", lambda _: _engine(engine, problem)),
        Check("Machine", asking(_machine)),
        Check("Limits", asking(_limits)),
        Check("Processes", asking(_processes)),
        Check("Restarts", asking(_restarts)),
        Check("Disk", asking(_disk)),
        Check("Image", asking(_images)),
        Check("Network", asking(_network)),
        Check("Isolation", asking(_isolation)),
        Check("Hub", lambda installation: _hub(engine, installation)),
        PROXY_CHECK,
        HOST_NAMES_CHECK,
        Check("Reach", asking(_reach)),
        Check("Orphans", asking(_orphans)),
    )


def _asked(
    look: Callable[[docker.APIClient, Installation], Iterable[Finding]],
    engine: docker.APIClient | None,
    installation: Installation,
) -> Iterator[Finding]:
    if engine is None:
        yield skipped("the engine does not answer")
        return
    with translated():
        yield from look(engine, installation)


def _engine(engine: docker.APIClient | None, problem: str) -> Iterator[Finding]:
    if engine is None:
        yield fail(
            problem or "no engine answers",
            "`stateroom up` as root starts one; or start it, or point DOCKER_HOST to one that runs.",
        )
    else:
        with translated():
            yield engine_finding(engine.version())


def _machine(engine: docker.APIClient, installation: Installation) -> Iterator[Finding]:
    yield machine_finding(engine.info(), installation.catalog)


def _limits(engine: docker.APIClient, _: Installation) -> Iterator[Finding]:
    yield limits_finding(engine.info())


def _processes(engine: docker.APIClient, _: Installation) -> Iterator[Finding]:
    if is_here(engine):
        yield processes_finding(int(_MOST_PROCESSES.read_text()), PROCESS_LIMIT)
    else:
        yield skipped("the engine is on another machine")


def _restarts(engine: docker.APIClient, _: Installation) -> Iterator[Finding]:
    yield restart_finding(engine.info(), engine.version())


def _disk(engine: docker.APIClient, _: Installation) -> Iterator[Finding]:
    root = Path(str(engine.info().get("DockerRootDir", "")))
    if not _is_local():
        yield skipped("the engine is on another machine")
    elif not root.is_dir():
        yield skipped(f"{root} is not to be seen from here")
    else:
        yield image_disk_finding(shutil.disk_usage(root).free, str(root))


def _images(engine: docker.APIClient, installation: Installation) -> Iterator[Finding]:
    if installation.catalog is None:
        yield skipped("there is no catalog that holds")
        return
    references = list(dict.fromkeys(image.image for image in installation.catalog.images))
    until = time.monotonic() + _IMAGE_SECONDS
    for number, reference in enumerate(references):
        if time.monotonic() > until:
            yield skipped(f"there are {len(references) - number} more, which would take too long")
            return
        yield _image(engine, reference, installation.hub_id)


def _image(engine: docker.APIClient, reference: str, hub: str) -> Finding:
    try:
        found = engine.inspect_image(reference)
    except ImageNotFound:
        if reference == UNIFIED:
            return fail(
                f"{reference} is not on the engine", "`stateroom images build unified` builds it, and so does `up`."
            )
        return warn(
            f"{reference} is not on the engine", f"The first start pulls it; `docker pull {reference}` does now."
        )
    try:
        facts = facts_from_image(reference, found, read_passwd(engine, found["Id"], {HELPER: hub}))
    except ImageUnfit as error:
        return fail(str(error), "Or take it out of the catalog.")
    if reference == UNIFIED and not is_current(engine, unified()):
        return warn(f"{reference} was built by another version", "`stateroom images build unified` builds it anew.")
    return ok(f"{reference} is there, and runs as user {facts.uid}")


def _network(engine: docker.APIClient, installation: Installation) -> Iterator[Finding]:
    if installation.catalog is None or not installation.hub_id:
        yield skipped("there is no hub yet")
        return
    hubs, servers = _hub_network(installation), servers_network(installation.catalog, installation.hub_id)
    for name in dict.fromkeys([hubs, servers]):  # another one since the catalog was edited
        ours = name == network_name(installation.hub_id)
        yield network_finding(name, _network_facts(engine, name), ours=ours, running=installation.running)
    found = _network_facts(engine, hubs)
    gateway = gateway_of(found) if found else ""
    if gateway and not is_free(0, gateway):
        yield fail(
            f"{gateway} is no address of this machine, so that the hub cannot listen at it",
            "Remove the network (`stateroom down`) and run `stateroom up`; if it stays so, restart the engine.",
        )


def _isolation(engine: docker.APIClient, installation: Installation) -> Iterator[Finding]:
    if installation.catalog is None or installation.settings is None or not installation.running:
        yield skipped(HUB_NOT_RUNNING)
        return
    settings = installation.settings
    gaps = isolation_gaps(engine, installation.catalog, settings.hub_id, settings.hub_port, settings.network)
    for gap in gaps:
        yield warn(gap.verdict.removesuffix("."), gap.remedy)
    if not gaps:
        yield ok("servers reach the outside and their hub, and nothing else of the machine")


def _hub(engine: docker.APIClient | None, installation: Installation) -> Iterator[Finding]:
    if installation.settings is None or not installation.running:
        yield hub_not_running_finding(installation)
    elif engine is None:
        yield ok("runs; at which address servers ask it, the engine would know")
    else:
        with translated():
            address = _hub_address(engine, installation)
        yield hub_answers_finding(installation, address)


def _reach(engine: docker.APIClient, installation: Installation) -> Iterator[Finding]:
    """Connect to the hub from where servers are."""
    if installation.settings is None or installation.catalog is None or not installation.running:
        yield skipped(HUB_NOT_RUNNING)
        return
    address, port = _hub_address(engine, installation), installation.settings.hub_port
    references = dict.fromkeys((UNIFIED, *(image.image for image in installation.catalog.images)))
    image = next((reference for reference in references if has_image(engine, reference)), None)
    if image is None:
        yield skipped("no image of the catalog is on the engine")
        return
    network = _hub_network(installation)
    code = _exit_code(engine, _reach_payload(image, network, installation.hub_id, address, port))
    if code == 0:
        yield ok(f"a server reaches the hub at {address}:{port}")
    elif code == _NOTHING_TO_REACH_WITH:
        yield skipped(f"{image} has neither python3, bash nor nc")
    else:
        yield fail(
            f"a server does not reach the hub at {address}:{port}",
            f"A firewall of this machine may refuse it: let the network {network} connect to that port.",
        )


def _orphans(engine: docker.APIClient, installation: Installation) -> Iterator[Finding]:
    if installation.settings is None or not installation.data.has_database:
        yield ok("none: no hub has run yet")
        return
    found = find_orphans(
        engine,
        installation.settings.hub_id,
        installation.data.records,
        time.time(),
        running=installation.running,
    )
    yield orphans_finding([orphan.kind for orphan in found])


def _network_facts(engine: docker.APIClient, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = engine.inspect_network(name)
    except NotFound:
        return None
    return found


def _hub_address(engine: docker.APIClient, installation: Installation) -> str:
    """Return the address where the hub listens for servers: the gateway of their network."""
    network = _hub_network(installation)
    found = _network_facts(engine, network) if network else None
    address = gateway_of(found) if found else ""
    if not address:
        raise SetupError("The servers' network has no gateway, so that the hub's address is not known.")
    return address


def _hub_network(installation: Installation) -> str:
    """Return the network at whose gateway the hub listens since its start, or will; "" where no catalog says."""
    known = installation.settings.network if installation.settings else ""
    return known or (servers_network(installation.catalog, installation.hub_id) if installation.catalog else "")


def _is_local() -> bool:
    return os.environ.get("DOCKER_HOST", "unix://").startswith("unix://")


def _reach_payload(image: str, network: str, hub: str, address: str, port: int) -> dict[str, Any]:
    """Describe a container that tries to connect and cannot do anything else."""
    return {
        "Image": image,
        "Entrypoint": ["/bin/sh", "-c", _REACH],
        "Cmd": [address, str(port)],
        "User": "65534:65534",
        "Labels": {HELPER: hub},
        "HostConfig": {
            "NetworkMode": network,
            "Memory": 64 * MiB,
            "PidsLimit": 16,
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
        },
    }


def _exit_code(engine: docker.APIClient, payload: dict[str, Any]) -> int:
    """Run a container until it exits, remove it, and return its exit code."""
    container = engine.create_container_from_config(payload)["Id"]
    try:
        engine.start(container)
        return int(engine.wait(container, timeout=_REACH_SECONDS)["StatusCode"])
    finally:
        with suppress(NotFound):
            engine.remove_container(container, force=True, v=True)
