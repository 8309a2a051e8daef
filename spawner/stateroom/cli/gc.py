"""`stateroom gc`: removes what the hub left behind and nobody uses. Deletes a home only if it is named."""

from __future__ import annotations

import argparse

from stateroom.cli.arguments import add_data_option
from stateroom.cli.plain import print_plain
from stateroom.common.text import counted
from stateroom.operations.garbage import Garbage, open_garbage

_EXAMPLES = """\
A home is only ever deleted where it is named:
  stateroom gc --dry-run           what would be removed, and the homes whose user is gone
  stateroom gc --homes ada         also delete the home of ada, who is gone
"""


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = (
        "Remove what this hub left and nobody uses: servers that the hub does not know, helpers, networks, old builds "
        "of the notebook image. Other hubs' are never touched."
    )
    parser.epilog = _EXAMPLES
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed, and why")
    parser.add_argument("--homes", nargs="+", metavar="NAME", default=[], help="delete these users' homes too")
    add_data_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what is removed, or what would be, and the homes without a user that are kept."""
    with open_garbage(arguments.data, arguments.homes) as garbage:
        if arguments.dry_run:
            _print_plan(garbage)
        else:
            _remove(garbage)
    if not garbage.orphans and not garbage.homes:
        print_plain("Nothing to remove.")
    if garbage.kept:
        print_plain(f"{counted(len(garbage.kept), 'home')} without a user, kept:")
        for line in garbage.kept:
            print_plain(f"  {line}")
        if garbage.deletable:
            print_plain(f"`stateroom gc{arguments.data.option} --homes NAME` deletes the home of NAME.")
    return 0


def _print_plan(garbage: Garbage) -> None:
    for orphan in garbage.orphans:
        print_plain(f"would remove {orphan.kind} {orphan.name}: {orphan.why}")
    for home in garbage.homes:
        print_plain(f"would delete home {home.name} and all its files: {home.description}")


def _remove(garbage: Garbage) -> None:
    for orphan, removed in garbage.remove_orphans():
        verdict = "removed" if removed else "left, since it is in use again:"
        print_plain(f"{verdict} {orphan.kind} {orphan.name}: {orphan.why}")
    for home in garbage.delete_homes():
        print_plain(f"deleted home {home.name} and all its files: {home.description}")
