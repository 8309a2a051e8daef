"""`stateroom homes`: lists the homes and their owners, and hands a home to another user."""

from __future__ import annotations

import argparse
import sys

from stateroom.cli.arguments import add_data_option
from stateroom.cli.plain import print_plain
from stateroom.common.errors import SetupError
from stateroom.operations.home_changes import Handover, assign_home, list_homes, new_home
from stateroom.operations.local.pod_folder import default_folder

_EXAMPLES = """\
A home belongs to the user by whose name and number it was made. After a rename,
or when a name is used again, nobody is given its files until you say so:
  stateroom homes assign ada --to bob      ada is called bob now
  stateroom homes assign ada --to ada      the new ada gets the files of the old one
  stateroom homes new ada                  the new ada gets an empty home, and the old one is kept
No file is moved. It counts at the user's next start.
"""


def describe(homes: argparse.ArgumentParser) -> None:
    """Add the description and the verbs."""
    homes.description = "List the homes of this hub, and hand one to another user."
    homes.epilog = _EXAMPLES
    homes.set_defaults(run=run_list, data=default_folder(), sizes=False)
    verbs = homes.add_subparsers(metavar="VERB", title="verbs; without one, the homes are listed")

    listing = verbs.add_parser("list", help="show all homes, and whose they are")
    listing.add_argument("--sizes", action="store_true", help="with sizes, which may take a while to count")
    add_data_option(listing)
    listing.set_defaults(run=run_list)

    assign = verbs.add_parser("assign", help="hand a home to another user")
    assign.add_argument("home", metavar="HOME", help="the user by whose name it was made, or the home's own name")
    assign.add_argument("--to", metavar="USER", required=True, help="who gets it; somebody who has logged in once")
    assign.add_argument("--yes", action="store_true", help="do not ask")
    add_data_option(assign)
    assign.set_defaults(run=run_assign)

    new = verbs.add_parser("new", help="give a user an empty home, where the name leads to somebody else's")
    new.add_argument("user", metavar="USER", help="somebody who has logged in once")
    add_data_option(new)
    new.set_defaults(run=run_new)


def run_list(arguments: argparse.Namespace) -> int:
    """Print a line for each home."""
    homes = list_homes(arguments.data, with_sizes=arguments.sizes)
    for home, size in homes:
        print_plain(f"{home.name}: {f'{size}, ' if size else ''}{home.description}")
    if not homes:
        print_plain("There are no homes yet; the first start of a user makes one.", error=True)
    return 0


def run_assign(arguments: argparse.Namespace) -> int:
    """Hand a home over, once nobody uses it."""
    confirm = _accept if arguments.yes else _ask
    for sentence in assign_home(arguments.data, arguments.home, arguments.to, confirm):
        print_plain(sentence)
    return 0


def run_new(arguments: argparse.Namespace) -> int:
    """Give a user an empty home."""
    print_plain(new_home(arguments.data, arguments.user))
    return 0


def _accept(_: Handover) -> None:
    """Do not ask."""


def _ask(handover: Handover) -> None:
    """Ask whoever is at the terminal. Raises SetupError without a yes."""
    home, to = handover.home, handover.to
    if not sys.stdin.isatty():
        raise SetupError("Handing a home over gives its files to somebody else. Add --yes to say that you mean it.")
    print_plain(f"The home {home.name} is {home.description}.")
    answer = input(f"Give it and all its files to {to.user} (number {to.user_id})? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise SetupError("Nothing was changed.")
