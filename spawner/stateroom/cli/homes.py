"""`stateroom homes`: whose home is whose, and handing one to another user."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from stateroom.cli.arguments import add_data_option, default_folder
from stateroom.cli.data import DataFolder, Settings
from stateroom.cli.database import Records
from stateroom.cli.places import place
from stateroom.cli.stored_homes import Standing, StoredHome, stored_homes
from stateroom.errors import SetupError
from stateroom.home_assignments import HomeAssignments, fresh_home, home_assignments_file
from stateroom.names import HomeRef
from stateroom.wording import quoted

_EXAMPLES = """\
A home belongs to the user by whose name and number it was made. After a rename,
or when a name is used again, nobody is given its files until you say so:
  stateroom homes assign ada --to bob      ada is called bob now
  stateroom homes assign ada --to ada      the new ada gets the files of the old one
  stateroom homes new ada                  the new ada gets an empty home, and the old one is kept
No file is moved. It counts at the user's next start.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `homes` and what it can do."""
    homes = commands.add_parser(
        "homes",
        help="list the homes, and hand one to another user",
        description="List the homes of this hub, and hand one to another user.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    homes.set_defaults(run=list_homes, data=default_folder(), sizes=False)
    verbs = homes.add_subparsers(metavar="VERB", title="verbs; without one, the homes are listed")

    listing = verbs.add_parser("list", help="show all homes, and whose they are")
    listing.add_argument("--sizes", action="store_true", help="with sizes, which may take a while to count")
    add_data_option(listing)
    listing.set_defaults(run=list_homes)

    assign = verbs.add_parser("assign", help="hand a home to another user")
    assign.add_argument("home", metavar="HOME", help="the user by whose name it was made, or the home's own name")
    assign.add_argument("--to", metavar="USER", required=True, help="who gets it; somebody who has logged in once")
    assign.add_argument("--yes", action="store_true", help="do not ask")
    add_data_option(assign)
    assign.set_defaults(run=assign_home)

    new = verbs.add_parser("new", help="give a user an empty home, where the name leads to somebody else's")
    new.add_argument("user", metavar="USER", help="somebody who has logged in once")
    add_data_option(new)
    new.set_defaults(run=new_home)


def list_homes(arguments: argparse.Namespace) -> int:
    """Print a line for each home."""
    data: DataFolder = arguments.data
    settings = data.known_settings()
    with place(settings.backend).opened(settings) as there:
        homes = stored_homes(there, data, settings.hub_id, data.records())
        sizes = there.sizes(home.made_for for home in homes) if arguments.sizes else {}
    for home in homes:
        size = f"{sizes[home.name]}, " if home.name in sizes else ""
        print(f"{home.name}: {size}{home.told}")
    if not homes:
        print("There are no homes yet; the first start of a user makes one.", file=sys.stderr)
    return 0


def assign_home(arguments: argparse.Namespace) -> int:
    """Hand a home over, once nobody uses it."""
    data: DataFolder = arguments.data
    settings = data.known_settings()
    records = data.records()
    to = _user(arguments.to, settings, records)
    assignments = HomeAssignments(home_assignments_file(data.path))
    with place(settings.backend).opened(settings) as there:
        home = _found(arguments.home, stored_homes(there, data, settings.hub_id, records, arguments.home))
        if home is None:
            return _forget(arguments.home, assignments)
        if home.user == to and home.standing is Standing.USED:
            print(f"The home {home.name} belongs to {to.user} already.")
            return 0
        _require_free(home, to)
        if not arguments.yes:
            _confirm(home, to)
        _require_no_server(data.records(), to.user, home.user.user, home.now_called)
        there.require_unused(home.made_for)
        assignments.assign(home.made_for, to)
    print(f"The home {home.name} belongs to {to.user} (number {to.user_id}) from the next start on.")
    return 0


def new_home(arguments: argparse.Namespace) -> int:
    """Give a user a home that nobody had. The engine makes it at the next start."""
    data: DataFolder = arguments.data
    settings = data.known_settings()
    records = data.records()
    user = _user(arguments.user, settings, records)
    with place(settings.backend).opened(settings) as there:
        for home in stored_homes(there, data, settings.hub_id, records):
            if home.user == user and home.standing is Standing.USED:
                raise SetupError(f"{user.user} has a home already, {home.name}.")
    _require_no_server(records, user.user)
    fresh = fresh_home(user)
    HomeAssignments(home_assignments_file(data.path)).assign(fresh, user)
    print(f"{user.user} (number {user.user_id}) has the home {fresh.name} from the next start on.")
    return 0


def _user(name: str, settings: Settings, records: Records) -> HomeRef:
    number = records.number(name)
    if number is None:
        raise SetupError(f"The hub knows no user {quoted(name)}. A user is known from the first login on.")
    return HomeRef(settings.hub_id, name, number)


def _found(wanted: str, homes: Sequence[StoredHome]) -> StoredHome | None:
    return next((home for home in homes if wanted in (home.made_for.user, home.name)), None)


def _forget(wanted: str, assignments: HomeAssignments) -> int:
    """Let go of a home that was removed behind our back, so that its name leads to a new one again."""
    lost = [home for home in assignments.users() if wanted in (home.user, home.name)]
    if not lost:
        raise SetupError(f"There is no home of {quoted(wanted)}. `stateroom homes` shows all homes.")
    for home in lost:
        assignments.forget(home)
        print(f"The home {home.name} is no more. That it was handed over is forgotten; the next start makes a new one.")
    return 0


def _require_free(home: StoredHome, to: HomeRef) -> None:
    """Nobody loses a home who is still there."""
    if home.standing in (Standing.USED, Standing.SET_ASIDE) and home.user != to:
        raise SetupError(
            f"The home {home.name} belongs to {home.user.user}, who is still a user of the hub. "
            "Remove or rename that user on the hub's admin page first."
        )


def _require_no_server(records: Records, *users: str) -> None:
    for user, server in sorted(records.active):
        if user in users:
            raise SetupError(f"A server of {user} runs{f' ({server})' if server else ''}. Stop it first.")


def _confirm(home: StoredHome, to: HomeRef) -> None:
    """Ask whoever is at the terminal. Raises SetupError without a yes."""
    if not sys.stdin.isatty():
        raise SetupError("Handing a home over gives its files to somebody else. Add --yes to say that you mean it.")
    print(f"The home {home.name} is {home.told}.")
    if input(f"Give it and all its files to {to.user} (number {to.user_id})? [y/N] ").strip().lower() not in (
        "y",
        "yes",
    ):
        raise SetupError("Nothing was changed.")
