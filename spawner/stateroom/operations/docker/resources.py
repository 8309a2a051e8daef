"""What a hub has on a Docker engine: orphans, and homes as volumes or host folders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import docker

from stateroom.common.errors import SetupError
from stateroom.common.labels import HUB, KIND
from stateroom.common.quantity import format_memory
from stateroom.operations.docker.orphans import find_orphans, remove_orphan
from stateroom.operations.local.data import Settings
from stateroom.operations.local.records import Records
from stateroom.operations.platform import Orphan
from stateroom.storage.homes import HOME_PREFIX, HomeRef, home_from_labels


class DockerResources:
    """See HubResources."""

    def __init__(self, engine: docker.APIClient, settings: Settings) -> None:
        self._engine = engine
        self._hub = settings.hub_id
        self._folder = settings.homes

    def orphans(self, read: Callable[[], Records], *, running: bool) -> list[Orphan]:
        """See HubResources."""
        return find_orphans(self._engine, self._hub, read, time.time(), running=running)

    def remove(self, orphan: Orphan) -> bool:
        """See HubResources."""
        return remove_orphan(self._engine, orphan)

    def homes(self, known: Iterable[HomeRef]) -> list[HomeRef]:
        """See HubResources. A folder does not say whose it is."""
        if self._folder:
            folders = _folders(Path(self._folder))
            return [ref for ref in known if ref.name in folders]
        listed = self._engine.volumes(filters={"label": [f"{HUB}={self._hub}", f"{KIND}=home"]})["Volumes"] or ()
        homes = ((volume["Name"], home_from_labels(volume["Labels"] or {}, self._hub)) for volume in listed)
        return [ref for name, ref in homes if ref is not None and ref.name == name]

    def unknown_homes(self, known: Iterable[HomeRef]) -> list[str]:
        """See HubResources. Folders of no user of this hub; another hub may have made them."""
        if not self._folder:
            return []
        names = {home.name for home in known}
        return sorted(f"{self._folder}/{name}" for name in _folders(Path(self._folder)) if name not in names)

    def sizes(self, homes: Iterable[HomeRef]) -> Mapping[str, str]:
        """See HubResources. The engine walks through all volumes."""
        names = {home.name for home in homes}
        volumes = self._engine.df()["Volumes"] or ()
        used = {volume["Name"]: (volume.get("UsageData") or {}).get("Size", -1) for volume in volumes}
        return {name: format_memory(size) for name, size in used.items() if size >= 0 and name in names}

    def require_unused(self, home: HomeRef) -> None:
        """See HubResources."""
        source = f"{self._folder.rstrip('/')}/{home.name}" if self._folder else home.name
        if self._engine.containers(all=True, filters={"volume": source}):
            raise SetupError(f"A container uses the home {home.name}. Stop it, or run `stateroom gc`, and try again.")

    def undeletable(self) -> str:
        """See HubResources."""
        return f"The homes are folders in {self._folder}; Stateroom deletes no host folders." if self._folder else ""

    def delete_home(self, home: HomeRef) -> None:
        """See HubResources."""
        self._engine.remove_volume(home.name)


def _folders(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir() if path.name.startswith(HOME_PREFIX) and path.is_dir()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise SetupError(
            f"The homes in {folder} cannot be listed: {error.strerror}. Run the command as root."
        ) from error
