"""The images of a cluster's hub and proxy as they are, and how they come to an engine, a registry or a node."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
import requests

from harness.command import run
from harness.hub import wait_for
from harness.images import engine_with
from harness.registry import running_registry
from stateroom.images.sources import HUB_IMAGE, PROXY_IMAGE, UNIFIED, hub, proxy, unified

CATALOG = Path(__file__).parents[2] / "config" / "catalog.yaml"
# As a cluster runs them under the `restricted` Pod Security Standard, and with a root that nothing is written to.
HARDENED = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "read_only": True, "tmpfs": {"/tmp": ""}}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker.DockerClient]:
    """An engine that has these images, and the one of notebooks, of these files."""
    with engine_with(tmp_path_factory.mktemp("images") / "build.log", unified(), hub(), proxy()) as engine:
        yield engine


def hub_says(engine: docker.DockerClient, *command: str) -> str:
    output: bytes = engine.containers.run(HUB_IMAGE, list(command), remove=True, network_mode="none", **HARDENED)
    return output.decode().strip()


def test_the_hub_is_a_jupyterhub_with_this_stateroom(engine: docker.DockerClient) -> None:
    assert hub_says(engine, "jupyterhub", "--version").startswith("6.")
    assert hub_says(engine, "stateroom", "--version") == run("--version").assert_success().out.strip()
    assert hub_says(engine, "id", "-u") == "1000"


def test_the_hub_has_the_usual_ways_to_log_in_and_a_driver_for_its_database(engine: docker.DockerClient) -> None:
    program = (
        "from importlib.metadata import entry_points as found; import psycopg\n"
        "for name in ('github', 'generic-oauth', 'ldap', 'native'):\n"
        "    (one,) = found(group='jupyterhub.authenticators', name=name); one.load()\n"
        "(one,) = found(group='jupyterhub.spawners', name='stateroom'); print(one.load().__name__)"
    )
    assert hub_says(engine, "python", "-c", program) == "StateroomSpawner"


def test_the_hub_checks_a_catalog(engine: docker.DockerClient, tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text(CATALOG.read_text())
    tmp_path.chmod(0o755)
    volumes = {str(tmp_path): {"bind": "/etc/stateroom/catalog", "mode": "ro"}}
    command = ["stateroom", "check", "/etc/stateroom/catalog/catalog.yaml"]
    output = engine.containers.run(HUB_IMAGE, command, remove=True, network_mode="none", volumes=volumes, **HARDENED)
    assert b"catalog.yaml" in output


def test_the_proxy_takes_routes_from_whoever_has_its_secret(engine: docker.DockerClient) -> None:
    command = ["--ip=0.0.0.0", "--port=8000", "--api-ip=0.0.0.0", "--api-port=8001", "--no-include-prefix"]
    container = engine.containers.run(
        PROXY_IMAGE, command, detach=True, environment={"CONFIGPROXY_AUTH_TOKEN": "open-sesame"}, **HARDENED
    )
    try:
        container.reload()
        (network,) = container.attrs["NetworkSettings"]["Networks"].values()
        api = f"http://{network['IPAddress']}:8001/api/routes"
        wait_for(lambda: answers(api), "the proxy")
        assert requests.get(api, timeout=5).status_code == 403
        assert requests.get(api, headers={"Authorization": "token open-sesame"}, timeout=5).json() == {}
        assert container.exec_run(["id", "-u"]).output.strip() == b"1000"
    finally:
        container.remove(force=True)


def answers(address: str) -> bool:
    try:
        return bool(requests.get(address, timeout=5).status_code)
    except requests.ConnectionError:
        return False


@pytest.mark.parametrize("image", [HUB_IMAGE, PROXY_IMAGE])
def test_an_image_holds_nothing_of_its_build(engine: docker.DockerClient, image: str) -> None:
    container = engine.containers.create(image)
    try:
        with io.BytesIO(b"".join(container.export())) as content, tarfile.open(fileobj=content) as files:
            names = set(files.getnames())
    finally:
        container.remove()
    assert not {name for name in names if name.endswith("ca.crt")}
    assert not any("pip/_internal" in name or name.startswith("node/") for name in names)


def test_an_unchanged_build_builds_nothing_and_tells_sizes_and_parts(engine: docker.DockerClient) -> None:
    before = {name: engine.images.get(name).id for name in (UNIFIED, HUB_IMAGE, PROXY_IMAGE)}
    told = run("images", "build").assert_success().out
    assert {name: engine.images.get(name).id for name in before} == before
    parts = re.split(r"^(\S+) is up to date: [\d.]+ [MG]B\n", told, flags=re.MULTILINE)
    assert parts[1::2] == list(before)
    for part in parts[2::2]:
        assert re.search(r"^ +\d+ MB  the base image$", part, flags=re.MULTILINE), told
        assert re.search(r"^ +[\d.]+ [MG]B  COPY to /opt/\w+$", part, flags=re.MULTILINE), told


def test_images_come_to_a_registry(engine: docker.DockerClient, tmp_path: Path) -> None:
    with running_registry(tmp_path) as registry:
        told = run("images", "push", f"{registry.address}/notebooks", "proxy").assert_success().out
        name = f"{registry.address}/notebooks/{PROXY_IMAGE}"
        assert f"{name} is in the registry." in told
        repository, _, tag = PROXY_IMAGE.partition(":")
        listed = requests.get(f"http://{registry.address}/v2/notebooks/{repository}/tags/list", timeout=5)
        assert listed.json()["tags"] == [tag]
        engine.images.remove(name)


@pytest.mark.usefixtures("engine")
def test_images_come_to_a_node_without_a_registry(tmp_path: Path) -> None:
    taken = tmp_path / "taken.tar"
    assert f"{PROXY_IMAGE} is loaded." in run("images", "load", "--with", f"tee {taken}", "proxy").assert_success().out
    with tarfile.open(taken) as files:
        assert "manifest.json" in files.getnames()
