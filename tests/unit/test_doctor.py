"""What `stateroom doctor` makes of what it sees, with an engine that is made up."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from docker.errors import APIError, ImageNotFound, NotFound

from harness.command import run
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.common.labels import HELPER
from stateroom.common.quantity import GiB, MiB
from stateroom.images.sources import UNIFIED
from stateroom.operations.checks import installation as checks
from stateroom.operations.checks.findings import Finding, Verdict, data_disk_finding, ok, orphans_finding
from stateroom.operations.checks.installation import (
    DATA_FOLDER_CHECKS,
    Check,
    Installation,
    inspect_installation,
    run_check,
)
from stateroom.operations.docker import checks as docker_checks
from stateroom.operations.docker import platform as docker_place
from stateroom.operations.docker.findings import (
    engine_finding,
    image_disk_finding,
    limits_finding,
    machine_finding,
    network_finding,
    processes_finding,
    restart_finding,
)
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.workloads.names import network_name

DOCKER: dict[str, Any] = {"Version": "24.0.7", "ApiVersion": "1.43", "Components": [{"Name": "Engine"}]}
PODMAN = {**DOCKER, "Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}
INFO: dict[str, Any] = {
    "NCPU": 2,
    "MemTotal": 4 * GiB,
    "MemoryLimit": True,
    "SwapLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
    "CgroupVersion": "2",
    "CgroupDriver": "systemd",
    "LiveRestoreEnabled": True,
    "DockerRootDir": "/var/lib/none-of-that",
}
NETWORK: dict[str, Any] = {
    "IPAM": {"Config": [{"Gateway": "127.0.0.1"}]},
    "Options": {"com.docker.network.bridge.enable_icc": "false"},
}
CATALOG = f"""
version: 1
hub: hub
images:
  - {{id: unified, image: "{UNIFIED}", default: true}}
  - {{id: other, image: other}}
sizes:
  - {{id: small, cpu: 1, memory: 1 GiB, default: true}}
  - {{id: large, cpu: 1, memory: 8 GiB}}
"""


def catalog(text: str = CATALOG) -> Catalog:
    return parse_catalog(text)


class Engine:
    """An engine that answers what it is told to."""

    timeout = 0

    def __init__(self) -> None:
        self.facts: dict[str, Any] = dict(INFO)
        self.images: dict[str, dict[str, Any]] = {}
        self.made: list[Mapping[str, Any]] = []
        self.trouble: Exception | None = None

    def version(self) -> dict[str, Any]:
        if self.trouble:
            raise self.trouble
        return DOCKER

    def info(self) -> dict[str, Any]:
        if self.trouble:
            raise self.trouble
        return self.facts

    def networks(self, **_: object) -> list[dict[str, Any]]:
        return []

    def inspect_network(self, name: str) -> dict[str, Any]:
        if name != network_name("hub"):
            raise NotFound(name)
        return NETWORK

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference not in self.images:
            raise ImageNotFound(reference)
        return {"Id": reference, "Config": self.images[reference]}

    def create_container_from_config(self, payload: Mapping[str, Any]) -> dict[str, str]:
        self.made.append(payload)
        return {"Id": "made"}

    def containers(self, **_: object) -> list[dict[str, Any]]:
        return []

    def get_archive(self, _container: str, _path: str) -> tuple[Iterator[bytes], None]:
        with io.BytesIO() as buffer:
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                archive.addfile(tarfile.TarInfo("passwd"), io.BytesIO())
            return iter([buffer.getvalue()]), None

    def remove_container(self, *_: object, **__: object) -> None:
        self.made.pop()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """A hub that does not run."""
    return Installation(DataFolder(tmp_path), None, False, catalog(), "", "hub")


def all_checks(engine: Engine | None, problem: str = "") -> tuple[Check, ...]:
    return (*DATA_FOLDER_CHECKS, *docker_checks.checks(engine, problem))  # type: ignore[arg-type]


def look(name: str, engine: Engine | None, installation: Installation) -> list[Finding]:
    [check] = [check for check in all_checks(engine) if check.name == name]
    return run_check(check, installation)


def verdict(finding: Finding) -> str:
    """The verdict, and that a remedy is there exactly where it is needed."""
    assert bool(finding.remedy) is (finding.verdict in (Verdict.WARN, Verdict.FAIL)), finding
    return finding.verdict.value


class TestFindings:
    def test_podman_is_told_as_such(self) -> None:
        assert engine_finding(DOCKER).fact == "Docker 24.0.7, API 1.43"
        assert engine_finding(PODMAN).fact == "Podman 4.3.1, API 1.41"

    @pytest.mark.parametrize(("version", "wanted"), [("1.40", "ok"), ("1.9", "warn"), ("", "warn"), ("x.y", "warn")])
    def test_an_old_engine_is_told(self, version: str, wanted: str) -> None:
        assert verdict(engine_finding({**DOCKER, "ApiVersion": version})) == wanted

    @pytest.mark.parametrize(("memory", "wanted"), [(8 * GiB, "ok"), (4 * GiB, "warn"), (512 * MiB, "fail")])
    def test_sizes_beyond_the_machine_are_told(self, memory: int, wanted: str) -> None:
        finding = machine_finding({**INFO, "MemTotal": memory}, catalog())
        assert verdict(finding).lower() == wanted
        assert ('"large" (8 GiB)' in finding.fact) is (wanted != "ok")

    @pytest.mark.parametrize(
        ("changes", "wanted", "part"),
        [
            ({}, "ok", "cgroup version 2, driver systemd"),
            ({"CgroupVersion": "1", "CgroupDriver": "cgroupfs"}, "ok", "cgroup version 1, driver cgroupfs"),
            ({"CgroupDriver": "none"}, "FAIL", "any limit"),
            ({"MemoryLimit": False, "PidsLimit": False}, "FAIL", "memory and processes"),
            ({"CpuCfsQuota": False}, "FAIL", "CPU"),
            ({"SwapLimit": False}, "warn", "swap is not limited"),
        ],
    )
    def test_limits_that_the_kernel_does_not_keep_are_told(
        self, changes: dict[str, Any], wanted: str, part: str
    ) -> None:
        finding = limits_finding({**INFO, **changes})
        assert (verdict(finding), part in finding.fact) == (wanted, True), finding

    def test_an_engine_whose_restart_ends_servers_is_told(self) -> None:
        assert verdict(restart_finding(INFO, DOCKER)) == "ok"
        off = restart_finding({**INFO, "LiveRestoreEnabled": False}, DOCKER)
        assert verdict(off) == "warn"
        assert '"live-restore": true' in off.remedy
        assert verdict(restart_finding({}, PODMAN)) == "ok"

    @pytest.mark.parametrize(("most", "wanted"), [(32_768, "warn"), (4_194_304, "ok")])
    def test_servers_that_could_take_all_processes_of_the_machine_are_told(self, most: int, wanted: str) -> None:
        finding = processes_finding(most, 4096)
        assert verdict(finding) == wanted
        assert f"{most} processes" in finding.fact
        assert ("kernel.pid_max" in finding.remedy) == (wanted == "warn")

    @pytest.mark.parametrize(
        ("found", "ours", "running", "wanted", "part"),
        [
            (NETWORK, True, True, "ok", "at 127.0.0.1"),
            (None, True, False, "ok", "is made by the next"),
            (None, True, True, "FAIL", "no server can start"),
            (None, False, False, "ok", "is made by the next"),
            ({**NETWORK, "Options": {}}, True, True, "warn", "can reach each other"),
            ({**NETWORK, "Options": None}, False, True, "warn", "can reach each other"),
            ({**NETWORK, "IPAM": {"Config": None}}, True, True, "FAIL", "no gateway"),
        ],
    )
    def test_the_network(self, found: dict[str, Any] | None, ours: bool, running: bool, wanted: str, part: str) -> None:
        finding = network_finding("net", found, ours=ours, running=running)
        assert (verdict(finding), part in finding.fact) == (wanted, True), finding

    @pytest.mark.parametrize(("free", "wanted"), [(9 * GiB, "ok"), (2 * GiB, "warn"), (GiB // 2, "FAIL")])
    def test_room_for_images(self, free: int, wanted: str) -> None:
        assert verdict(image_disk_finding(free, "/x")) == wanted

    @pytest.mark.parametrize(("free", "wanted"), [(GiB, "ok"), (100 * MiB, "warn"), (MiB, "FAIL")])
    def test_room_for_data(self, free: int, wanted: str) -> None:
        assert verdict(data_disk_finding(free, "/x")) == wanted

    def test_orphans_are_counted(self) -> None:
        assert verdict(orphans_finding([])) == "ok"
        assert orphans_finding(["server", "image", "server"]).fact == "2 servers and 1 image that nobody uses"


class TestImages:
    def test_each_image_of_the_catalog_has_a_line(self, engine: Engine, installation: Installation) -> None:
        engine.images["other"] = {"User": "1000", "Cmd": ["x"], "Env": ["HOME=/home/x"]}
        unified, other = look("Image", engine, installation)
        assert (verdict(unified), "stateroom images build" in unified.remedy) == ("FAIL", True)
        assert (verdict(other), other.fact) == ("ok", "other is there, and runs as user 1000")
        assert not engine.made

    def test_one_that_is_pulled_later_is_no_failure(self, engine: Engine, installation: Installation) -> None:
        assert verdict(look("Image", engine, installation)[1]) == "warn"

    @pytest.mark.parametrize("user", ["0", "root", ""])
    def test_one_that_runs_as_root_fails(self, engine: Engine, installation: Installation, user: str) -> None:
        engine.images["other"] = {"User": user, "Cmd": ["x"], "Env": ["HOME=/home/x"]}
        assert verdict(look("Image", engine, installation)[1]) == "FAIL"

    def test_one_of_another_version_is_told(self, engine: Engine, installation: Installation) -> None:
        engine.images[UNIFIED] = {"User": "1000", "Cmd": ["x"], "Env": ["HOME=/home/x"]}
        finding = look("Image", engine, installation)[0]
        assert (verdict(finding), "another version" in finding.fact) == ("warn", True)

    def test_very_many_do_not_take_for_ever(
        self, engine: Engine, installation: Installation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(docker_checks, "_IMAGE_SECONDS", -1.0)
        [finding] = look("Image", engine, installation)
        assert (finding.verdict, "2 more" in finding.fact) == (Verdict.SKIPPED, True)

    def test_the_helper_that_looks_into_one_can_be_found_again(
        self, engine: Engine, installation: Installation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine.images["other"] = {"User": "1000", "Cmd": ["x"], "Env": ["HOME=/home/x"]}
        monkeypatch.setattr(Engine, "remove_container", lambda *_, **__: None)
        look("Image", engine, installation)
        assert engine.made[0]["Labels"] == {HELPER: "hub"}


class TestTrouble:
    def test_without_an_engine_the_rest_is_looked_at(self, installation: Installation) -> None:
        lines = {check.name: run_check(check, installation) for check in all_checks(None)}
        assert verdict(lines["Engine"][0]) == "FAIL"
        assert verdict(lines["Catalog"][0]) == verdict(lines["Hub's id"][0]) == "ok"
        for name in (
            "Machine",
            "Limits",
            "Processes",
            "Restarts",
            "Disk",
            "Image",
            "Network",
            "Isolation",
            "Reach",
            "Orphans",
        ):
            assert [finding.verdict for finding in lines[name]] == [Verdict.SKIPPED]

    @pytest.mark.parametrize(
        "trouble",
        [
            requests.exceptions.ReadTimeout("read timed out"),
            APIError("500", requests.Response(), "server error\nsecond line"),
            ValueError("nobody\nexpected this"),
        ],
    )
    def test_a_check_that_goes_wrong_is_a_line(
        self, engine: Engine, installation: Installation, trouble: Exception
    ) -> None:
        engine.trouble = trouble
        for name in ("Engine", "Machine", "Limits", "Restarts"):
            [finding] = look(name, engine, installation)
            assert verdict(finding) == "FAIL"
            assert "\n" not in finding.fact

    def test_a_check_that_hangs_is_a_line(self, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(checks, "_SECONDS", 0.01)
        end = threading.Event()

        def hang(_: Installation) -> Iterator[Finding]:
            end.wait(30)
            yield ok("never")

        [finding] = run_check(Check("Hung", hang), installation)
        end.set()
        assert (verdict(finding), "no answer within" in finding.fact) == ("FAIL", True)

    def test_a_gateway_that_is_not_on_this_machine_fails(self, engine: Engine, installation: Installation) -> None:
        elsewhere = {**NETWORK, "IPAM": {"Config": [{"Gateway": "192.0.2.1"}]}}
        engine.inspect_network = lambda _: elsewhere  # type: ignore[method-assign]
        assert [verdict(finding) for finding in look("Network", engine, installation)] == ["ok", "FAIL"]

    def test_another_id_in_the_catalog_is_told(self, installation: Installation) -> None:
        last = {"hub_id": "old", "backend": "docker", "catalog": "x", "homes": "", "port": 1}
        settings = Settings(**last, hub_port=2, proxy_port=3, proxy_command=())  # type: ignore[arg-type]
        [finding] = look("Hub's id", None, replace(installation, settings=settings, hub_id="old"))
        assert verdict(finding) == "warn"


class TestCommand:
    @pytest.fixture
    def answering(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
        monkeypatch.setattr(docker_place, "answering", lambda: engine)
        return engine

    def test_it_changes_nothing(self, answering: Engine, tmp_path: Path) -> None:
        outcome = run("doctor", "--data", tmp_path / "none").assert_success()
        assert len(outcome.out.splitlines()) == len(all_checks(None))
        assert not (tmp_path / "none").exists()
        assert not answering.made

    def test_a_failure_is_its_exit_status(self, answering: Engine, tmp_path: Path) -> None:
        answering.facts["CgroupDriver"] = "none"
        assert run("doctor", "--data", tmp_path).status == 1

    def test_an_engine_of_no_use_is_told_in_its_own_words(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DOCKER_HOST", "nonsense://")
        outcome = run("doctor", "--data", tmp_path)
        assert outcome.status == 1
        assert "FAIL Engine    Docker at nonsense://" in outcome.out

    @pytest.mark.usefixtures("answering")
    def test_damaged_settings_are_told(self, tmp_path: Path) -> None:
        (tmp_path / "settings.json").write_text("{")
        outcome = run("doctor", "--data", tmp_path)
        assert "settings.json is damaged" in outcome.out

    @pytest.mark.usefixtures("answering")
    def test_every_line_reads_without_colour(self, tmp_path: Path) -> None:
        out = run("doctor", "--data", tmp_path).out
        assert {line.split()[0] for line in out.splitlines()} <= {"ok", "warn", "FAIL", "-"}
        assert "\x1b" not in out


def test_an_installation_is_read_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "hub-id").write_text("kept\n")
    (tmp_path / "catalog.yaml").write_text("version: 1\n")
    installation = inspect_installation(DataFolder(tmp_path))
    assert (installation.hub_id, installation.catalog) == ("kept", None)
    assert "catalog.yaml" in installation.catalog_problem
