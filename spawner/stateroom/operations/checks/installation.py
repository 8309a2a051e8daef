"""The checks of `stateroom doctor` that every platform has, and how a check is run."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import load_catalog
from stateroom.common.errors import CatalogError, StateroomError
from stateroom.common.text import clipped, counted
from stateroom.operations.checks.findings import Finding, data_disk_finding, fail, ok, skipped, warn
from stateroom.operations.local.address import SHARED_NAME_RISK
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.hub import answers
from stateroom.operations.local.pod_folder import PodFolder

HUB_NOT_RUNNING = "the hub does not run"

_SECONDS = 30.0  # for one check; those that wait know a shorter time of their own

_NO_FINDINGS: list[Finding] = []

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Installation:
    """What the checks look at. If the catalog is None, `catalog_problem` says why."""

    data: DataFolder
    settings: Settings | None
    running: bool
    catalog: Catalog | None
    catalog_problem: str
    hub_id: str


@dataclass(frozen=True, slots=True)
class Check:
    """One check, with any number of findings."""

    name: str
    look: Callable[[Installation], Iterable[Finding]]


def inspect_installation(data: DataFolder) -> Installation:
    """Collect what exists of the hub of this folder. Changes nothing, and never raises."""
    settings, problem = attempt(data.settings, None)
    path = Path(settings.catalog) if settings else data.catalog
    catalog, catalog_problem = attempt(lambda: load_catalog(path), None) if path.exists() else (None, "")
    own = (settings and settings.hub_id) or (catalog and catalog.hub)
    return Installation(
        data,
        settings,
        running=attempt(data.runs, False)[0],
        catalog=catalog,
        catalog_problem=catalog_problem or problem,
        hub_id=own or attempt(data.known_hub_id, "")[0] or "",
    )


def run_check(check: Check, installation: Installation) -> list[Finding]:
    """Return the check's findings. An error of the check becomes a finding too."""
    findings, problem = attempt(lambda: list(check.look(installation)), _NO_FINDINGS)
    return [fail(problem, "Look into it, and run `stateroom doctor` again.")] if problem else findings


def _hub_id(installation: Installation) -> Iterator[Finding]:
    if not installation.hub_id:
        yield ok("none yet; the first `stateroom up` makes one")
    elif installation.settings and installation.catalog and installation.catalog.hub not in (None, installation.hub_id):
        yield warn(
            f"{installation.hub_id}, but the catalog says {installation.catalog.hub}",
            "With another id the hub finds neither its servers nor its homes. Put the old one back into the catalog.",
        )
    else:
        yield ok(installation.hub_id)


def _catalog(installation: Installation) -> Iterator[Finding]:
    path = installation.settings.catalog if installation.settings else installation.data.catalog
    if installation.catalog_problem:
        yield fail(installation.catalog_problem, f"`stateroom check {path}` shows every fault.")
    elif installation.catalog is None:
        yield warn(f"there is none at {path}", "The first `stateroom up` puts one there.")
    else:
        yield ok(f"{path} holds")


def _data(installation: Installation) -> Iterator[Finding]:
    if installation.data.path.is_dir():
        yield data_disk_finding(shutil.disk_usage(installation.data.path).free, str(installation.data.path))
    else:
        yield ok(f"{installation.data.path} is made by the first `stateroom up`")


def hub_answers_finding(installation: Installation, address: str) -> Finding:
    """Check whether a running hub answers at the address that servers use."""
    assert installation.settings is not None  # noqa: S101 - a hub that runs has settings
    where = f"{address}:{installation.settings.hub_port}, where servers ask it"
    if answers(f"http://{address}:{installation.settings.hub_port}"):
        return ok(f"answers at {where}")
    return fail(
        f"does not answer at {where}",
        f"Its log is {installation.data.logs / 'hub.log'}. Stop it with Ctrl-C, and run `stateroom up` again.",
    )


def hub_not_running_finding(installation: Installation) -> Finding:
    """Return the finding for a hub that does not run."""
    return warn("does not run", f"`stateroom up{installation.data.option}` starts it.")


def _proxy(installation: Installation) -> Iterator[Finding]:
    if installation.settings is None or not installation.running:
        yield skipped(HUB_NOT_RUNNING)
    elif answers(installation.settings.local_url):
        yield ok(f"answers at {installation.settings.url}")
    else:
        yield fail(
            f"does not lead from {installation.settings.url} to the hub",
            f"The log is {installation.data.logs / 'hub.log'}. Stop the hub with Ctrl-C, and run `stateroom up` again.",
        )


def _host_names(installation: Installation) -> Iterator[Finding]:
    settings = installation.settings
    if settings is None:
        yield skipped(HUB_NOT_RUNNING)
    elif settings.host_names:
        yield ok(f"each user's servers have a name of their own below {urlsplit(settings.url).hostname}")
    else:
        in_pod = isinstance(installation.data, PodFolder)
        yield warn(
            f"all users' servers share one name: {SHARED_NAME_RISK}",
            "Set `host` and `host_names` in the chart's values." if in_pod else "Run it without --one-host-name.",
        )


DATA_FOLDER_CHECKS = (Check("Hub's id", _hub_id), Check("Catalog", _catalog), Check("Data", _data))
PROXY_CHECK = Check("Proxy", _proxy)
HOST_NAMES_CHECK = Check("Hosts", _host_names)


def attempt(work: Callable[[], _Result], otherwise: _Result) -> tuple[_Result, str]:
    """Return what `work` returns, or `otherwise` with a sentence on the failure. Takes a bounded time."""
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
