"""What `stateroom doctor` looks at wherever servers run, and how any check is run."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stateroom.catalog import Catalog
from stateroom.cli.data import DataFolder, Settings
from stateroom.cli.findings import Finding, data_room_finding, fail, ok, unseen, warn
from stateroom.cli.hub import answers
from stateroom.errors import CatalogError, StateroomError
from stateroom.loading import load_catalog
from stateroom.wording import clipped, counted

NO_HUB = "the hub does not run"

_SECONDS = 30.0  # for one check; those that wait know a shorter time of their own

_NO_FINDINGS: list[Finding] = []

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Installation:
    """What there is to look at. A catalog that is None has its reason in `catalog_problem`."""

    data: DataFolder
    settings: Settings | None
    running: bool
    catalog: Catalog | None
    catalog_problem: str
    hub_id: str


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at; a check may have any number of findings."""

    name: str
    look: Callable[[Installation], Iterable[Finding]]


def installation(data: DataFolder) -> Installation:
    """What is there of a hub of this folder. Changes nothing, and never raises."""
    settings, problem = or_problem(data.settings, None)
    path = Path(settings.catalog) if settings else data.catalog
    catalog, catalog_problem = or_problem(lambda: load_catalog(path), None) if path.exists() else (None, "")
    own = (settings and settings.hub_id) or (catalog and catalog.hub)
    return Installation(
        data,
        settings,
        running=or_problem(data.runs, False)[0],
        catalog=catalog,
        catalog_problem=catalog_problem or problem,
        hub_id=own or or_problem(data.known_hub_id, "")[0] or "",
    )


def examined(check: Check, place: Installation) -> list[Finding]:
    """The check's findings; one that goes wrong is a finding too."""
    findings, problem = or_problem(lambda: list(check.look(place)), _NO_FINDINGS)
    return [fail(problem, "Look into it, and run `stateroom doctor` again.")] if problem else findings


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


def _data(place: Installation) -> Iterator[Finding]:
    if place.data.path.is_dir():
        yield data_room_finding(shutil.disk_usage(place.data.path).free, str(place.data.path))
    else:
        yield ok(f"{place.data.path} is made by the first `stateroom up`")


def hub_finding(place: Installation, address: str) -> Finding:
    """Whether the hub answers where servers ask it, for one that runs."""
    assert place.settings is not None  # noqa: S101 - a hub that runs has settings
    where = f"{address}:{place.settings.hub_port}, where servers ask it"
    if answers(place.settings.hub_port, address):
        return ok(f"answers at {where}")
    return fail(
        f"does not answer at {where}",
        f"Its log is {place.data.logs / 'hub.log'}. Stop it with Ctrl-C, and run `stateroom up` again.",
    )


def no_hub_finding(place: Installation) -> Finding:
    """For one that does not run."""
    return warn("does not run", f"`stateroom up{place.data.option}` starts it.")


def _proxy(place: Installation) -> Iterator[Finding]:
    if place.settings is None or not place.running:
        yield unseen(NO_HUB)
    elif answers(place.settings.port):
        yield ok(f"answers at {place.settings.url}")
    else:
        yield fail(
            f"does not lead from {place.settings.url} to the hub",
            f"The log is {place.data.logs / 'hub.log'}. Stop the hub with Ctrl-C, and run `stateroom up` again.",
        )


OWN_FILES = (Check("Hub's id", _hub_id), Check("Catalog", _catalog), Check("Data", _data))
PROXY = Check("Proxy", _proxy)


def or_problem(work: Callable[[], _Result], otherwise: _Result) -> tuple[_Result, str]:
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
