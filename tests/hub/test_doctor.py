"""`stateroom doctor` beside a hub that runs, and beside what an admin may meet."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.command import Outcome, run
from harness.hub import Hub
from stateroom.operations.local.data import DataFolder
from stateroom.workloads.names import network_name


def doctor(data: Path) -> Outcome:
    return run("doctor", "--data", data)


def line(outcome: Outcome, name: str) -> str:
    """The line of a check; there is one for each verdict and name."""
    lines = [line for line in outcome.out.splitlines() if line[5:].startswith(name)]
    assert lines, outcome
    return lines[-1]


@contextmanager
def other_settings(hub: Hub, folder: Path, **changes: object) -> Iterator[Path]:
    """A data folder like the running hub's, held as by `up`, whose settings say something else."""
    shutil.copytree(hub.data, folder, ignore=shutil.ignore_patterns("*.lock", "programs", "log", "*.sock"))
    data = DataFolder(folder)
    settings = data.known_settings()
    fields = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    data.keep(type(settings)(**{**fields, **changes}))
    with data.held():
        yield folder


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """A port that is taken and does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        server.close()
        yield port


def test_a_hub_that_runs_is_well(hub: Hub) -> None:
    outcome = doctor(hub.data).assert_success()
    assert "FAIL" not in outcome.out, outcome
    for name in ("Engine", "Limits", "Image", "Network", "Hub ", "Proxy", "Reach"):
        assert line(outcome, name).startswith("ok   "), outcome
    assert hub.id in line(outcome, "Hub's id")
    assert "a server reaches the hub" in line(outcome, "Reach")
    assert not hub.servers.engine.containers.list(all=True, filters={"label": f"io.stateroom.helper={hub.id}"})


def test_a_hub_that_servers_cannot_reach_fails(hub: Hub, tmp_path: Path, deaf_port: int) -> None:
    with other_settings(hub, tmp_path / "data", hub_port=deaf_port) as data:
        outcome = doctor(data)
    assert outcome.status == 1
    assert line(outcome, "Hub ").startswith("FAIL")
    assert line(outcome, "Reach").startswith("FAIL")
    assert "firewall" in line(outcome, "Reach")
    assert line(outcome, "Proxy").startswith("ok")


def test_a_proxy_that_is_gone_fails(hub: Hub, tmp_path: Path, deaf_port: int) -> None:
    with other_settings(hub, tmp_path / "data", port=deaf_port) as data:
        outcome = doctor(data)
    assert outcome.status == 1
    assert line(outcome, "Proxy").startswith("FAIL")
    assert line(outcome, "Hub ").startswith("ok")


def test_a_hub_that_is_down_is_no_failure(hub: Hub, tmp_path: Path) -> None:
    with other_settings(hub, tmp_path / "data") as data:
        pass
    outcome = doctor(data).assert_success()
    assert "stateroom up --data" in line(outcome, "Hub ")
    assert "not looked at: the hub does not run" in line(outcome, "Reach")


def test_a_network_on_which_servers_reach_each_other_is_told(hub: Hub, tmp_path: Path) -> None:
    engine = hub.servers.engine
    open_hub = f"{hub.id}-open"
    network = engine.networks.create(network_name(open_hub), driver="bridge")
    try:
        catalog = tmp_path / "catalog.yaml"
        catalog.write_text(hub.catalog.read_text().replace(f"hub: {hub.id}", f"hub: {open_hub}"))
        with other_settings(hub, tmp_path / "data", hub_id=open_hub, catalog=str(catalog)) as data:
            outcome = doctor(data)
        assert line(outcome, "Network").startswith("warn")
        assert "can reach each other" in line(outcome, "Network")
    finally:
        network.remove()


def test_a_catalog_that_does_not_hold_fails_and_the_rest_is_looked_at(hub: Hub, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 1\nimages: []\nsizs: []\n")
    with other_settings(hub, tmp_path / "data", catalog=str(broken)) as data:
        outcome = doctor(data)
    assert outcome.status == 1
    assert "broken.yaml" in line(outcome, "Catalog")
    assert "more faults)" in line(outcome, "Catalog")
    assert line(outcome, "Engine").startswith("ok")
    assert "no catalog that holds" in line(outcome, "Image")
