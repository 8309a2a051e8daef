"""Users' homes on a Docker engine: volumes, or folders of the host."""

from __future__ import annotations

from collections.abc import Callable

from stateroom.backends.diagnosis import not_theirs
from stateroom.backends.docker.engine import Engine
from stateroom.backends.docker.payload import DockerSettings
from stateroom.catalog.storage import DockerHome
from stateroom.common.errors import HomeRefused
from stateroom.storage.homes import HomeRef, home_from_labels

_ROOT = 0  # the number of its user


class Homes:
    """The `homes` group of the Docker backend. See `base.Homes`."""

    def __init__(self, engine: Engine, hub: str, settings: Callable[[], DockerSettings]) -> None:
        self._engine = engine
        self._hub = hub
        self._settings = settings
        self._handed_over: set[str] = set()  # the homes that are known to belong to their servers' user

    async def remove(self, home: HomeRef) -> None:
        """See Homes.remove."""
        if self._settings().homes.path:
            raise HomeRefused(f'The home "{home.name}" is a folder of the host; Stateroom deletes no host folders.')
        if await self._is_there(home):
            await self._engine.remove_volume(home.name)

    async def ensure(self, home: HomeRef, homes: DockerHome) -> bool:
        """Have the home; return whether it is new, and must be handed to the server's user.

        The engine makes a folder of the host with the container, as root. Raises HomeRefused if it is not this user's.
        """
        if homes.path:
            return False
        if await self._is_there(home):
            return False
        await self._engine.create_volume(home.name, home.labels)
        return True

    async def is_unclaimed(self, home: HomeRef, container: str, folder: str) -> bool:
        """Return whether nobody has it yet: a new folder, or one that an earlier start made and failed to hand over.

        Asked once for each home, so that what its owner then makes of its mode is theirs.
        """
        if home.name in self._handed_over:
            return False
        return await self._engine.owner(container, folder) == _ROOT

    def handed_over(self, home: HomeRef) -> None:
        """Remember that the home belongs to its servers' user."""
        self._handed_over.add(home.name)

    async def _is_there(self, home: HomeRef) -> bool:
        volume = await self._engine.inspect_volume(home.name)
        if volume is None:
            return False
        found = home_from_labels(volume.get("Labels") or {}, self._hub)
        if found != home:
            raise HomeRefused(not_theirs("volume", home, found))
        return True
