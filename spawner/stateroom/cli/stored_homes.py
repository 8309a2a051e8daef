"""The homes of a hub, and whose they are: by whose name they were made, who is there now, and what was handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from stateroom.cli.data import DataFolder
from stateroom.cli.database import Records
from stateroom.cli.places import Belongings
from stateroom.home_assignments import HomeAssignments, assign_command, home_assignments_file
from stateroom.names import HomeRef

_NO_NUMBER = 0  # a folder carries none, and its user may be gone; the hub counts from 1

Assigned = Mapping[HomeRef, HomeRef]


class Standing(Enum):
    """What has become of a home's user."""

    USED = "its user is there"
    SET_ASIDE = "its user was handed another home"
    RENAMED = "its user's number is there under another name"
    GONE = "its user is gone"


@dataclass(frozen=True, slots=True)
class StoredHome:
    """One home: by whose name and number it was made, and to whom it belongs now."""

    made_for: HomeRef
    user: HomeRef
    standing: Standing
    now_called: str = ""  # the name that its user's number has now, if it is another

    @property
    def name(self) -> str:
        """The volume's, claim's or folder's name."""
        return self.made_for.name

    @property
    def told(self) -> str:
        """Whose it is, in a few words."""
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


def stored_homes(place: Belongings, data: DataFolder, hub: str, records: Records, *named: str) -> list[StoredHome]:
    """Every home of the hub, by the user's name. Raises SetupError.

    A folder does not say whose it is, so those of `named` are looked for besides the known users'.
    """
    assigned = HomeAssignments(home_assignments_file(data.path)).users()
    names = {*records.users.values(), *(home.user for home in assigned), *named}
    refs = place.homes(HomeRef(hub, name, records.number(name) or _NO_NUMBER) for name in names)
    return [stored_home(ref, records, assigned) for ref in sorted(refs, key=lambda ref: (ref.user, ref.user_id))]


def stored_home(ref: HomeRef, records: Records, assigned: Assigned) -> StoredHome:
    """Whose the home is that was made for `ref`."""
    user = next((user for home, user in assigned.items() if home.name == ref.name), ref)
    name = records.users.get(user.user_id)
    if name is None:
        return StoredHome(ref, user, Standing.GONE)
    if name != user.user:
        return StoredHome(ref, user, Standing.RENAMED, name)
    has_another = any(owner == user and home.name != ref.name for home, owner in assigned.items())
    return StoredHome(ref, user, Standing.SET_ASIDE if has_another else Standing.USED)
