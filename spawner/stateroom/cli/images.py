"""`stateroom images`: build those that ship with Stateroom, list and check all, and bring them to a cluster."""

from __future__ import annotations

import argparse

from stateroom.cli.arguments import add_catalog_option, duration
from stateroom.cli.plain import print_plain
from stateroom.cli.screen import Screen
from stateroom.operations.checks.findings import Verdict
from stateroom.operations.images.check import image_checks
from stateroom.operations.images.listing import COLUMNS, advice, images_with_stored, row
from stateroom.operations.images.shipped import (
    LOAD_COMMAND,
    SHIPPED,
    USUALLY_BUILT,
    build_images,
    load_images,
    push_images,
)

_ALL = ", ".join(SHIPPED)
_USUAL = ", ".join(USUALLY_BUILT)
_WAIT_TIME = "30 min"


def describe(images: argparse.ArgumentParser) -> None:
    """Add the verbs of `images`."""
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
        default=LOAD_COMMAND,
        help='the command that takes an image on its input, such as "k3s ctr images import -" '
        f'(default: "{LOAD_COMMAND}")',
    )
    loads.set_defaults(run=run_load)
    waits = verbs.add_parser("wait", help="wait until a DaemonSet has brought its images to a cluster's nodes")
    waits.add_argument("daemonset", metavar="DAEMONSET", help="its name")
    waits.add_argument("--namespace", default="", help="where it is (the kubeconfig's, or the pod's own)")
    waits.add_argument(
        "--timeout", type=duration, default=_WAIT_TIME, metavar="TIME", help=f'after which to fail ("{_WAIT_TIME}")'
    )
    waits.set_defaults(run=run_wait)
    lists = verbs.add_parser("list", help="show them and those of the catalog, and what the engine has of them")
    lists.set_defaults(run=run_list)
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
    checks.set_defaults(run=run_check)
    for verb in (lists, checks):
        add_catalog_option(verb)
    for verb in (builds, pushes, loads):
        verb.add_argument(
            "images", nargs="*", type=_shipped, metavar="IMAGE", help=f"{_ALL}; if none is named, {_USUAL}"
        )


def run_build(arguments: argparse.Namespace) -> int:
    """Build, and print the size of each image."""
    for image in build_images(arguments.images, Screen(), rebuild=arguments.rebuild):
        for line in image.lines():
            print_plain(line)
    return 0


def run_push(arguments: argparse.Namespace) -> int:
    """Push, and print each image's name in the registry."""
    for name in push_images(arguments.images, arguments.registry, Screen()):
        print_plain(f"{name} is in the registry.")
    return 0


def run_load(arguments: argparse.Namespace) -> int:
    """Load, and print what is loaded."""
    for reference in load_images(arguments.images, arguments.command, Screen()):
        print_plain(f"{reference} is loaded.")
    return 0


def run_wait(arguments: argparse.Namespace) -> int:
    """Wait, and print the progress."""
    # Imported here: a cluster's client takes half a second to import, which the other verbs need not wait for.
    from stateroom.operations.kubernetes.prepull import wait_for_images  # noqa: PLC0415

    wait_for_images(arguments.daemonset, arguments.namespace, arguments.timeout, print_plain)
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Print a table of all images, and what to do about those that are missing or superseded."""
    screen, images = Screen(), images_with_stored(arguments.catalog)
    screen.table([row(image, stored) for image, stored in images], header=COLUMNS)
    for line in advice(images):
        screen.text(line)
    return 0


def run_check(arguments: argparse.Namespace) -> int:
    """Check each image, and print a line for each finding."""
    screen, verdicts = Screen(), set()
    for check in image_checks(arguments.images, arguments.catalog):
        screen.heading(check.title)
        with screen.status("Starting a container of it") as doing:
            lines = check.run(doing)
        for name, finding in lines:
            screen.finding(name, finding)
            verdicts.add(finding.verdict)
    return 1 if Verdict.FAIL in verdicts else 0


def _shipped(name: str) -> str:
    if name not in SHIPPED:
        raise argparse.ArgumentTypeError(f'"{name}" is no image of Stateroom\'s; there are {_ALL}')
    return name
