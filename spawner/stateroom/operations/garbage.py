"""Finds and removes what a hub left behind and nobody uses. Deletes a home only if it is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from stateroom.common.errors import SetupError
from stateroom.common.text import quoted
from stateroom.operations.homes import Standing, StoredHome, stored_homes
from stateroom.operations.local.data import DataFolder
from stateroom.operations.platform import HubResources, Orphan
from stateroom.operations.platforms import platform_for
from stateroom.storage.assignments import HomeAssignments, home_assignments_file


@dataclass(frozen=True, slots=True)
class Garbage:
    """What may be removed of one hub, and the homes without a user that are kept."""

    orphans: Sequence[Orphan]
    homes: Sequence[StoredHome]  # those that were named
    kept: Sequence[str]  # a description of each
    deletable: bool  # whether kept homes may be deleted by naming them
    _resources: HubResources
    _assignments: HomeAssignments

    def remove_orphans(self) -> Iterator[tuple[Orphan, bool]]:
        """Remove each orphan, and yield it with whether it was removed, which it is not if it has come into use."""
        for orphan in self.orphans:
            yield orphan, self._resources.remove(orphan)

    def delete_homes(self) -> Iterator[StoredHome]:
        """Delete each home that was named, with all its files, and yield it."""
        for home in self.homes:
            self._resources.delete_home(home.made_for)
            self._assignments.forget(home.made_for)
            yield home


@contextmanager
def open_garbage(data: DataFolder, named_homes: Sequence[str] = ()) -> Iterator[Garbage]:
    """Find what may be removed of the hub of this folder, which is not started in the meantime.

    Raises SetupError, also if a name is not that of a home whose user is gone.
    """
    settings = data.known_settings()
    with data.kept_as_it_is() as running, platform_for(settings.backend).open(settings) as resources:
        orphans = resources.orphans(data.records, running=running)
        homes = stored_homes(resources, data, settings.hub_id, data.records())
        gone = [home for home in homes if home.standing is Standing.GONE]
        named = _named(named_homes, gone, resources)
        kept = [f"{home.name}: {home.description}" for home in gone if home not in named]
        unknown = resources.unknown_homes(home.made_for for home in homes)
        yield Garbage(
            orphans,
            named,
            [*kept, *(f"{name}: of no user of this hub" for name in unknown)],
            not resources.undeletable(),
            resources,
            HomeAssignments(home_assignments_file(data.path)),
        )


def _named(names: Sequence[str], homes: Sequence[StoredHome], resources: HubResources) -> list[StoredHome]:
    """Return the homes to delete. Raises SetupError for a name that is not among those whose user is gone."""
    if names and (why := resources.undeletable()):
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
