"""Names that come and go: whoever starts a server gets their own files, and never anybody else's.

The hub's accounts, database and records are real, homes are imitated; the contract suite has them real.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.reused_names import World, numbers_by_a_quick_clock
from stateroom.common.errors import HomeRefused
from stateroom.storage.homes import HomeRef, home_from_labels

SEQUENCES = int(os.environ.get("STATEROOM_SEQUENCES", "25"))  # of each kind; a thousand take some minutes


class WorldOfFolders(World):
    """Homes are folders: they have files, and nothing that says whose they are."""

    records_folders = True

    def __init__(self, folder: Path, hub_id: str, seed: int) -> None:
        super().__init__(folder, hub_id, seed)
        self.files: dict[str, int] = {}  # a person, by the home's name

    async def open_home(self, home: HomeRef, person: int) -> int:
        return self.files.setdefault(home.name, person)


class WorldOfVolumes(WorldOfFolders):
    """Homes are volumes: their labels, which never change, say whose they are."""

    records_folders = False

    def __init__(self, folder: Path, hub_id: str, seed: int) -> None:
        super().__init__(folder, hub_id, seed)
        self.volumes: dict[str, dict[str, str]] = {}

    async def open_home(self, home: HomeRef, person: int) -> int:
        labels = self.volumes.setdefault(home.name, dict(home.labels))
        if home_from_labels(labels, self.hub_id) != home:
            raise HomeRefused("it is another's")
        return await super().open_home(home, person)


@pytest.mark.parametrize("kind", [WorldOfVolumes, WorldOfFolders], ids=["volumes", "folders"])
async def test_nobody_gets_anybody_elses_files(tmp_path: Path, kind: type[World]) -> None:
    opened = 0
    with numbers_by_a_quick_clock():
        for seed in range(SEQUENCES):
            place = tmp_path / str(seed)
            world = kind(place, "hub", seed)
            await world.live()
            opened += world.opened
            shutil.rmtree(place)
    assert opened > SEQUENCES
