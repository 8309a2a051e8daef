"""Builds an image on the engine, and reports where the build stands."""

from __future__ import annotations

from pathlib import Path

import docker

from stateroom.images.build import build
from stateroom.images.sources import Recipe
from stateroom.operations.report import Report

_LOG = "image-build.log"


def build_with_progress(
    report: Report, engine: docker.APIClient, recipe: Recipe, log_folder: Path, *, rebuild: bool = False
) -> bool:
    """Build an image if need be, and report where the build stands. Returns whether it was built.

    Raises SetupError.
    """
    log = log_folder / _LOG
    with report.image_build() as report_step:
        return build(engine, recipe, report_step, log, rebuild=rebuild)
