"""`stateroom images`: those that ship with Stateroom made on this engine, all tried out, and brought to a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import docker
import platformdirs
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from stateroom.catalog import parse_duration
from stateroom.cli import image_check, image_list
from stateroom.cli.arguments import add_catalog_option
from stateroom.cli.docker.engine import connected
from stateroom.delivery import IMPORT, Share, load, push
from stateroom.images import BuildStep, Report, build, parts_of, stored_image
from stateroom.inventory import format_size
from stateroom.recipes import RECIPES, USUAL, Recipe

_LOG = "image-build.log"
_ALL = ", ".join(RECIPES)
_USUAL = ", ".join(USUAL)
_PATIENCE = "30 min"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `images` and what it can do."""
    images = commands.add_parser("images", help="build, list and check images; bring them to a cluster")
    verbs = images.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    builds = verbs.add_parser("build", help="build them, unless they are there and up to date")
    builds.add_argument("--rebuild", action="store_true", help="build them anew, with a new base image")
    builds.set_defaults(run=run_build)
    pushes = verbs.add_parser("push", help="push them to a registry, from which a cluster takes them")
    pushes.add_argument("registry", help="with a path if need be: registry.example/notebooks")
    pushes.set_defaults(run=run_push)
    loads = verbs.add_parser("load", help="give them to a node of a cluster without a registry")
    loads.add_argument(
        "--with",
        dest="command",
        default=IMPORT,
        help=f'the command that takes an image on its input, such as "k3s ctr images import -" (default: "{IMPORT}")',
    )
    loads.set_defaults(run=run_load)
    waits = verbs.add_parser("wait", help="wait until a DaemonSet has brought its images to a cluster's nodes")
    waits.add_argument("daemonset", metavar="DAEMONSET", help="its name")
    waits.add_argument("--namespace", default="", help="where it is (the kubeconfig's, or the pod's own)")
    waits.add_argument(
        "--timeout", type=_time, default=_PATIENCE, metavar="TIME", help=f'after which to fail ("{_PATIENCE}")'
    )
    waits.set_defaults(run=run_wait)
    lists = verbs.add_parser("list", help="show them and those of the catalog, and what the engine has of them")
    lists.set_defaults(run=image_list.run)
    checks = verbs.add_parser(
        "check",
        help="start a server and every kernel of an image, and compare with its label and the catalog",
        description="Start a container of each image, hardened and limited as servers are, run its server and every "
        "kernel, and compare with the image's label and the catalog. Ends with 1 if anything is wrong.",
    )
    checks.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="an id of the catalog, or a reference; all of the catalog if left out",
    )
    checks.set_defaults(run=image_check.run)
    for verb in (lists, checks):
        add_catalog_option(verb)
    for verb in (builds, pushes, loads):
        verb.add_argument("images", nargs="*", type=_known, metavar="IMAGE", help=f"{_ALL}; if none is named, {_USUAL}")


def run_build(arguments: argparse.Namespace) -> int:
    """Build, and say what came of it."""
    console = Console()
    log_folder = platformdirs.user_log_path("stateroom", appauthor=False)
    engine = connected()
    for recipe in _recipes(arguments.images):
        built = build_with_progress(console, engine, recipe, log_folder, rebuild=arguments.rebuild)
        _print_size(console, engine, recipe.reference, "built" if built else "up to date")
    return 0


def run_push(arguments: argparse.Namespace) -> int:
    """Push, and say what each is called there."""
    console, engine = Console(), connected()
    for recipe in _recipes(arguments.images):
        with _shared(console, f"Pushing {recipe.reference}") as share:
            name = push(engine, recipe.reference, arguments.registry, share)
        console.print(f"{name} is in the registry.", highlight=False, soft_wrap=True)
    return 0


def run_load(arguments: argparse.Namespace) -> int:
    """Give to a node, and say so."""
    console, engine = Console(), connected()
    for recipe in _recipes(arguments.images):
        with _shared(console, f"Loading {recipe.reference}") as share:
            load(engine, recipe.reference, arguments.command, share)
        console.print(f"{recipe.reference} is loaded.", highlight=False, soft_wrap=True)
    return 0


def run_wait(arguments: argparse.Namespace) -> int:
    """Wait, and say how far it is."""
    # Imported here: a client takes half a second, which an engine's images need not wait.
    from stateroom.cli.kubernetes.client import connected as connected_to_cluster  # noqa: PLC0415
    from stateroom.cli.kubernetes.prepull import Prepull  # noqa: PLC0415

    with connected_to_cluster(arguments.namespace) as client:
        prepull = Prepull(client.cluster, arguments.daemonset, lambda line: print(line, flush=True), client.kubectl)
        client.ask(prepull.wait(arguments.timeout))
    return 0


def build_with_progress(
    console: Console, engine: docker.APIClient, recipe: Recipe, log_folder: Path, *, rebuild: bool = False
) -> bool:
    """Build an image if need be, showing where the build stands; whether it was built.

    On a terminal that is a bar, elsewhere a line for each kind of step. Raises SetupError.
    """
    log = log_folder / _LOG
    if not console.is_terminal:
        return build(engine, recipe, _lines(console), log, rebuild=rebuild)
    with _bar(console) as progress:
        return build(engine, recipe, _follower(progress), log, rebuild=rebuild)


def _known(name: str) -> str:
    if name not in RECIPES:
        raise argparse.ArgumentTypeError(f'"{name}" is no image of Stateroom\'s; there are {_ALL}')
    return name


def _time(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _recipes(names: Sequence[str]) -> Iterator[Recipe]:
    return (RECIPES[name]() for name in names or USUAL)


def _print_size(console: Console, engine: docker.APIClient, reference: str, state: str) -> None:
    image = stored_image(engine, reference)
    if image is None:  # somebody has removed it this very moment
        return
    console.print(f"{reference} is {state}: {format_size(image.size)}", highlight=False, soft_wrap=True)
    for part in parts_of(engine, image):
        console.print(f"{format_size(part.size):>10}  {part.step}", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _shared(console: Console, work: str) -> Iterator[Share]:
    """A bar for the share of some work that is done; on no terminal a line."""
    if not console.is_terminal:
        console.print(work, highlight=False)
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(work, total=1.0)
        yield lambda done: progress.update(task, completed=done)


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
