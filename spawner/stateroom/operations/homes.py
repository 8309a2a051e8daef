"""The homes of a hub and their owners: the user each was made for, whether that user still exists, and handovers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.records import Records
from stateroom.operations.platform import HubResources
from stateroom.storage.assignments import HomeAssignments, assign_command, home_assignments_file
from stateroom.storage.homes import HomeRef

_NO_NUMBER = 0  # a folder carries none, and its user may be gone; the hub counts from 1

Assigned = Mapping[HomeRef, HomeRef]


class Standing(Enum):
    """The state of a home's user."""

    USED = "its user is there"
    SET_ASIDE = "its user was handed another home"
    RENAMED = "its user's number is there under another name"
    GONE = "its user is gone"


@dataclass(frozen=True, slots=True)
class StoredHome:
    """One home: the user it was made for, by name and number, and its present owner."""

    made_for: HomeRef
    user: HomeRef
    standing: Standing
    now_called: str = ""  # the name that its user's number has now, if it is another

    @property
    def name(self) -> str:
        """The volume's, claim's or folder's name."""
        return self.made_for.name

    @property
    def description(self) -> str:
        """The owner in a few words, and how to hand the home over where that is needed."""
        user = self.user.user if self.user.user_id == _NO_NUMBER else f"{self.user.user} (number {self.user.user_id})"
        match self.standing:
            case Standing.USED:
                return f"of {user}" + ("" if self.user.name == self.name else ", to whom it was handed")
            case Standing.SET_ASIDE:
                return f"of {user}, who was handed another; set aside"
            case Standing.RENAMED:
                hint = assign_command(self.made_for.user, self.now_called)
                return f"of {user}; that number is now called {self.now_called}. To hand it over: {hint}"
            case Standing.GONE:
                return f"of {user}, who is gone"


def stored_homes(
    resources: HubResources, data: DataFolder, hub: str, records: Records, *named: str
) -> list[StoredHome]:
    """Return every home of the hub, ordered by user name. Raises SetupError.

    A folder does not say whose it is, so those of `named` are looked for besides the recorded ones.
    """
    assignments = HomeAssignments(home_assignments_file(data.path))
    assigned, folders = assignments.users(), assignments.folders()
    names = {*records.users.values(), *(home.user for home in assigned), *named}
    own = (HomeRef(hub, name, records.number(name) or _NO_NUMBER) for name in names)
    refs = resources.homes({**{home.name: home for home in own}, **folders}.values())
    return [stored_home(ref, records, assigned) for ref in sorted(refs, key=lambda ref: (ref.user, ref.user_id))]


def stored_home(ref: HomeRef, records: Records, assigned: Assigned) -> StoredHome:
    """Return the home that was made for `ref`, with its present owner."""
    user = next((user for home, user in assigned.items() if home.name == ref.name), ref)
    name = records.users.get(user.user_id)
    if name is None:
        return StoredHome(ref, user, Standing.GONE)
    if name != user.user:
        return StoredHome(ref, user, Standing.RENAMED, name)
    has_another = any(owner == user and home.name != ref.name for home, owner in assigned.items())
    return StoredHome(ref, user, Standing.SET_ASIDE if has_another else Standing.USED)
