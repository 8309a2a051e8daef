"""`stateroom explain`: shows what one user would be offered, and where each part of it comes from."""

from __future__ import annotations

import argparse
import json

from stateroom.cli.arguments import add_catalog_argument
from stateroom.cli.screen import Screen
from stateroom.operations.explain import explain


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = (
        "Show what a user would be offered by a catalog, and whom each part of it comes from: everyone, a group, or "
        "the user's own entry."
    )
    parser.epilog = "example: stateroom explain catalog.yaml --user ada --groups research,teachers"
    add_catalog_argument(parser)
    parser.add_argument("--user", required=True, metavar="NAME", help="the user's name")
    parser.add_argument("--groups", default="", metavar="A,B", help="the groups that the user is in (none)")
    parser.add_argument("--json", action="store_true", help="print what the user may choose as JSON Schema")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation in tables."""
    groups = [name for name in map(str.strip, arguments.groups.split(",")) if name]
    explanation = explain(arguments.file, arguments.user, groups)
    if arguments.json:
        print(json.dumps(explanation.schema, indent=2))
        return 0
    screen = Screen()
    screen.text((explanation.user, "bold"), f", {explanation.membership}")
    for problem in explanation.problems:
        screen.text((problem, "yellow"))
    for title, rows in explanation.tables.items():
        screen.table(rows, title=title)
    return 0
