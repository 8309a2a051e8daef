"""What is left on the engine that nobody uses any more: found here, told with its why, removed one by one.

Only what carries this hub's labels counts, and old builds of our own image. A
container is named by the engine's id, not by its name: what takes the name
afterwards is another container.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import docker
import requests
from docker.errors import APIError, NotFound

from stateroom.cli.database import Records
from stateroom.cli.places import Kind, Orphan
from stateroom.images import SOURCE_LABEL, STAGE_LABEL, is_build
from stateroom.names import HELPER, HUB, look_labels, server_from_labels

_GRACE = 10  # seconds between asking a server to end and killing it

# What was made a moment ago may be about to be used.
_NEW = 5 * 60
_NEW_IMAGE = 60 * 60  # a build takes minutes, and uses its first stage at the end

Listed = Mapping[str, Any]


def find_orphans(
    engine: docker.APIClient, hub: str, read: Callable[[], Records], now: float, *, running: bool
) -> list[Orphan]:
    """All that may be removed of this hub, which is `running` or not.

    `read` asks the hub's database. It is called after the containers were
    listed: the hub notes a server before it makes it, so what was listed is
    known by then.
    """
    containers = engine.containers(all=True)
    networks = [] if running else engine.networks(filters={"label": f"{HUB}={hub}"})
    found = [*orphan_servers(containers, hub, read(), now, running=running), *orphan_helpers(containers, hub, now)]
    left = [container for container in containers if container["Id"] not in {orphan.id for orphan in found}]
    found += unused_networks(networks, left)
    return found + superseded_images(engine, containers, now)


def orphan_servers(
    containers: Iterable[Listed], hub: str, records: Records, now: float, *, running: bool
) -> list[Orphan]:
    """Containers of servers that the hub does not know as active.

    One that is known and has ended stays: the hub has yet to tell its owner why.
    """
    found = []
    for container in containers:
        ref = server_from_labels(container["Labels"] or {}, hub)
        # A copy that somebody made of a server has its labels, and a name of its own.
        if ref is None or _name(container) != ref.name or (ref.user, ref.server) in records.active:
            continue
        if not (running and container["State"] == "created" and _age(container, now) < _NEW):
            why = f"server of {ref}, {_past(container)}; the hub knows of no such server"
            found.append(Orphan(Kind.SERVER, container["Id"], ref.name, why))
    return found


def orphan_helpers(containers: Iterable[Listed], hub: str, now: float) -> list[Orphan]:
    """Containers that were to serve the hub for a moment, and whose maker was killed."""
    return [
        Orphan(Kind.HELPER, container["Id"], _name(container), f"helper of the hub, {_past(container)}, left by a kill")
        for container in containers
        if _is_helper(container["Labels"] or {}, hub)
        and container["State"] != "running"
        and _age(container, now) >= _NEW
    ]


def _is_helper(labels: Mapping[str, str], hub: str) -> bool:
    return labels.get(HELPER) == hub or look_labels(hub).items() <= labels.items()


def unused_networks(networks: Iterable[Listed], containers: Iterable[Listed]) -> list[Orphan]:
    """The networks that no container is on, running or not."""
    used = {name for container in containers for name in (container.get("NetworkSettings") or {}).get("Networks") or ()}
    return [
        Orphan(Kind.NETWORK, network["Id"], network["Name"], "network of the hub, which does not run; nothing is on it")
        for network in networks
        if network["Name"] not in used
    ]


def superseded_images(engine: docker.APIClient, containers: Iterable[Listed], now: float) -> list[Orphan]:
    """Old builds of the images that ship with Stateroom, and first stages of old builds.

    The newest stage of each image stays, since it makes its next build quick. An
    image that somebody made of ours has our label too, but not in its last step.
    """
    used = {container["ImageID"] for container in containers}
    builds = [image for image in _unnamed(engine, SOURCE_LABEL) if is_build(engine, image["Id"])]
    stages = sorted(_unnamed(engine, STAGE_LABEL), key=lambda image: int(image["Created"]))
    newest = {image["Labels"][STAGE_LABEL]: image["Id"] for image in stages}
    stages = [image for image in stages if image["Id"] not in newest.values()]
    return [
        Orphan(Kind.IMAGE, image["Id"], image["Id"].removeprefix("sha256:")[:12], f"{what} that has been superseded")
        for images, what in ((builds, "build of an image of ours"), (stages, "first stage of a build"))
        for image in images
        if image["Id"] not in used and _age(image, now) >= _NEW_IMAGE
    ]


def remove_orphan(engine: docker.APIClient, orphan: Orphan) -> bool:
    """Remove it; False if somebody has come to use it meanwhile. One that is gone already counts as removed."""
    try:
        with suppress(NotFound):
            _REMOVALS[orphan.kind](engine, orphan.id)
    except APIError as error:
        if error.status_code in (requests.codes.conflict, requests.codes.forbidden):
            return False
        raise
    return True


def end_server(engine: docker.APIClient, container: str) -> None:
    """Ask a server to end, kill it if it does not, and remove it. One that is gone already counts as removed."""
    with suppress(NotFound):
        engine.stop(container, timeout=_GRACE)
        engine.remove_container(container, v=True, force=True)


_REMOVALS: Mapping[Kind, Callable[[docker.APIClient, str], object]] = {
    Kind.SERVER: end_server,
    Kind.HELPER: lambda engine, found: engine.remove_container(found, v=True),
    Kind.NETWORK: lambda engine, found: engine.remove_network(found),
    Kind.IMAGE: lambda engine, found: engine.remove_image(found),
}


def _unnamed(engine: docker.APIClient, label: str) -> list[Listed]:
    found: list[Listed] = engine.images(filters={"dangling": True, "label": label})
    return found


def _name(container: Listed) -> str:
    return str((container["Names"] or ["/"])[0]).removeprefix("/")


def _age(thing: Listed, now: float) -> float:
    return now - float(thing["Created"])


def _past(container: Listed) -> str:
    """What it does, as the engine says it: "Up 3 hours", "Exited (0) 2 days ago"."""
    return str(container.get("Status") or container["State"]).lower()
