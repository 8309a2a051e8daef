"""`stateroom check`: whether a catalog holds, or a file of the chart's values, with a line for each fault."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from stateroom.catalog import Catalog
from stateroom.cli.arguments import add_catalog_argument
from stateroom.contradictions import Fault
from stateroom.document import read_text
from stateroom.errors import CatalogError, CatalogFault, SetupError
from stateroom.loading import load_catalog
from stateroom.values import A_FILE_OF_VALUES, Values, chart_catalog, read_values
from stateroom.wording import counted, joined

_EXAMPLES = """\
examples:
  stateroom check catalog.yaml
  stateroom check --values values.yaml
  stateroom check --values values.yaml catalog.yaml
                                   as with `helm upgrade --values values.yaml --set-file catalog=catalog.yaml`
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `check`."""
    parser = commands.add_parser(
        "check",
        help="check a catalog file, or the chart's values, with a line number for each fault",
        description="Check a catalog file, a file of values of the Helm chart, or both. Prints a line for each fault "
        "and ends with 1 if there is any.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_catalog_argument(parser, needed=False)
    parser.add_argument("--values", type=Path, metavar="FILE", help="values of the Helm chart, and the catalog in them")
    parser.add_argument("--json", action="store_true", help="print the faults as JSON, for editors and pipelines")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check what is named, and print what was found."""
    if arguments.file is None and arguments.values is None:
        raise SetupError("Name a catalog, or a file of the chart's values with --values FILE.")
    values = _values(arguments.values, with_catalog=arguments.file is None) if arguments.values else Values()
    catalog, faults_of_catalog = _catalog(arguments.file) if arguments.file else (values.catalog, ())
    faults = [*values.faults, *faults_of_catalog]
    if arguments.json:
        hints = {"hints": values.hints} if arguments.values else {}
        print(json.dumps({"holds": not faults, "faults": [asdict(fault) for fault in faults], **hints}, indent=2))
    elif faults:
        for fault in faults:
            print(fault, file=sys.stderr)
    else:
        print(f"{_named(arguments, catalog)}: {_contents(catalog or chart_catalog())}.")
        for hint in values.hints:
            print(hint)
    return 1 if faults else 0


def _catalog(path: Path) -> tuple[Catalog | None, Sequence[CatalogFault]]:
    try:
        return load_catalog(path, _faults_of_pods), ()
    except CatalogError as error:
        return None, error.faults


def _values(path: Path, *, with_catalog: bool) -> Values:
    try:
        return read_values(read_text(path, A_FILE_OF_VALUES), path.name, _faults_of_pods, with_catalog=with_catalog)
    except CatalogError as error:
        return Values(error.faults)


def _named(arguments: argparse.Namespace, catalog: Catalog | None) -> str:
    """What holds, and which catalog is told of."""
    if not arguments.values:
        return f"{arguments.file} holds"
    if arguments.file:
        return f"{arguments.values} holds, with {arguments.file}"
    return f"{arguments.values} holds" if catalog else f"{arguments.values} holds, with the chart's own catalog"


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
