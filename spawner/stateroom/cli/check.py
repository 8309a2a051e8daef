"""`stateroom check`: whether a catalog holds, with a line for each fault."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from stateroom.catalog import Catalog
from stateroom.cli.arguments import add_catalog_argument
from stateroom.contradictions import Fault
from stateroom.errors import CatalogError, CatalogFault
from stateroom.loading import load_catalog
from stateroom.wording import counted, joined


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `check`."""
    parser = commands.add_parser(
        "check",
        help="check a catalog file, with a line number for each fault",
        description="Check a catalog file. Prints a line for each fault and ends with 1 if there is any.",
        epilog="example: stateroom check catalog.yaml",
    )
    add_catalog_argument(parser)
    parser.add_argument("--json", action="store_true", help="print the faults as JSON, for editors and pipelines")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the file, and print what was found."""
    faults: Sequence[CatalogFault] = ()
    try:
        catalog = load_catalog(arguments.file, _faults_of_pods)
    except CatalogError as error:
        faults = error.faults
    if arguments.json:
        print(json.dumps({"holds": not faults, "faults": [asdict(fault) for fault in faults]}, indent=2))
    elif faults:
        for fault in faults:
            print(fault, file=sys.stderr)
    else:
        print(f"{arguments.file} holds: {_contents(catalog)}.")
    return 1 if faults else 0


def _faults_of_pods(catalog: Catalog) -> Iterable[Fault]:
    if not catalog.kubernetes.pod:
        return ()
    from stateroom.backends.kubernetes.manifests import pod_faults  # noqa: PLC0415 - a second, which few catalogs need

    return pod_faults(catalog)


def _contents(catalog: Catalog) -> str:
    sections = {
        "image": catalog.images,
        "size": catalog.sizes,
        "group": catalog.groups,
        "user": catalog.users,
    }
    return joined([counted(len(entries), noun) for noun, entries in sections.items() if entries])
