"""What `stateroom doctor` looks at on Docker: the engine, its images and networks, and the way from servers to hubs."""

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
from stateroom.backends.docker.network import isolation_gaps, servers_network
from stateroom.backends.docker.payload import facts_from_image
from stateroom.cli.checks import NO_HUB, PROXY, Check, Installation, hub_finding, no_hub_finding
from stateroom.cli.docker.findings import (
    engine_finding,
    gateway_of,
    image_room_finding,
    limits_finding,
    machine_finding,
    network_finding,
    restart_finding,
)
from stateroom.cli.docker.orphans import find_orphans
from stateroom.cli.findings import Finding, fail, ok, orphans_finding, unseen, warn
from stateroom.cli.hub import is_free
from stateroom.errors import ImageUnfit, SetupError
from stateroom.images import is_current
from stateroom.names import HELPER
from stateroom.quantity import MiB
from stateroom.recipes import UNIFIED, unified

ENGINE_TIMEOUT = 10
_REACH_SECONDS = 15
_IMAGE_SECONDS = 20.0  # for all of them

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
    """In the order of what needs what, for the engine that answers, or None and why it does not."""

    def asking(
        look: Callable[[docker.APIClient, Installation], Iterable[Finding]],
    ) -> Callable[[Installation], Iterable[Finding]]:
        return lambda place: _asked(look, engine, place)

    return (
        Check("Engine", lambda _: _engine(engine, problem)),
        Check("Machine", asking(_machine)),
        Check("Limits", asking(_limits)),
        Check("Restarts", asking(_restarts)),
        Check("Disk", asking(_disk)),
        Check("Image", asking(_images)),
        Check("Network", asking(_network)),
        Check("Isolation", asking(_isolation)),
        Check("Hub", lambda place: _hub(engine, place)),
        PROXY,
        Check("Reach", asking(_reach)),
        Check("Orphans", asking(_orphans)),
    )


def _asked(
    look: Callable[[docker.APIClient, Installation], Iterable[Finding]],
    engine: docker.APIClient | None,
    place: Installation,
) -> Iterator[Finding]:
    if engine is None:
        yield unseen("the engine does not answer")
        return
    with translated():
        yield from look(engine, place)


def _engine(engine: docker.APIClient | None, problem: str) -> Iterator[Finding]:
    if engine is None:
        yield fail(
            problem or "no engine answers",
            "`stateroom up` as root starts one; or start it, or point DOCKER_HOST to one that runs.",
        )
    else:
        with translated():
            yield engine_finding(engine.version())


def _machine(engine: docker.APIClient, place: Installation) -> Iterator[Finding]:
    yield machine_finding(engine.info(), place.catalog)


def _limits(engine: docker.APIClient, _: Installation) -> Iterator[Finding]:
    yield limits_finding(engine.info())


def _restarts(engine: docker.APIClient, _: Installation) -> Iterator[Finding]:
    yield restart_finding(engine.info(), engine.version())


def _disk(engine: docker.APIClient, _: Installation) -> Iterator[Finding]:
    root = Path(str(engine.info().get("DockerRootDir", "")))
    if not _is_local():
        yield unseen("the engine is on another machine")
    elif not root.is_dir():
        yield unseen(f"{root} is not to be seen from here")
    else:
        yield image_room_finding(shutil.disk_usage(root).free, str(root))


def _images(engine: docker.APIClient, place: Installation) -> Iterator[Finding]:
    if place.catalog is None:
        yield unseen("there is no catalog that holds")
        return
    references = list(dict.fromkeys(image.image for image in place.catalog.images))
    until = time.monotonic() + _IMAGE_SECONDS
    for number, reference in enumerate(references):
        if time.monotonic() > until:
            yield unseen(f"there are {len(references) - number} more, which would take too long")
            return
        yield _image(engine, reference, place.hub_id)


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


def _network(engine: docker.APIClient, place: Installation) -> Iterator[Finding]:
    if place.catalog is None or not place.hub_id:
        yield unseen("there is no hub yet")
        return
    name, ours = servers_network(place.catalog, place.hub_id), place.catalog.docker.network is None
    found = _network_facts(engine, name)
    yield network_finding(name, found, ours=ours, running=place.running)
    gateway = gateway_of(found) if found else ""
    if gateway and not is_free(0, gateway):
        yield fail(
            f"{gateway} is no address of this machine, so that the hub cannot listen at it",
            "Remove the network (`stateroom down`) and run `stateroom up`; if it stays so, restart the engine.",
        )


def _isolation(engine: docker.APIClient, place: Installation) -> Iterator[Finding]:
    if place.catalog is None or place.settings is None or not place.running:
        yield unseen(NO_HUB)
        return
    gaps = isolation_gaps(engine, place.catalog, place.hub_id, place.settings.hub_port)
    for gap in gaps:
        yield warn(gap.verdict.removesuffix("."), gap.remedy)
    if not gaps:
        yield ok("servers reach the outside and their hub, and nothing else of the machine")


def _hub(engine: docker.APIClient | None, place: Installation) -> Iterator[Finding]:
    if place.settings is None or not place.running:
        yield no_hub_finding(place)
    elif engine is None:
        yield ok("runs; at which address servers ask it, the engine would know")
    else:
        with translated():
            address = _hub_address(engine, place)
        yield hub_finding(place, address)


def _reach(engine: docker.APIClient, place: Installation) -> Iterator[Finding]:
    """Connect to the hub from where servers are."""
    if place.settings is None or place.catalog is None or not place.running:
        yield unseen(NO_HUB)
        return
    address, port = _hub_address(engine, place), place.settings.hub_port
    references = dict.fromkeys((UNIFIED, *(image.image for image in place.catalog.images)))
    image = next((reference for reference in references if _has(engine, reference)), None)
    if image is None:
        yield unseen("no image of the catalog is on the engine")
        return
    network = servers_network(place.catalog, place.hub_id)
    code = _exit_code(engine, _reach_payload(image, network, place.hub_id, address, port))
    if code == 0:
        yield ok(f"a server reaches the hub at {address}:{port}")
    elif code == _NOTHING_TO_REACH_WITH:
        yield unseen(f"{image} has neither python3, bash nor nc")
    else:
        yield fail(
            f"a server does not reach the hub at {address}:{port}",
            f"A firewall of this machine may refuse it: let the network {network} connect to that port.",
        )


def _orphans(engine: docker.APIClient, place: Installation) -> Iterator[Finding]:
    if place.settings is None or not place.data.has_database:
        yield ok("none: no hub has run yet")
        return
    found = find_orphans(
        engine,
        place.settings.hub_id,
        place.data.records,
        time.time(),
        running=place.running,
    )
    yield orphans_finding([orphan.kind for orphan in found])


def _network_facts(engine: docker.APIClient, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = engine.inspect_network(name)
    except NotFound:
        return None
    return found


def _hub_address(engine: docker.APIClient, place: Installation) -> str:
    """Where the hub listens for servers: the gateway of their network."""
    network = servers_network(place.catalog, place.hub_id) if place.catalog else ""
    found = _network_facts(engine, network) if network else None
    address = gateway_of(found) if found else ""
    if not address:
        raise SetupError("The servers' network has no gateway, so that the hub's address is not known.")
    return address


def _has(engine: docker.APIClient, reference: str) -> bool:
    try:
        engine.inspect_image(reference)
    except ImageNotFound:
        return False
    return True


def _is_local() -> bool:
    return os.environ.get("DOCKER_HOST", "unix://").startswith("unix://")


def _reach_payload(image: str, network: str, hub: str, address: str, port: int) -> dict[str, Any]:
    """A container that tries to connect, and may do nothing else."""
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
    """Run a container to its end, and remove it."""
    container = engine.create_container_from_config(payload)["Id"]
    try:
        engine.start(container)
        return int(engine.wait(container, timeout=_REACH_SECONDS)["StatusCode"])
    finally:
        with suppress(NotFound):
            engine.remove_container(container, force=True, v=True)
