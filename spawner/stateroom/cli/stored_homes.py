"""The homes of a hub, as they lie on the engine or in a host folder, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import docker

from stateroom.cli.data import DataFolder, Settings
from stateroom.cli.database import Records
from stateroom.errors import SetupError
from stateroom.home_assignments import HomeAssignments, assign_command, home_assignments_file
from stateroom.names import HOME_PREFIX, HUB, KIND, HomeRef, home_from_labels

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
        """The volume's or folder's name."""
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


def stored_homes(
    engine: docker.APIClient, settings: Settings, data: DataFolder, records: Records, *named: str
) -> list[StoredHome]:
    """Every home of the hub, by the user's name. Raises SetupError.

    A folder does not say whose it is, so those of `named` are looked for besides the known users'.
    """
    assigned = HomeAssignments(home_assignments_file(data.path)).users()
    if settings.homes:
        names = {*records.users.values(), *(home.user for home in assigned), *named}
        known = (HomeRef(settings.hub_id, name, records.number(name) or _NO_NUMBER) for name in names)
        there = _folders(Path(settings.homes))
        refs = [ref for ref in known if ref.name in there]
    else:
        refs = _volumes(engine, settings.hub_id)
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


def unknown_folders(settings: Settings, known: Iterable[StoredHome]) -> list[str]:
    """Folders among the homes that are of no user of this hub. Another hub may have made them."""
    names = {home.name for home in known}
    return sorted(name for name in _folders(Path(settings.homes)) if name not in names)


def _volumes(engine: docker.APIClient, hub: str) -> list[HomeRef]:
    listed = engine.volumes(filters={"label": [f"{HUB}={hub}", f"{KIND}=home"]})["Volumes"] or ()
    homes = ((volume["Name"], home_from_labels(volume["Labels"] or {}, hub)) for volume in listed)
    return [ref for name, ref in homes if ref is not None and ref.name == name]


def _folders(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir() if path.name.startswith(HOME_PREFIX) and path.is_dir()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise SetupError(
            f"The homes in {folder} cannot be listed: {error.strerror}. Run the command as root."
        ) from error
