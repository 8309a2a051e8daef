"""`stateroom images build`: the image that ships with Stateroom, made on this engine."""

from __future__ import annotations

import argparse
from pathlib import Path

import docker
import platformdirs
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from stateroom.cli.docker.engine import connected
from stateroom.images import UNIFIED, BuildStep, Report, build_unified, sources

_LOG = "image-build.log"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `images` and what it can do."""
    images = commands.add_parser("images", help="build the notebook image that ships with Stateroom")
    verbs = images.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help=f"build {UNIFIED}, unless it is there and up to date")
    build.add_argument("--rebuild", action="store_true", help="build it anew, with a new base image")
    build.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Build, and say what came of it."""
    console = Console()
    log_folder = platformdirs.user_log_path("stateroom", appauthor=False)
    built = build_with_progress(console, connected(), log_folder, rebuild=arguments.rebuild)
    console.print(f"{UNIFIED} is {'built' if built else 'up to date'}.", highlight=False)
    return 0


def build_with_progress(console: Console, engine: docker.APIClient, log_folder: Path, *, rebuild: bool = False) -> bool:
    """Build the unified image if need be, showing where the build stands; whether it was built.

    On a terminal that is a bar, elsewhere a line for each kind of step. Raises SetupError.
    """
    log = log_folder / _LOG
    if not console.is_terminal:
        return build_unified(engine, sources(), UNIFIED, _lines(console), log, rebuild=rebuild)
    with _bar(console) as progress:
        return build_unified(engine, sources(), UNIFIED, _follower(progress), log, rebuild=rebuild)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[line]}", style="dim", markup=False, table_column=Column(ratio=1, no_wrap=True)),
        console=console,
        transient=True,
        expand=True,
    )


def _follower(progress: Progress) -> Report:
    # The bar appears with the first step: an image that is up to date shows none.
    tasks: list[TaskID] = []

    def report(step: BuildStep) -> None:
        if not tasks:
            tasks.append(progress.add_task("", line=""))
        done = max(0, step.number - 1)
        progress.update(tasks[0], description=step.title, completed=done, total=step.total, line=step.line)

    return report


def _lines(console: Console) -> Report:
    told = ""

    def report(step: BuildStep) -> None:
        nonlocal told
        if step.title != told:
            told = step.title
            console.print(f"[{step.number}/{step.total}] {told}", markup=False, highlight=False)

    return report
