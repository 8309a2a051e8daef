"""Operations without a command line: they report, and print nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stateroom.common.errors import SetupError
from stateroom.operations import up
from stateroom.operations.accounts import AccountStore
from stateroom.operations.catalog_check import check_files
from stateroom.operations.doctor import run_checks
from stateroom.operations.down import take_down
from stateroom.operations.local.accounts import make_first_accounts
from stateroom.operations.local.address import Address
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.hub import clear_way
from stateroom.operations.report import BuildStep, Report, Step

CATALOG = Path(__file__).parents[2] / "config" / "catalog.yaml"


class Page:
    """A report as a page of the hub would keep it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    @contextmanager
    def step(self, name: str, _doing: str) -> Iterator[Step]:
        step = Step()
        yield step
        self.line(name, step.result)

    def line(self, name: str, text: str) -> None:
        self.lines.append((name, text))

    def more(self, text: str) -> None:
        self.lines.append(("", text))

    @contextmanager
    def image_build(self) -> Iterator[Callable[[BuildStep], None]]:
        yield lambda _: None

    @contextmanager
    def share(self, _doing: str) -> Iterator[Callable[[float], None]]:
        yield lambda _: None


@pytest.fixture(autouse=True)
def nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    assert capfd.readouterr() == ("", "")


def test_a_hub_that_does_not_run_is_taken_down(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Empty:
        def take_down(self, settings: Settings, _data: DataFolder, report: Report) -> None:
            report.line("Servers", f"none of {settings.hub_id} were running")

    monkeypatch.setattr("stateroom.operations.down.platform_for", lambda _: Empty())
    folder.keep(Settings("hub", "docker", str(CATALOG), "", 8000, 1, 2, ("node",)))
    take_down(folder, page := Page())
    assert page.lines == [("Hub", "was not running"), ("Servers", "none of hub were running")]


def test_a_hub_is_prepared_with_what_the_platform_adds(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ready:
        def prepare(self, settings: Settings, _catalog: object, data: DataFolder, report: Report) -> Settings:
            report.line("Docker", "engine found")
            data.keep(settings)
            return settings

    monkeypatch.setattr(up, "install_proxy", lambda *_: ("node", "proxy"))
    monkeypatch.setattr(up, "platform_for", lambda _: Ready())
    settings = up.prepare(up.HubOptions(Address(18999)), folder, page := Page())
    assert (settings.port, settings.proxy_command, settings.backend) == (18999, ("node", "proxy"), "docker")
    assert page.lines == [("Catalog", str(folder.catalog)), ("Docker", "engine found")]


def test_a_taken_port_is_refused_before_anything_is_prepared(folder: DataFolder) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(SetupError, match="Choose another with --port"),
    ):
        clear_way(Address(server.getsockname()[1]), folder, Page())


def test_first_accounts_are_stored_only_when_their_passwords_were_handed_over(folder: DataFolder) -> None:
    store = AccountStore(folder.accounts)

    def refuse(_: object) -> None:
        raise SetupError("The disk is full.")

    with pytest.raises(SetupError):
        make_first_accounts(store, refuse)
    assert not folder.accounts.exists()


def test_a_check_of_the_catalog_is_a_result(tmp_path: Path) -> None:
    assert check_files(CATALOG, None).summary == f"{CATALOG} holds: 1 image and 3 sizes."
    broken = tmp_path / "catalog.yaml"
    broken.write_text("version: 1\n")
    checked = check_files(broken, None)
    assert (checked.summary, [fault.where for fault in checked.faults]) == ("", ["images", "sizes"])


def test_findings_come_by_the_name_of_their_check(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    found = dict(run_checks(folder, "docker"))
    assert found["Hub's id"].fact.startswith("none yet")
    assert found["Engine"].verdict == "FAIL"
