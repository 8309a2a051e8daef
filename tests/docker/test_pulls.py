"""Images that are not on the engine: fetched once, with progress, or refused with cause and remedy."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import shutil
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from contract.engines import DockerSubject, docker_subject, make_spec
from harness.registry import LOGIN, Registry, running_registry
from stateroom.common.deadline import Deadline
from stateroom.common.errors import ImageUnavailable
from stateroom.workloads.progress import Phase, Progress

LAYERS = 3
LAYER_BYTES = 8_000_000


@pytest.fixture
async def subject() -> AsyncIterator[DockerSubject]:
    async with docker_subject() as subject:
        yield subject


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with running_registry(tmp_path) as registry:
        yield registry


def soon() -> Deadline:
    return Deadline.after(30, "waiting for the server to answer")


def pushed(subject: DockerSubject, registry: Registry) -> str:
    """A small image with some megabytes of its own, in the registry and not on the engine."""
    name, tag = f"{registry.address}/notebook", uuid4().hex[:8]
    changes = ["USER 1000", "ENV HOME=/home/ada", 'CMD ["/bin/busybox", "httpd", "-f", "-p", "8888"]']
    subject.client.import_image_from_data(smallest_system(), name, tag, changes=changes)
    for layer in range(LAYERS):
        container = subject.client.create_container(f"{name}:{tag}")["Id"]
        subject.client.put_archive(container, "/", archive({f"layer-{layer}": os.urandom(LAYER_BYTES)}))
        subject.client.commit(container, name, tag)
        subject.client.remove_container(container, force=True)
    for line in subject.client.push(name, tag, stream=True, decode=True):
        assert "error" not in line, line
    subject.client.remove_image(f"{name}:{tag}", force=True)
    return f"{name}:{tag}"


def smallest_system() -> bytes:
    """A shell and a web server, which is all that a server needs to answer."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed; ./test docker installs it")
    program = Path(busybox).read_bytes()
    return archive({"bin/busybox": program, "bin/sh": program, "etc/passwd": b"ada:x:1000:1000::/home/ada:/bin/sh\n"})


def archive(files: dict[str, bytes]) -> bytes:
    """A tar of files that anybody may run."""
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o755
                tar.addfile(entry, io.BytesIO(data))
        return buffer.getvalue()


async def test_one_pull_serves_all_who_wait_and_tells_each_of_them_how_far_it_is(
    subject: DockerSubject, registry: Registry
) -> None:
    image = pushed(subject, registry)
    told: list[list[Progress]] = [[], [], []]
    specs = [make_spec(subject, user, image=image) for user in ("ada", "bob", "eve")]
    await asyncio.gather(
        *(subject.backend.servers.start(spec, soon(), heard.append) for spec, heard in zip(specs, told, strict=True))
    )
    tag = image.rpartition(":")[2]
    assert len(registry.requests("GET", f"/v2/notebook/manifests/{tag}")) <= 1
    for heard in told:
        pulling = [progress for progress in heard if progress.phase is Phase.PULLING]
        assert len(pulling) > 1
        assert [progress.done for progress in pulling] == sorted(progress.done for progress in pulling)
        assert pulling[-1].message == f"Unpacking the image: {LAYERS + 1} of {LAYERS + 1} layers"
        assert pulling[-1].done == 1
    subject.client.remove_image(image, force=True)


async def test_an_image_by_its_digest_is_fetched(subject: DockerSubject, registry: Registry) -> None:
    image = pushed(subject, registry)
    digest = subject.client.inspect_distribution(image)["Descriptor"]["digest"]
    by_digest = f"{image.rpartition(':')[0]}@{digest}"
    spec = make_spec(subject, image=by_digest)
    await subject.backend.servers.start(spec, soon(), lambda _: None)
    assert subject.client.inspect_container(spec.ref.name)["Config"]["Image"] == by_digest
    await subject.backend.servers.stop(spec.ref, soon())
    subject.client.remove_image(by_digest, force=True)


async def test_a_pull_does_not_count_towards_the_time_for_the_start(
    subject: DockerSubject, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = pushed(subject, registry)
    engine = subject.backend._engine
    pull = engine.pull

    async def slow(*words: Any) -> None:
        await asyncio.sleep(6)
        await pull(*words)

    monkeypatch.setattr(engine, "pull", slow)
    deadline = Deadline.after(5, "waiting for the server to answer")
    await subject.backend.servers.start(make_spec(subject, image=image), deadline, lambda _: None)


async def test_an_image_that_is_always_pulled_is_the_registrys_newest(
    subject: DockerSubject, registry: Registry
) -> None:
    image = pushed(subject, registry)
    subject.client.pull(image)
    old = subject.client.inspect_image(image)["Id"]
    renew(subject, image)
    spec = make_spec(subject, image=image, pull="missing")
    await subject.backend.servers.start(spec, soon(), lambda _: None)
    assert subject.client.inspect_container(spec.ref.name)["Image"] == old
    await subject.backend.servers.start(make_spec(subject, image=image, pull="always"), soon(), lambda _: None)
    assert subject.client.inspect_container(spec.ref.name)["Image"] != old


def renew(subject: DockerSubject, image: str) -> None:
    """Push another image of the same name; the engine keeps the one it has."""
    old = subject.client.inspect_image(image)["Id"]
    name, _, tag = image.rpartition(":")
    container = subject.client.create_container(image)["Id"]
    subject.client.put_archive(container, "/", archive({"newer": b"yes"}))
    subject.client.commit(container, name, tag)
    subject.client.remove_container(container, force=True)
    for line in subject.client.push(name, tag, stream=True, decode=True):
        assert "error" not in line, line
    subject.client.tag(old, name, tag, force=True)


async def test_an_image_that_is_never_pulled_must_be_there(subject: DockerSubject, registry: Registry) -> None:
    image = pushed(subject, registry)
    spec = make_spec(subject, image=image, pull="never")
    with pytest.raises(ImageUnavailable, match="is not on the machine, and the catalog says never to fetch it"):
        await subject.backend.servers.start(spec, soon(), lambda _: None)
    subject.client.pull(image)
    await subject.backend.servers.start(spec, soon(), lambda _: None)


async def test_a_login_counts_from_the_next_pull_on(
    subject: DockerSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with running_registry(tmp_path, closed=True) as registry:
        assert "without a login" in await refused(subject, f"{registry.address}/notebook:1")
        subject.client.login(*LOGIN, registry=registry.address)
        image = pushed(subject, registry)
        login = base64.b64encode(":".join(LOGIN).encode()).decode()
        # What `docker login` writes.
        (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.address: {"auth": login}}}))
        await subject.backend.servers.start(make_spec(subject, image=image), soon(), lambda _: None)


@pytest.mark.filterwarnings("ignore:docker-credential-of-nobody:UserWarning")
async def test_a_store_of_logins_that_is_broken_is_told(
    subject: DockerSubject, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text('{"credsStore": "of-nobody"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    words = await refused(subject, f"{registry.address}/notebook:1")
    assert words == (
        f'The logins for registries cannot be read here, so "{registry.address}/notebook:1" cannot be fetched. '
        "Choose another image, and tell an administrator."
    )


async def refused(subject: DockerSubject, image: str) -> str:
    with pytest.raises(ImageUnavailable) as refusal:
        await subject.backend.servers.start(make_spec(subject, image=image), soon(), lambda _: None)
    assert await subject.backend.servers.list() == []
    return str(refusal.value)


async def test_an_image_that_the_registry_does_not_have(subject: DockerSubject, registry: Registry) -> None:
    words = await refused(subject, f"{registry.address}/nothing:1")
    assert words == (
        f'The registry has no image "{registry.address}/nothing:1". '
        "Choose another image, and tell an administrator: the catalog names one that is not there."
    )


async def test_a_registry_that_asks_for_a_password(subject: DockerSubject, tmp_path: Path) -> None:
    with running_registry(tmp_path, closed=True) as registry:
        words = await refused(subject, f"{registry.address}/notebook:1")
    assert words == (
        f'The registry does not give out "{registry.address}/notebook:1" without a login. '
        "Choose another image, and tell an administrator, who can log the engine in."
    )


async def test_a_registry_that_is_not_there(subject: DockerSubject, tmp_path: Path) -> None:
    with running_registry(tmp_path) as registry:
        gone = registry.address
    words = await refused(subject, f"{gone}/notebook:1")
    assert words == (
        f'The registry of "{gone}/notebook:1" cannot be reached. '
        "Try again in some minutes, or choose another image; if it stays so, tell an administrator."
    )


async def test_what_is_no_image_name(subject: DockerSubject) -> None:
    words = await refused(subject, "Not/An:Image:Name")
    assert words == (
        '"Not/An:Image:Name" is no name of an image. '
        "Choose another one, and tell an administrator to correct the catalog."
    )
