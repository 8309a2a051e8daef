"""`stateroom doctor`: a line for each thing that a hub needs, with a verdict and what to do about it."""

from __future__ import annotations

import argparse
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import docker
from docker.errors import ImageNotFound, NotFound
from rich.text import Text

from stateroom.backends.docker.engine import read_passwd, translated
from stateroom.backends.docker.network import isolation_gaps, servers_network
from stateroom.backends.docker.payload import facts_from_image
from stateroom.catalog import Catalog
from stateroom.cli.data import DataFolder, Settings, add_data_option
from stateroom.cli.database import read_records
from stateroom.cli.engine import answering
from stateroom.cli.findings import (
    Finding,
    Verdict,
    data_room_finding,
    engine_finding,
    fail,
    gateway_of,
    image_room_finding,
    limits_finding,
    machine_finding,
    network_finding,
    ok,
    orphans_finding,
    restart_finding,
    unseen,
    warn,
)
from stateroom.cli.hub import answers, is_free
from stateroom.cli.orphans import find_orphans
from stateroom.cli.screen import Screen
from stateroom.errors import CatalogError, ImageUnfit, SetupError, StateroomError
from stateroom.hub_id import known_hub_id
from stateroom.images import UNIFIED, is_current, source_hash, sources
from stateroom.loading import load_catalog
from stateroom.names import HELPER
from stateroom.quantity import MiB
from stateroom.wording import clipped, counted

_SECONDS = 30.0  # for one check; those that wait know a shorter time of their own
_ENGINE_TIMEOUT = 10
_REACH_SECONDS = 15
_IMAGE_SECONDS = 20.0  # for all of them

_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.UNSEEN: "dim"}

_NO_HUB = "the hub does not run"

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

_NO_FINDINGS: list[Finding] = []

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Installation:
    """What there is to look at. What is None has its reason in the `_problem` beside it."""

    data: DataFolder
    settings: Settings | None
    running: bool
    catalog: Catalog | None
    catalog_problem: str
    engine: docker.APIClient | None
    engine_problem: str
    hub_id: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at; a check may have any number of findings."""

    name: str
    look: Callable[[Installation], Iterable[Finding]]
    asks_engine: bool = True


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="see what is wrong, and what to do about it",
        description="Look at all that a hub needs. Prints a line for each, and ends with 1 if anything fails.",
    )
    add_data_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at everything, and print a line for each finding."""
    screen, place = Screen(), installation(arguments.data)
    verdicts = set()
    for check in CHECKS:
        for finding in examined(check, place):
            screen.console.print(_line(check.name, finding))
            verdicts.add(finding.verdict)
    return 1 if Verdict.FAIL in verdicts else 0


def installation(data: DataFolder) -> Installation:
    """What is there of a hub of this folder. Changes nothing, and never raises."""
    settings, problem = _or_problem(data.settings, None)
    path = Path(settings.catalog) if settings else data.catalog
    catalog, catalog_problem = _or_problem(lambda: load_catalog(path), None) if path.exists() else (None, "")
    engine, engine_problem = _or_problem(answering, None)
    if engine is not None:
        engine.timeout = _ENGINE_TIMEOUT
    own = (settings and settings.hub_id) or (catalog and catalog.hub)
    return Installation(
        data,
        settings,
        running=data.path.is_dir() and _or_problem(data.holder, None)[0] is not None,
        catalog=catalog,
        catalog_problem=catalog_problem or problem,
        engine=engine,
        engine_problem=engine_problem,
        hub_id=own or _or_problem(lambda: known_hub_id(data.path), "")[0] or "",
    )


def examined(check: Check, place: Installation) -> list[Finding]:
    """The check's findings; one that goes wrong is a finding too."""
    if check.asks_engine and place.engine is None:
        return [unseen("the engine does not answer")]
    findings, problem = _or_problem(lambda: _looked(check, place), _NO_FINDINGS)
    return [fail(problem, "Look into it, and run `stateroom doctor` again.")] if problem else findings


# The checks


def _hub_id(place: Installation) -> Iterator[Finding]:
    if not place.hub_id:
        yield ok("none yet; the first `stateroom up` makes one")
    elif place.settings and place.catalog and place.catalog.hub not in (None, place.hub_id):
        yield warn(
            f"{place.hub_id}, but the catalog says {place.catalog.hub}",
            "With another id the hub finds neither its servers nor its homes. Put the old one back into the catalog.",
        )
    else:
        yield ok(place.hub_id)


def _catalog(place: Installation) -> Iterator[Finding]:
    path = place.settings.catalog if place.settings else place.data.catalog
    if place.catalog_problem:
        yield fail(place.catalog_problem, f"`stateroom check {path}` shows every fault.")
    elif place.catalog is None:
        yield warn(f"there is none at {path}", "The first `stateroom up` puts one there.")
    else:
        yield ok(f"{path} holds")


def _engine(place: Installation) -> Iterator[Finding]:
    if place.engine is None:
        yield fail(
            place.engine_problem or "no engine answers",
            "`stateroom up` as root starts one; or start it, or point DOCKER_HOST to one that runs.",
        )
    else:
        with translated():
            yield engine_finding(place.engine.version())


def _machine(place: Installation) -> Iterator[Finding]:
    yield machine_finding(_info(place), place.catalog)


def _limits(place: Installation) -> Iterator[Finding]:
    yield limits_finding(_info(place))


def _restarts(place: Installation) -> Iterator[Finding]:
    yield restart_finding(_info(place), _asked(place).version())


def _disk(place: Installation) -> Iterator[Finding]:
    root = Path(str(_info(place).get("DockerRootDir", "")))
    if not _is_local():
        yield unseen("the engine is on another machine")
    elif not root.is_dir():
        yield unseen(f"{root} is not to be seen from here")
    else:
        yield image_room_finding(shutil.disk_usage(root).free, str(root))


def _data(place: Installation) -> Iterator[Finding]:
    if place.data.path.is_dir():
        yield data_room_finding(shutil.disk_usage(place.data.path).free, str(place.data.path))
    else:
        yield ok(f"{place.data.path} is made by the first `stateroom up`")


def _images(place: Installation) -> Iterator[Finding]:
    if place.catalog is None:
        yield unseen("there is no catalog that holds")
        return
    references = list(dict.fromkeys(image.image for image in place.catalog.images))
    until = time.monotonic() + _IMAGE_SECONDS
    for number, reference in enumerate(references):
        if time.monotonic() > until:
            yield unseen(f"there are {len(references) - number} more, which would take too long")
            return
        yield _image(_asked(place), reference, place.hub_id)


def _image(engine: docker.APIClient, reference: str, hub: str) -> Finding:
    try:
        found = engine.inspect_image(reference)
    except ImageNotFound:
        if reference == UNIFIED:
            return fail(f"{reference} is not on the engine", "`stateroom images build` builds it, and so does `up`.")
        return warn(
            f"{reference} is not on the engine", f"The first start pulls it; `docker pull {reference}` does now."
        )
    try:
        facts = facts_from_image(reference, found, read_passwd(engine, found["Id"], {HELPER: hub}))
    except ImageUnfit as error:
        return fail(str(error), "Or take it out of the catalog.")
    if reference == UNIFIED and not is_current(engine, reference, source_hash(sources())):
        return warn(f"{reference} was built by another version", "`stateroom images build` builds it anew.")
    return ok(f"{reference} is there, and runs as user {facts.uid}")


def _network(place: Installation) -> Iterator[Finding]:
    if place.catalog is None or not place.hub_id:
        yield unseen("there is no hub yet")
        return
    name, ours = servers_network(place.catalog, place.hub_id), place.catalog.docker.network is None
    found = _network_facts(_asked(place), name)
    yield network_finding(name, found, ours=ours, running=place.running)
    gateway = gateway_of(found) if found else ""
    if gateway and not is_free(0, gateway):
        yield fail(
            f"{gateway} is no address of this machine, so that the hub cannot listen at it",
            "Remove the network (`stateroom down`) and run `stateroom up`; if it stays so, restart the engine.",
        )


def _isolation(place: Installation) -> Iterator[Finding]:
    if place.catalog is None or place.settings is None or not place.running:
        yield unseen(_NO_HUB)
        return
    gaps = isolation_gaps(_asked(place), place.catalog, place.hub_id, place.settings.hub_port)
    for gap in gaps:
        yield warn(gap.verdict.removesuffix("."), gap.remedy)
    if not gaps:
        yield ok("servers reach the outside and their hub, and nothing else of the machine")


def _hub(place: Installation) -> Iterator[Finding]:
    if place.settings is None or not place.running:
        yield warn("does not run", f"`stateroom up{place.data.option}` starts it.")
        return
    if place.engine is None:
        yield ok("runs; at which address servers ask it, the engine would know")
        return
    with translated():
        address = _hub_address(place)
    if answers(place.settings.hub_port, address):
        yield ok(f"answers at {address}:{place.settings.hub_port}, where servers ask it")
    else:
        yield fail(
            f"does not answer at {address}:{place.settings.hub_port}, where servers ask it",
            f"Its log is {place.data.logs / 'hub.log'}. Stop it with Ctrl-C, and run `stateroom up` again.",
        )


def _proxy(place: Installation) -> Iterator[Finding]:
    if place.settings is None or not place.running:
        yield unseen(_NO_HUB)
    elif answers(place.settings.port):
        yield ok(f"answers at {place.settings.url}")
    else:
        yield fail(
            f"does not lead from {place.settings.url} to the hub",
            f"The log is {place.data.logs / 'hub.log'}. Stop the hub with Ctrl-C, and run `stateroom up` again.",
        )


def _reach(place: Installation) -> Iterator[Finding]:
    """Connect to the hub from where servers are."""
    if place.settings is None or place.catalog is None or not place.running:
        yield unseen(_NO_HUB)
        return
    engine, address, port = _asked(place), _hub_address(place), place.settings.hub_port
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


def _orphans(place: Installation) -> Iterator[Finding]:
    if place.settings is None or not place.data.database.exists():
        yield ok("none: no hub has run yet")
        return
    found = find_orphans(
        _asked(place),
        place.settings.hub_id,
        lambda: read_records(place.data.database),
        time.time(),
        running=place.running,
    )
    yield orphans_finding([orphan.kind for orphan in found])


# In the order of what needs what. A new check is a function above and a line here.
CHECKS = (
    Check("Hub's id", _hub_id, asks_engine=False),
    Check("Catalog", _catalog, asks_engine=False),
    Check("Data", _data, asks_engine=False),
    Check("Engine", _engine, asks_engine=False),
    Check("Machine", _machine),
    Check("Limits", _limits),
    Check("Restarts", _restarts),
    Check("Disk", _disk),
    Check("Image", _images),
    Check("Network", _network),
    Check("Isolation", _isolation),
    Check("Hub", _hub, asks_engine=False),
    Check("Proxy", _proxy, asks_engine=False),
    Check("Reach", _reach),
    Check("Orphans", _orphans),
)


# What the checks ask


def _asked(place: Installation) -> docker.APIClient:
    assert place.engine is not None  # noqa: S101 - no check that asks it is run without one
    return place.engine


def _info(place: Installation) -> dict[str, Any]:
    found: dict[str, Any] = _asked(place).info()
    return found


def _network_facts(engine: docker.APIClient, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = engine.inspect_network(name)
    except NotFound:
        return None
    return found


def _hub_address(place: Installation) -> str:
    """Where the hub listens for servers: the gateway of their network."""
    network = servers_network(place.catalog, place.hub_id) if place.catalog else ""
    found = _network_facts(_asked(place), network) if network else None
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


# How they are run and shown


def _looked(check: Check, place: Installation) -> list[Finding]:
    if not check.asks_engine:
        return list(check.look(place))
    with translated():
        return list(check.look(place))


def _or_problem(work: Callable[[], _Result], otherwise: _Result) -> tuple[_Result, str]:
    """What `work` returns, or `otherwise` and a sentence on why it does not. Takes a bounded time."""
    answer: list[tuple[_Result, str]] = []

    def do() -> None:
        answer.append(_caught(work, otherwise))

    # A daemon: one that hangs must not keep the command from its end.
    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return answer[0] if answer else (otherwise, f"no answer within {_SECONDS:.0f} s")


def _caught(work: Callable[[], _Result], otherwise: _Result) -> tuple[_Result, str]:
    try:
        return work(), ""
    except CatalogError as error:
        others = len(error.problems) - 1
        return otherwise, f"{error.problems[0]} (and {counted(others, 'more fault')})" if others else error.problems[0]
    except StateroomError as error:
        return otherwise, str(error)
    except Exception as error:  # noqa: BLE001 - a check must not keep the next from its line
        return otherwise, f"could not be looked at: {type(error).__name__} {clipped(str(error))}".rstrip()


def _line(name: str, finding: Finding) -> Text:
    remedy = f" {finding.remedy}" if finding.remedy else ""
    fact = finding.fact.rstrip(".") + "." if finding.remedy else finding.fact
    return Text.assemble(
        (f"{finding.verdict:<5}", _COLOURS[finding.verdict]), (f"{name:<10}", "bold"), f"{fact}{remedy}"
    )
