"""Names that come and go, on each real kind of home: nobody finds anybody else's files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
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


Real = DockerSubject | KubernetesSubject


@dataclass(frozen=True, slots=True)
class Kind:
    """Where homes are, and whether they say by themselves whose they are. Each hub has a subject of its own."""

    subject: Callable[[int], AbstractAsyncContextManager[Real]]
    records_folders: bool = False


@asynccontextmanager
async def volumes(_: Path) -> AsyncIterator[Kind]:
    yield Kind(lambda _: docker_subject())


@asynccontextmanager
async def folders(path: Path) -> AsyncIterator[Kind]:
    yield Kind(lambda _: docker_subject(DockerHome(path=str(path / "homes"))), records_folders=True)


@asynccontextmanager
async def claims(_: Path) -> AsyncIterator[Kind]:
    async with kubernetes_subject() as all_of_them:
        yield Kind(partial(another_hub, all_of_them))


@asynccontextmanager
async def folders_of_a_claim(_: Path) -> AsyncIterator[Kind]:
    async with kubernetes_subject(Site(homes=KubernetesHome(claim="homes"))) as all_of_them:
        make_shared_claim(all_of_them.namespace)
        yield Kind(partial(another_hub, all_of_them))


@asynccontextmanager
async def another_hub(subject: KubernetesSubject, number: int) -> AsyncIterator[KubernetesSubject]:
    """Another hub of the same namespace, with which everything of it goes."""
    yield replace(subject, hub=f"{subject.hub}-{number}")


class RealWorld(World):
    """Homes are an engine's or a cluster's. Each start of the hub is with a backend that has nothing in mind."""

    def __init__(self, folder: Path, subject: Real, seed: int, *, records_folders: bool) -> None:
        super().__init__(folder, subject.hub, seed)
        self.subject = subject
        self.records_folders = records_folders

    async def open(self) -> None:
        await super().open()
        self.backend = self.subject.another_process()

    async def close(self) -> None:
        await super().close()
        await self.backend.close()

    async def open_home(self, home: HomeRef, person: int) -> int:
        spec = make_spec(self.subject, user=home.user, home=home)
        await start_on(self.backend, spec)
        file = '"$JUPYTERHUB_ROOT_DIR/owner"'
        script = f"[ -e {file} ] || echo {person} >{file}; cat {file}"
        found = await asyncio.to_thread(self.subject.shell, spec.ref, script)
        await self.backend.servers.stop(spec.ref, soon())
        return int(found)


@pytest.mark.parametrize("kind", [volumes, folders, claims, folders_of_a_claim])
async def test_nobody_gets_anybody_elses_files(
    tmp_path: Path, kind: Callable[[Path], AbstractAsyncContextManager[Kind]], told: Told
) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def live(homes: Kind, seed: int) -> int:
        async with turns, homes.subject(seed) as subject:
            world = RealWorld(tmp_path / str(seed), subject, seed, records_folders=homes.records_folders)
            await world.live()
            return world.opened

    async with kind(tmp_path) as homes:
        with numbers_by_a_quick_clock():
            opened = sum(await asyncio.gather(*(live(homes, seed) for seed in range(SEQUENCES))))
    told(f"{SEQUENCES} sequences, in which {opened} servers had a home.")
    assert opened > SEQUENCES
