"""Lists the homes of a hub, hands one to another user, and gives a user an empty one.

No file is moved. A change takes effect at the user's next start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stateroom.common.errors import SetupError
from stateroom.common.text import quoted
from stateroom.operations.homes import Standing, StoredHome, stored_homes
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.records import Records
from stateroom.operations.platforms import platform_for
from stateroom.storage.assignments import HomeAssignments, fresh_home, home_assignments_file
from stateroom.storage.homes import HomeRef


@dataclass(frozen=True, slots=True)
class Handover:
    """A home that is about to be handed to another user."""

    home: StoredHome
    to: HomeRef


def list_homes(data: DataFolder, *, with_sizes: bool = False) -> list[tuple[StoredHome, str]]:
    """Return each home of the hub with its size, "" where that is not known or not wanted. Raises SetupError."""
    settings = data.known_settings()
    with platform_for(settings.backend).open(settings) as resources:
        homes = stored_homes(resources, data, settings.hub_id, data.records())
        sizes = resources.sizes(home.made_for for home in homes) if with_sizes else {}
    return [(home, sizes.get(home.name, "")) for home in homes]


def assign_home(data: DataFolder, wanted: str, new_owner: str, confirm: Callable[[Handover], None]) -> list[str]:
    """Hand a home over, once nobody uses it, and return what was done.

    `wanted` is the user by whose name the home was made, or the home's own name.
    `confirm` is called before anything changes, and raises SetupError to refuse.
    """
    settings = data.known_settings()
    records = data.records()
    to = _user(new_owner, settings, records)
    assignments = HomeAssignments(home_assignments_file(data.path))
    with platform_for(settings.backend).open(settings) as resources:
        home = _found(wanted, stored_homes(resources, data, settings.hub_id, records, wanted))
        if home is None:
            return _forget(wanted, assignments)
        if home.user == to and home.standing is Standing.USED:
            return [f"The home {home.name} belongs to {to.user} already."]
        _require_free(home, to)
        confirm(Handover(home, to))
        _require_no_server(data.records(), to.user, home.user.user, home.now_called)
        resources.require_unused(home.made_for)
        assignments.assign(home.made_for, to)
    return [f"The home {home.name} belongs to {to.user} (number {to.user_id}) from the next start on."]


def new_home(data: DataFolder, name: str) -> str:
    """Give a user a home that nobody had, and return what was done. The next start creates it. Raises SetupError."""
    settings = data.known_settings()
    records = data.records()
    user = _user(name, settings, records)
    with platform_for(settings.backend).open(settings) as resources:
        for home in stored_homes(resources, data, settings.hub_id, records):
            if home.user == user and home.standing is Standing.USED:
                raise SetupError(f"{user.user} has a home already, {home.name}.")
    _require_no_server(records, user.user)
    fresh = fresh_home(user)
    HomeAssignments(home_assignments_file(data.path)).assign(fresh, user)
    return f"{user.user} (number {user.user_id}) has the home {fresh.name} from the next start on."


def _user(name: str, settings: Settings, records: Records) -> HomeRef:
    number = records.number(name)
    if number is None:
        raise SetupError(f"The hub knows no user {quoted(name)}. A user is known from the first login on.")
    return HomeRef(settings.hub_id, name, number)


def _found(wanted: str, homes: Sequence[StoredHome]) -> StoredHome | None:
    return next((home for home in homes if wanted in (home.made_for.user, home.name)), None)


def _forget(wanted: str, assignments: HomeAssignments) -> list[str]:
    """Forget the assignment of a home that was removed by other means, so that its name leads to a new one again."""
    known = {home.name: home for home in (*assignments.folders().values(), *assignments.users())}
    lost = [home for home in known.values() if wanted in (home.user, home.name)]
    if not lost:
        raise SetupError(f"There is no home of {quoted(wanted)}. `stateroom homes` shows all homes.")
    for home in lost:
        assignments.forget(home)
    return [
        f"The home {home.name} is no more. Whose it was is forgotten; the next start makes a new one." for home in lost
    ]


def _require_free(home: StoredHome, to: HomeRef) -> None:
    """Raises SetupError if the home belongs to a user who is still there."""
    if home.standing in (Standing.USED, Standing.SET_ASIDE) and home.user != to:
        raise SetupError(
            f"The home {home.name} belongs to {home.user.user}, who is still a user of the hub. "
            "Remove or rename that user on the hub's admin page first."
        )


def _require_no_server(records: Records, *users: str) -> None:
    for user, server in sorted(records.active):
        if user in users:
            raise SetupError(f"A server of {user} runs{f' ({server})' if server else ''}. Stop it first.")
