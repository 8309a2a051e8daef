"""Where the base of our images comes from: a registry that answers, else mmdebstrap."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from harness.hub import free_port
from harness.own_engine import OwnEngine, own_network, smallest_server
from harness.registry import running_registry
from stateroom.images.build import build
from stateroom.images.sources import Recipe

REGISTRYS, OWN = "debian:trixie-slim", "stateroom/base:trixie"
RECIPE = Recipe(
    "probe", "probe", "stateroom.test/probe:1", "nothing", {"Dockerfile": b"ARG BASE\nFROM ${BASE}\nRUN id > /made\n"}
)
# Stands for the real one, which the build of every other image here runs, and which needs Debian's mirrors.
MMDEBSTRAP = """\
#!/bin/sh -e
for word; do case $word in *.tar) cp {base} "$word";; esac; done
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[docker.APIClient]:
    """An engine without any image, whose default registry is at `mirror(engine)` if anything is."""
    if os.geteuid() != 0:
        pytest.skip("only root may run an engine of the test's own")
    (tmp_path / "base.tar").write_bytes(smallest_server(ballast=100))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "mmdebstrap").write_text(MMDEBSTRAP.format(base=tmp_path / "base.tar"))
    (programs / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    with own_network():
        own = OwnEngine(tmp_path, mirror=f"127.0.0.1:{free_port()}", builds=True)
        try:
            own.start()
            with own.client() as client:
                yield client
        finally:
            own.end()


def mirror(engine: docker.APIClient) -> str:
    (address,) = engine.info()["RegistryConfig"]["Mirrors"]
    return str(address).removeprefix("http://").rstrip("/")


def publish_base(engine: docker.APIClient) -> None:
    """Put a base into the registry, and keep no copy."""
    name = f"{mirror(engine)}/library/{REGISTRYS}"
    repository, _, tag = name.rpartition(":")
    engine.import_image_from_data(smallest_server(ballast=100), repository, tag)
    said = list(engine.push(repository, tag=tag, stream=True, decode=True))
    assert not [line for line in said if "error" in line], said
    engine.remove_image(name)


def names(engine: docker.APIClient) -> set[str]:
    return {tag for image in engine.images() for tag in image["RepoTags"] or ()}


def lowest_layer(engine: docker.APIClient, name: str) -> str:
    return str(engine.inspect_image(name)["RootFS"]["Layers"][0])


def test_the_base_is_the_registrys_where_one_answers(engine: docker.APIClient, tmp_path: Path) -> None:
    port = int(mirror(engine).rpartition(":")[2])
    with running_registry(tmp_path, port=port) as registry:
        publish_base(engine)
        assert build(engine, RECIPE, lambda _: None, tmp_path / "build.log")
        assert registry.requests("HEAD", f"/v2/library/{REGISTRYS.replace(':', '/manifests/')}") != []
    assert names(engine) == {REGISTRYS, RECIPE.reference}
    assert lowest_layer(engine, RECIPE.reference) == lowest_layer(engine, REGISTRYS)
    # What is there needs no registry, and a build that is asked for anew does without one that has gone.
    assert not build(engine, RECIPE, lambda _: None, tmp_path / "build.log")
    assert build(engine, RECIPE, lambda _: None, tmp_path / "build.log", rebuild=True)
    assert lowest_layer(engine, RECIPE.reference) == lowest_layer(engine, OWN)


def test_the_base_is_mmdebstraps_where_no_registry_answers(engine: docker.APIClient, tmp_path: Path) -> None:
    told: list[str] = []
    assert build(engine, RECIPE, lambda step: told.append(step.title), tmp_path / "build.log")
    assert f"Asking the registry for {REGISTRYS}" in told
    assert "No registry answers; making a Debian base with mmdebstrap" in told
    assert names(engine) == {OWN, RECIPE.reference}
    assert lowest_layer(engine, RECIPE.reference) == lowest_layer(engine, OWN)


def test_a_registry_that_lacks_the_base_is_as_good_as_none(engine: docker.APIClient, tmp_path: Path) -> None:
    port = int(mirror(engine).rpartition(":")[2])
    with running_registry(tmp_path, port=port) as registry:
        assert build(engine, RECIPE, lambda _: None, tmp_path / "build.log")
        assert registry.requests("GET", "/v2/") != []
    assert names(engine) == {OWN, RECIPE.reference}
