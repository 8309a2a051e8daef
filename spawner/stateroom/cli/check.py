"""`stateroom check`: validates a catalog or a file of the chart's values. Prints a line for each fault."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from stateroom.cli.arguments import add_catalog_argument
from stateroom.cli.plain import print_plain
from stateroom.operations.catalog_check import check_files

_EXAMPLES = """\
examples:
  stateroom check catalog.yaml
  stateroom check --values values.yaml
  stateroom check --values values.yaml catalog.yaml
                                   as with `helm upgrade --values values.yaml --set-file catalog=catalog.yaml`
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = (
        "Check a catalog file, a file of values of the Helm chart, or both. Prints a line for each fault and ends "
        "with 1 if there is any."
    )
    parser.epilog = _EXAMPLES
    add_catalog_argument(parser, needed=False)
    parser.add_argument("--values", type=Path, metavar="FILE", help="values of the Helm chart, and the catalog in them")
    parser.add_argument("--json", action="store_true", help="print the faults as JSON, for editors and pipelines")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the files, and print what was found."""
    checked = check_files(arguments.file, arguments.values)
    if arguments.json:
        hints = {"hints": checked.hints} if arguments.values else {}
        faults = [asdict(fault) for fault in checked.faults]
        print(json.dumps({"holds": not faults, "faults": faults, **hints}, indent=2))
    elif checked.faults:
        for fault in checked.faults:
            print_plain(str(fault), error=True)
    else:
        print_plain(checked.summary)
        for hint in checked.hints:
            print_plain(hint)
    return 1 if checked.faults else 0
