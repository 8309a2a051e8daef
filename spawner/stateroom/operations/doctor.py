"""Runs every check of an installation: of its own files, and of the platform that runs its servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from stateroom.operations.checks.findings import Finding
from stateroom.operations.checks.installation import DATA_FOLDER_CHECKS, Installation, inspect_installation, run_check
from stateroom.operations.local.data import DataFolder
from stateroom.operations.platforms import platform_for


def run_checks(data: DataFolder, backend: str = "") -> Iterator[tuple[str, Finding]]:
    """Yield the name of each check with each of its findings; on the hub's own platform unless another is named."""
    installation = inspect_installation(data)
    backend = backend or (installation.settings.backend if installation.settings else data.default_backend)
    installation = _on_platform(installation, backend)
    with platform_for(backend).checks(installation) as checks:
        for check in (*DATA_FOLDER_CHECKS, *checks):
            for finding in run_check(check, installation):
                yield check.name, finding


def _on_platform(installation: Installation, backend: str) -> Installation:
    """Leave out what is known of a hub on another platform, from which it is yet to be moved."""
    if installation.settings and installation.settings.backend != backend:
        return replace(installation, settings=None, running=False)
    return installation
