"""`stateroom gc`: removes what the hub left and nobody uses. Homes only where each is named."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from stateroom.cli.arguments import add_data_option
from stateroom.cli.data import DataFolder
from stateroom.cli.places import Belongings, Orphan, place
from stateroom.cli.stored_homes import Standing, StoredHome, stored_homes
from stateroom.errors import SetupError
from stateroom.home_assignments import HomeAssignments, home_assignments_file
from stateroom.wording import counted, quoted

_EXAMPLES = """\
A home is only ever deleted where it is named:
  stateroom gc --dry-run           what would be removed, and the homes whose user is gone
  stateroom gc --homes ada         also delete the home of ada, who is gone
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `gc`."""
    parser = commands.add_parser(
        "gc",
        help="remove what nobody uses any more; homes are kept",
        description="Remove what this hub left and nobody uses: servers that the hub does not know, "
        "helpers, networks, old builds of the notebook image. Other hubs' are never touched.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed, and why")
    parser.add_argument("--homes", nargs="+", metavar="NAME", default=[], help="delete these users' homes too")
    add_data_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Find, say and remove."""
    data: DataFolder = arguments.data
    settings = data.known_settings()
    with data.kept_as_it_is() as running, place(settings.backend).opened(settings) as there:
        orphans = there.orphans(data.records, running=running)
        homes = stored_homes(there, data, settings.hub_id, data.records())
        gone = [home for home in homes if home.standing is Standing.GONE]
        named = _named(arguments.homes, gone, there)
        if arguments.dry_run:
            _tell(orphans, named)
        else:
            _remove(there, orphans)
            _delete(there, data, named)
        unknown = there.unknown_homes(home.made_for for home in homes)
        advice = "" if there.undeletable() else f"`stateroom gc{data.option} --homes NAME` deletes the home of NAME."
    if not orphans and not named:
        print("Nothing to remove.")
    kept = [f"{home.name}: {home.told}" for home in gone if home not in named]
    _tell_kept([*kept, *(f"{name}: of no user of this hub" for name in unknown)], advice)
    return 0


def _tell(orphans: Sequence[Orphan], homes: Sequence[StoredHome]) -> None:
    for orphan in orphans:
        print(f"would remove {orphan.kind} {orphan.name}: {orphan.why}")
    for home in homes:
        print(f"would delete home {home.name} and all its files: {home.told}")


def _remove(there: Belongings, orphans: Sequence[Orphan]) -> None:
    for orphan in orphans:
        verdict = "removed" if there.remove(orphan) else "left, since it is in use again:"
        print(f"{verdict} {orphan.kind} {orphan.name}: {orphan.why}")


def _delete(there: Belongings, data: DataFolder, homes: Sequence[StoredHome]) -> None:
    assignments = HomeAssignments(home_assignments_file(data.path))
    for home in homes:
        there.delete_home(home.made_for)
        assignments.forget(home.made_for)
        print(f"deleted home {home.name} and all its files: {home.told}")


def _named(names: Sequence[str], homes: Sequence[StoredHome], there: Belongings) -> list[StoredHome]:
    """The homes that are to be deleted. Raises SetupError for a name that is not among those whose user is gone."""
    if names and (why := there.undeletable()):
        raise SetupError(why)
    found = [home for home in homes if {home.made_for.user, home.name} & set(names)]
    known = {word for home in found for word in (home.made_for.user, home.name)}
    for name in names:
        if name not in known:
            raise SetupError(
                f"{quoted(name)} names no home whose user is gone; nothing was removed. "
                "`stateroom homes` shows all homes."
            )
    return found


def _tell_kept(homes: Sequence[str], advice: str) -> None:
    """The homes without a user, which stay."""
    if homes:
        print(f"{counted(len(homes), 'home')} without a user, kept:")
        for line in homes:
            print(f"  {line}")
        if advice:
            print(advice)
