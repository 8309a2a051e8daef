"""Names that come and go, on each real kind of home: nobody finds anybody else's files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from contract.engines import (
    DockerSubject,
    KubernetesSubject,
    docker_subject,
    kubernetes_subject,
    make_spec,
    soon,
    start_on,
)
from harness.figures import Told
from harness.pods import make_shared_claim
from harness.reused_names import World, numbers_by_a_quick_clock
from stateroom.backends.kubernetes.manifests import Site
from stateroom.catalog.storage import DockerHome, KubernetesHome
from stateroom.storage.homes import HomeRef

SEQUENCES = int(os.environ.get("STATEROOM_SEQUENCES", "2"))  # of each kind; 40 take some minutes
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """Where homes are, and whether they say by themselves whose they are."""

    subject: DockerSubject | KubernetesSubject
    records_folders: bool = False


@asynccontextmanager
async def volumes(_: Path) -> AsyncIterator[Kind]:
    async with docker_subject() as subject:
        yield Kind(subject)


@asynccontextmanager
async def folders(path: Path) -> AsyncIterator[Kind]:
    async with docker_subject(DockerHome(path=str(path / "homes"))) as subject:
        yield Kind(subject, records_folders=True)


@asynccontextmanager
async def claims(_: Path) -> AsyncIterator[Kind]:
    async with kubernetes_subject() as subject:
        yield Kind(subject)


@asynccontextmanager
async def folders_of_a_claim(_: Path) -> AsyncIterator[Kind]:
    async with kubernetes_subject(Site(homes=KubernetesHome(claim="homes"))) as subject:
        make_shared_claim(subject.namespace)
        yield Kind(subject)


class RealWorld(World):
    """Homes are an engine's or a cluster's. Each start of the hub is with a backend that has nothing in mind."""

    def __init__(self, folder: Path, kind: Kind, seed: int) -> None:
        super().__init__(folder, kind.subject.hub, seed)
        self.kind = kind
        self.records_folders = kind.records_folders

    async def open(self) -> None:
        await super().open()
        self.backend = self.kind.subject.another_process()

    async def close(self) -> None:
        await super().close()
        await self.backend.close()

    async def open_home(self, home: HomeRef, person: int) -> int:
        spec = make_spec(self.kind.subject, user=home.user, home=home)
        await start_on(self.backend, spec)
        file = '"$JUPYTERHUB_ROOT_DIR/owner"'
        script = f"[ -e {file} ] || echo {person} >{file}; cat {file}"
        found = await asyncio.to_thread(self.kind.subject.shell, spec.ref, script)
        await self.backend.servers.stop(spec.ref, soon())
        return int(found)


@pytest.mark.parametrize("kind", [volumes, folders, claims, folders_of_a_claim])
async def test_nobody_gets_anybody_elses_files(
    tmp_path: Path, kind: Callable[[Path], AbstractAsyncContextManager[Kind]], told: Told
) -> None:
    turns = asyncio.Semaphore(AT_ONCE)
    async with kind(tmp_path) as homes:
        worlds = [RealWorld(tmp_path / str(seed), homes, seed) for seed in range(SEQUENCES)]

        async def live(world: World) -> None:
            async with turns:
                await world.live()

        with numbers_by_a_quick_clock():
            await asyncio.gather(*map(live, worlds))
    opened = sum(world.opened for world in worlds)
    told(f"{SEQUENCES} sequences, in which {opened} servers had a home.")
    assert opened > SEQUENCES
