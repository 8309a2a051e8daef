"""Finds the objects on the engine that are no longer used, with the reason, and removes them one by one.

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

from stateroom.common.labels import HELPER, HUB
from stateroom.common.quantity import HOUR, MINUTE
from stateroom.images.build import SOURCE_LABEL, STAGE_LABEL, is_build
from stateroom.operations.local.records import Records
from stateroom.operations.platform import Kind, Orphan
from stateroom.workloads.identity import identify, look_labels

_GRACE = 10  # seconds between asking a server to end and killing it

# What was made a moment ago may be about to be used.
_NEW = 5 * MINUTE
_NEW_IMAGE = HOUR  # a build takes minutes, and uses its first stage at the end

Listed = Mapping[str, Any]


def find_orphans(
    engine: docker.APIClient, hub: str, read: Callable[[], Records], now: float, *, running: bool
) -> list[Orphan]:
    """List everything of this hub that may be removed, `running` being whether the hub runs.

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
    """List containers of servers that the hub does not know as active.

    One that is known and has ended stays: the hub has yet to tell its owner why.
    """
    found = []
    for container in containers:
        ref = identify(listed_name(container), container["Labels"], hub)
        if ref is None or (ref.user, ref.server) in records.active:
            continue
        if not (running and container["State"] == "created" and _age(container, now) < _NEW):
            why = f"server of {ref}, {_past(container)}; the hub knows of no such server"
            found.append(Orphan(Kind.SERVER, container["Id"], ref.name, why))
    return found


def orphan_helpers(containers: Iterable[Listed], hub: str, now: float) -> list[Orphan]:
    """List short-lived containers of the hub that were left behind when their creator was killed."""
    return [
        Orphan(
            Kind.HELPER,
            container["Id"],
            listed_name(container),
            f"helper of the hub, {_past(container)}, left by a kill",
        )
        for container in containers
        if _is_helper(container["Labels"] or {}, hub)
        and container["State"] != "running"
        and _age(container, now) >= _NEW
    ]


def _is_helper(labels: Mapping[str, str], hub: str) -> bool:
    return labels.get(HELPER) == hub or look_labels(hub).items() <= labels.items()


def unused_networks(networks: Iterable[Listed], containers: Iterable[Listed]) -> list[Orphan]:
    """List the networks that no container is attached to, running or not."""
    used = {name for container in containers for name in (container.get("NetworkSettings") or {}).get("Networks") or ()}
    return [
        Orphan(Kind.NETWORK, network["Id"], network["Name"], "network of the hub, which does not run; nothing is on it")
        for network in networks
        if network["Name"] not in used
    ]


def superseded_images(engine: docker.APIClient, containers: Iterable[Listed], now: float) -> list[Orphan]:
    """List old builds of the images that ship with Stateroom, and first stages of old builds.

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
    """Remove an orphan, and return False if it has come into use meanwhile. One that is gone counts as removed."""
    try:
        with suppress(NotFound):
            _REMOVALS[orphan.kind](engine, orphan.id)
    except APIError as error:
        if error.status_code in (requests.codes.conflict, requests.codes.forbidden):
            return False
        raise
    return True


def end_server(engine: docker.APIClient, container: str) -> None:
    """Ask a server to stop, kill it if it does not, and remove it. One that is gone counts as removed."""
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


def listed_name(container: Listed) -> str:
    """Return the name of a container in the engine's list, "" if it has none."""
    return str((container["Names"] or ["/"])[0]).removeprefix("/")


def _age(thing: Listed, now: float) -> float:
    return now - float(thing["Created"])


def _past(container: Listed) -> str:
    """Return the container's state in the engine's words: "Up 3 hours", "Exited (0) 2 days ago"."""
    return str(container.get("Status") or container["State"]).lower()
