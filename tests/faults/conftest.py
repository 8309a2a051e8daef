"""One engine and one hub for the whole tier; each test is a trial, and they are counted at the end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.engine_proxy import EngineProxy
from harness.hub import Hub, Person
from harness.own_engine import OwnEngine, own_network
from stateroom.cli.screen import Screen
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.proxy import install_proxy

from .scene import CATALOG, IMAGE, Scene

_DISK_BYTES = 300 * 1024**2


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if os.geteuid() != 0:
        pytest.skip("only root may run an engine of the test's own")
    folder = tmp_path_factory.mktemp("faults")
    engine, hub = OwnEngine(folder), hub_with_its_proxy(folder / "hub")
    with own_network(), small_disk(folder / "disk", engine.root), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine.host)
        try:
            engine.start()
            engine.load_server_image(IMAGE)
            yield from running_scene(Scene(engine, EngineProxy(folder / "proxy.sock", engine.host), hub))
        finally:
            engine.end()


def hub_with_its_proxy(data: Path) -> Hub:
    """Made while there is a way out, since `up` fetches the proxy."""
    data.mkdir()
    folder = DataFolder(data)
    folder.make()
    install_proxy(folder, Screen())
    hub = Hub(data)
    hub.catalog.write_text(f"hub: {hub.id}\n{CATALOG}")
    return hub


def running_scene(scene: Scene) -> Iterator[Scene]:
    try:
        scene.up()
        yield scene
    finally:
        scene.hub.down()
        scene.proxy.close()


@contextmanager
def small_disk(file: Path, mount: Path) -> Iterator[None]:
    """A disk that is quickly full."""
    with file.open("wb") as disk:
        disk.truncate(_DISK_BYTES)
    mount.mkdir()
    subprocess.run(["mkfs.ext4", "-q", file], check=True, timeout=120)
    subprocess.run(["mount", "-o", "loop", file, mount], check=True, timeout=120)
    try:
        yield
    finally:
        subprocess.run(["umount", "--recursive", mount], check=True, timeout=120)


@pytest.fixture
def bystander(scene: Scene) -> Person:
    """Somebody whose server runs, and shall run on."""
    return scene.bystander()


@pytest.fixture
def victim(scene: Scene) -> Iterator[Person]:
    """Somebody new, whom the fault meets, while the bystander's server runs."""
    scene.bystander()
    person = scene.person()
    assert person.web
    yield person
    scene.repair()
    if person.active():
        person.stop()
    person.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The count that a reader of the log looks for."""
    reports = {outcome: terminalreporter.getreports(outcome) for outcome in ("passed", "failed", "error")}
    trials = {report.nodeid for reports_ in reports.values() for report in reports_ if "tests/faults/" in report.nodeid}
    failures = {report.nodeid for outcome in ("failed", "error") for report in reports[outcome]} & trials
    terminalreporter.write_line(f"faults: {len(trials)} trials, {len(failures)} failures")
