"""Stops a hub that `up` started, and all its servers. Homes are kept."""

from __future__ import annotations

import signal

from stateroom.common.errors import SetupError
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.hub import end_leftovers
from stateroom.operations.local.pod_folder import PodFolder
from stateroom.operations.local.processes import open_process
from stateroom.operations.platforms import platform_for
from stateroom.operations.report import Report
from stateroom.runtime.claim import require_unclaimed

_STOP_TIMEOUT_SECONDS = 60.0  # for an `up` to stop its hub


def take_down(data: DataFolder, report: Report) -> None:
    """Stop everything that belongs to the hub of this folder, and report what was stopped. Raises SetupError."""
    if isinstance(data, PodFolder):
        _take_down_servers(data, report)
        return
    if not data.path.is_dir():
        report.line("Hub", f"was never started from {data.path}")
        return
    with report.step("Hub", "Stopping the hub") as step:
        ran = _end_up(data)
        step.result = "stopped" if ran else "was not running"
    with data.held():
        if end_leftovers(data):
            report.line("Hub", "ended what an interrupted run had left")
        settings = data.settings()
        if settings:
            require_unclaimed(settings.hub_id)
            platform_for(settings.backend).take_down(settings, data, report)


def _take_down_servers(data: PodFolder, report: Report) -> None:
    settings = data.settings()
    platform_for(settings.backend).take_down(settings, data, report)
    report.line("Hub", "is a pod of its own, which `helm uninstall RELEASE` takes down")


def _end_up(data: DataFolder) -> bool:
    """End the `up` that holds the data folder. Returns whether there was one."""
    pid = data.holder()
    if pid is None:
        return False
    with open_process(pid) as process:
        # The process cannot lose its number while it is open: if it still holds the folder, it is the right one.
        if process and data.holder() == pid:
            process.signal(signal.SIGTERM)
            if not process.wait_for_end(_STOP_TIMEOUT_SECONDS):
                raise SetupError(f"`stateroom up` (process {pid}) does not end. Kill it and run the command again.")
    return True
