"""The commands, without an engine and without a hub."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator

import stateroom
from harness.command import run
from stateroom.cli import up
from stateroom.images.sources import UNIFIED
from stateroom.operations import accounts
from stateroom.operations import up as prepare_up
from stateroom.operations.accounts import AccountStore
from stateroom.operations.local.catalog_file import shipped_catalog
from stateroom.operations.local.data import DataFolder, Settings

PASSWORD = "correct horse battery"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_hasher", accounts.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def settings(**changes: object) -> Settings:
    usual = {"hub_id": "hub", "backend": "docker", "catalog": "/c.yaml", "homes": "", "port": 8123}
    return Settings(**{**usual, "hub_port": 1, "proxy_port": 2, "proxy_command": ("node", "x"), **changes})  # type: ignore[arg-type]


class TestHelp:
    def test_each_command_has_a_line(self) -> None:
        out = run("--help").assert_success().out
        for command in ("up", "down", "user", "check", "images", "doctor", "gc", "homes"):
            assert re.search(rf"^    {command} +\w", out, re.MULTILINE), out

    @pytest.mark.parametrize(
        "words",
        [
            ["up"],
            ["user", "add"],
            ["homes", "assign"],
            *([name] for name in ("down", "user", "check", "images", "doctor", "gc", "homes")),
        ],
    )
    def test_each_command_explains_itself(self, words: list[str]) -> None:
        assert "usage: stateroom" in run(*words, "--help").assert_success().out

    def test_version(self) -> None:
        assert run("--version").assert_success().out == f"stateroom {stateroom.__version__}\n"

    def test_no_command_is_an_error(self) -> None:
        run().assert_failure("COMMAND")


class TestCheck:
    def test_a_catalog_that_holds(self) -> None:
        assert "1 image and 3 sizes" in run("check", ROOT / "config" / "catalog.yaml").assert_success().out

    def test_every_fault_has_a_line(self, tmp_path: Path) -> None:
        file = tmp_path / "catalog.yaml"
        file.write_text("version: 1\nimages: [{id: a, image: b, default: true}]\nsizes:\n  - {id: s, cpu: x}\n")
        outcome = run("check", file).assert_failure("catalog.yaml:4:", "sizes[0].cpu", "sizes[0].memory: is missing")
        assert outcome.status == 1
        assert outcome.out == ""

    def test_the_catalogs_own_words_for_pods_are_checked_too(self, tmp_path: Path) -> None:
        file = tmp_path / "catalog.yaml"
        head = (ROOT / "config" / "catalog.yaml").read_text().rstrip()
        line = head.count("\n") + 4
        words = "\nkubernetes:\n  pod:\n    spec:\n      hostNetwrok: true\n"
        file.write_text(f"{head}{words}")
        place = f"catalog.yaml:{line + 1}:7: kubernetes.pod.spec.hostNetwrok"
        run("check", file).assert_failure(f"{place}: is no field of a pod")
        file.write_text(f"{head}{words}".replace("hostNetwrok", "hostNetwork"))
        run("check", file).assert_success()

    def test_no_such_file(self, tmp_path: Path) -> None:
        run("check", tmp_path / "none.yaml").assert_failure("none.yaml", "No such file")

    def test_faults_as_json(self, tmp_path: Path) -> None:
        file = tmp_path / "catalog.yaml"
        file.write_text("version: 1\nimages: [{id: a, image: b, default: true}]\nsizs: []\n")
        outcome = run("check", file, "--json")
        assert (outcome.status, outcome.err) == (1, "")
        told = json.loads(outcome.out)
        assert told["holds"] is False
        assert told["faults"][0] == {
            "file": "catalog.yaml", "line": 1, "column": 1, "where": "sizes", "sentence": "is missing",
        }  # fmt: skip
        assert (told["faults"][1]["line"], told["faults"][1]["where"]) == (3, "sizs")

    def test_no_faults_as_json(self) -> None:
        outcome = run("check", ROOT / "config" / "catalog.yaml", "--json").assert_success()
        assert json.loads(outcome.out) == {"holds": True, "faults": []}


class TestCheckOfValues:
    CATALOG = (
        "version: 1\n"
        "images: [{id: a, image: b, default: true}]\n"
        "sizes: [{id: s, cpu: 1, memory: 1 GiB, default: true}]\n"
    )
    LOGIN = "hub: {config: {JupyterHub: {authenticator_class: github}}}\n"

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        file = tmp_path / "values.yaml"
        file.write_text(self.LOGIN)
        return file

    def with_catalog(self, catalog: str) -> str:
        return self.LOGIN + "catalog: |\n" + "".join(f"  {line}\n" for line in catalog.splitlines())

    def test_values_without_a_catalog_come_with_the_charts_own(self, file: Path) -> None:
        told = f"{file} holds, with the chart's own catalog: 1 image and 3 sizes.\n"
        assert run("check", "--values", file).assert_success().out == told

    def test_what_the_catalog_among_the_values_holds_is_told(self, file: Path) -> None:
        file.write_text(self.with_catalog(self.CATALOG))
        assert run("check", "--values", file).assert_success().out == f"{file} holds: 1 image and 1 size.\n"

    def test_every_fault_has_a_line(self, file: Path) -> None:
        file.write_text("hots: x\n" + self.with_catalog(self.CATALOG.replace("default: true}]", "}]", 1)))
        outcome = run("check", "--values", file).assert_failure(
            'values.yaml:1:1: hots: there is no such key; did you mean "host"?',
            "values.yaml:5:3: catalog.images: exactly one entry is the default",
        )
        assert (outcome.status, outcome.out) == (1, "")

    def test_the_catalogs_own_words_for_pods_are_checked_too(self, file: Path) -> None:
        file.write_text(self.with_catalog(self.CATALOG + "kubernetes: {pod: {spec: {hostNetwrok: true}}}\n"))
        run("check", "--values", file).assert_failure(
            "values.yaml:6:29: catalog.kubernetes.pod.spec.hostNetwrok: is no"
        )

    def test_a_catalog_beside_the_values_counts_instead_of_the_one_in_them(self, file: Path, tmp_path: Path) -> None:
        file.write_text(self.with_catalog("version: 2"))
        catalog = tmp_path / "catalog.yaml"
        catalog.write_text(self.CATALOG)
        told = f"{file} holds, with {catalog}: 1 image and 1 size.\n"
        assert run("check", "--values", file, catalog).assert_success().out == told

    def test_faults_of_both_files_are_told_at_once(self, file: Path, tmp_path: Path) -> None:
        file.write_text("hots: x\n")
        (tmp_path / "catalog.yaml").write_text("version: 2\n")
        run("check", "--values", file, tmp_path / "catalog.yaml").assert_failure("values.yaml:1:1", "catalog.yaml:1:1")

    def test_that_nobody_can_log_in_is_told_and_no_fault(self, file: Path) -> None:
        file.write_text("{}\n")
        out = run("check", "--values", file).assert_success().out
        assert out.splitlines()[1] == (
            "Nobody can log in yet: name an authenticator with hub.config.JupyterHub.authenticator_class."
        )

    def test_faults_and_hints_as_json(self, file: Path) -> None:
        file.write_text("host: [x]\n")
        outcome = run("check", "--values", file, "--json")
        told = json.loads(outcome.out)
        assert (outcome.status, told["holds"], len(told["hints"])) == (1, False, 1)
        assert told["faults"] == [
            {
                "file": "values.yaml", "line": 1, "column": 1, "where": "host",
                "sentence": "a list is no value for this; write a text",
            }
        ]  # fmt: skip

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        run("check", "--values", tmp_path / "none.yaml").assert_failure("none.yaml: cannot be read: No such file")

    def test_a_file_that_is_not_text_is_refused_with_its_line(self, file: Path) -> None:
        file.write_bytes(b"host: x\nregistry: \xff\n")
        run("check", "--values", file).assert_failure("values.yaml:2: is not UTF-8 text")

    def test_a_huge_file_is_refused(self, file: Path) -> None:
        file.write_text("#" * (1024 * 1024 + 1))
        run("check", "--values", file).assert_failure("larger than 1 MiB; a file of values is a short text")

    def test_something_to_check_must_be_named(self) -> None:
        run("check").assert_failure("Name a catalog, or a file of the chart's values with --values FILE.")


class TestExplain:
    CATALOG = """\
version: 1
images:
  - {id: unified, title: Unified, image: "unified:1", default: true}
  - {id: old, image: "old:1", replaced_by: unified}
  - {id: trial, title: Trial, image: "trial:1", hidden: true, users: [ada]}
  - {id: aging, title: Aging, image: "aging:1", deprecated: Ends soon.}
sizes:
  - {id: standard, cpu: 1, memory: 2 GiB, default: true}
  - {id: gpu, cpu: 4, memory: 8 GiB, gpu: 1, groups: [research, teachers]}
  - {id: try, cpu: 2, memory: 2 GiB, images: [trial]}
custom: {cpu: {min: 1, max: 4, step: 1}, memory: {min: 1 GiB, max: 8 GiB, step: 1 GiB}}
quota: {servers: 2, cpu: 8}
groups:
  research:
    custom: {cpu: {max: 16}}
    quota: {cpu: 32}
    total: {cpu: 64, gpu: 4}
    identity: {environment: {TEAM: research}, supplemental_groups: [2001], service_account: research, network: lab}
  teachers:
users: {ada: {quota: {servers: 5}, identity: {environment: {TEAM: ada}}}}
environment: {LANG: C.UTF-8}
"""

    def explained(self, folder: Path, *words: str) -> list[str]:
        (folder / "catalog.yaml").write_text(self.CATALOG)
        out = run("explain", folder / "catalog.yaml", *words).assert_success().out
        return [" ".join(line.split()) for line in out.splitlines()]

    def test_each_part_with_whom_it_comes_from(self, tmp_path: Path) -> None:
        assert self.explained(tmp_path, "--user", "ada", "--groups", "research") == [
            "ada, in the group research",
            "Images",
            "unified Unified everyone, the default",
            "old old; replaced by unified offered to nobody",
            "trial Trial; hidden user ada",
            "aging Aging; deprecated (Ends soon.) everyone",
            "Sizes",
            "standard 1 CPU, 2 GiB everyone, the default",
            "gpu 4 CPU, 8 GiB, 1 GPU group research",
            "try 2 CPU, 2 GiB everyone",
            "Custom",
            "CPU 1 to 16, in steps of 1 least: everyone, most: group research",
            "memory 1 GiB to 8 GiB, in steps of 1 GiB everyone",
            "Quota",
            "servers 5 servers user ada",
            "cpu 32 CPU group research",
            "Totals",
            "research 64 CPU and 4 GPU all members together",
            "Servers get",
            "LANG C.UTF-8 everyone",
            "TEAM ada user ada",
            "groups 2001 group research",
            "service account research group research",
            "network lab group research",
        ]

    def test_what_is_not_offered_says_to_whom_it_is(self, tmp_path: Path) -> None:
        lines = self.explained(tmp_path, "--user", "bob")
        assert lines[0] == "bob, in no group"
        assert "gpu 4 CPU, 8 GiB, 1 GPU not offered; for groups research and teachers" in lines
        assert "trial Trial; hidden not offered; for user ada" in lines
        assert "try 2 CPU, 2 GiB not offered; only with trial" in lines
        assert "servers 2 servers everyone" in lines
        assert "Totals" not in lines

    def test_a_group_that_the_catalog_does_not_know_is_told(self, tmp_path: Path) -> None:
        lines = self.explained(tmp_path, "--user", "bob", "--groups", "reserch, teachers")
        assert lines[:2] == [
            "bob, in the groups reserch and teachers",
            'The catalog has no group "reserch"; did you mean "research"?',
        ]

    def test_as_json_it_is_what_a_client_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "catalog.yaml").write_text(self.CATALOG)
        outcome = run("explain", tmp_path / "catalog.yaml", "--user", "bob", "--json").assert_success()
        assert [size["const"] for size in json.loads(outcome.out)["properties"]["size"]["oneOf"]] == [
            "standard", "custom",
        ]  # fmt: skip

    def test_a_broken_catalog_is_refused_as_by_check(self, tmp_path: Path) -> None:
        (tmp_path / "catalog.yaml").write_text("version: 2\n")
        run("explain", tmp_path / "catalog.yaml", "--user", "bob").assert_failure("catalog.yaml:1:1: version")

    def test_names_are_only_text(self, tmp_path: Path) -> None:
        lines = self.explained(tmp_path, "--user", "[bold]x[/bold]", "--groups", "[red]")
        assert lines[0] == "[bold]x[/bold], in the group [red]"


class TestSchema:
    def test_it_is_json_schema(self) -> None:
        Draft202012Validator.check_schema(json.loads(run("schema").assert_success().out))

    def test_as_a_page_it_tells_of_every_key(self) -> None:
        page = run("schema", "--page").assert_success().out
        assert "| `stop_after` |" in page
        assert "### `images[]`" in page
        assert "### `quota`, `groups.NAME.quota`, `groups.NAME.total`, `users.NAME.quota`" in page
        assert "| `timeout` | From Start to an answering server, pulling apart. | `2 min` |" in page


class TestUser:
    def test_add_list_password_remove(self, folder: DataFolder) -> None:
        run("user", "add", "Ada", "--stdin", "--data", folder.path, stdin=f"{PASSWORD}\n").assert_success()
        run("user", "add", "root", "--admin", "--stdin", "--data", folder.path, stdin=PASSWORD).assert_success()
        assert run("user", "list", "--data", folder.path).out == "ada\nroot (admin)\n"
        store = AccountStore(folder.accounts)
        assert store.verified("ada", PASSWORD)

        run("user", "password", "ada", "--stdin", "--data", folder.path, stdin="another password").assert_success()
        assert store.verified("ada", "another password")

        assert "home is kept" in run("user", "remove", "ada", "--data", folder.path).assert_success().out
        assert run("user", "list", "--data", folder.path).out == "root (admin)\n"

    def test_without_a_terminal_a_made_password_is_in_a_file_alone(self, folder: DataFolder) -> None:
        outcome = run("user", "add", "ada", "--data", folder.path).assert_success()
        (file,) = folder.path.glob("password-*.txt")
        name, password = file.read_text().split()
        assert name == "ada"
        assert file.stat().st_mode & 0o777 == 0o600
        assert str(file) in outcome.out
        assert password not in outcome.out + outcome.err
        assert AccountStore(folder.accounts).verified("ada", password)

    def test_a_password_given_is_not_shown(self, folder: DataFolder) -> None:
        outcome = run("user", "add", "ada", "--stdin", "--data", folder.path, stdin=PASSWORD)
        assert PASSWORD not in str(outcome)
        assert not list(folder.path.glob("password-*"))

    def test_refusals_name_what_was_found(self, folder: DataFolder) -> None:
        data = ("--data", folder.path)
        run("user", "add", "a b", *data).assert_failure('"a b" is not a user name')
        run("user", "add", "ada", "--stdin", *data, stdin="short").assert_failure("5 letters", "at least 10")
        run("user", "add", "ada", "--stdin", *data).assert_failure("0 letters")
        run("user", "add", "ada", "--stdin", *data, stdin="x" * 5000).assert_failure("more than 1024 letters")
        run("user", "remove", "ada", *data).assert_failure('no account "ada"', "user list")
        run("user", "password", "ada", *data).assert_failure('no account "ada"')
        assert not folder.accounts.exists()
        run("user", "add", "ada", *data).assert_success()
        run("user", "add", "ADA", *data).assert_failure('an account "ada" already')

    def test_nobody_yet(self, tmp_path: Path) -> None:
        assert "Nobody" in run("user", "list", "--data", tmp_path).assert_success().err

    def test_a_broken_file_is_left_alone(self, folder: DataFolder) -> None:
        folder.accounts.write_text("{")
        run("user", "add", "ada", "--data", folder.path).assert_failure("not a file of accounts")
        assert folder.accounts.read_text() == "{"

    @pytest.mark.parametrize(
        ("number", "sentence"),
        [(errno.ENOSPC, "The disk is full"), (errno.EROFS, "Read-only"), (errno.EACCES, "--data")],
    )
    def test_a_file_that_cannot_be_written(
        self, folder: DataFolder, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number), str(folder.accounts))

        monkeypatch.setattr(os, "fsync", fail)
        run("user", "add", "ada", "--data", folder.path).assert_failure(sentence, "accounts.json")
        assert not [path for path in folder.path.iterdir() if path.name.startswith(".")]


class TestUp:
    def test_a_taken_port_is_found_before_any_work(self, folder: DataFolder, taken_port: int) -> None:
        run("up", "--data", folder.path, "--port", taken_port).assert_failure(f"Port {taken_port} is taken", "--port")
        assert not folder.programs.exists()

    def test_a_full_disk_is_found_before_the_hub_meets_it(
        self, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        run("up", "--data", folder.path, "--port", "18999").assert_failure("is full", "50 MiB", "--data")
        assert not folder.catalog.exists()

    @pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "8000.0", "²"])
    def test_a_port_that_is_none(self, port: str) -> None:
        run("up", f"--port={port}").assert_failure("is not a port", "65535")

    def test_a_second_up_tells_where_the_first_one_is(self, folder: DataFolder) -> None:
        folder.keep(settings(port=8123))
        with folder.held():
            run("up", "--data", folder.path).assert_failure("already running at http://127.0.0.1:8123", "down --data")

    def test_a_broken_catalog_is_told_line_by_line(self, folder: DataFolder, tmp_path: Path) -> None:
        (tmp_path / "mine.yaml").write_text("version: 1\nsizes: []\n")
        outcome = run("up", "--data", folder.path, "--port", "18999", "--catalog", tmp_path / "mine.yaml")
        outcome.assert_failure("does not hold", "mine.yaml:1:1: images: is missing", "mine.yaml:2:1: sizes")
        assert not folder.programs.exists()

    def test_the_first_run_copies_the_catalog_and_no_later_one_does(
        self, folder: DataFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nonexistent")
        monkeypatch.setattr(prepare_up, "install_proxy", lambda *_: ())
        monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
        run("up", "--data", folder.path, "--port", "18999").assert_failure("DOCKER_HOST", "does not answer")
        assert folder.catalog.read_bytes() == shipped_catalog().read_bytes()
        folder.catalog.write_text(folder.catalog.read_text() + "# mine\n")
        run("up", "--data", folder.path, "--port", "18999").assert_failure("DOCKER_HOST")
        assert "# mine" in folder.catalog.read_text()

    @pytest.mark.parametrize("place", ["/proc/none", "/dev/null/data"])
    def test_a_folder_that_cannot_be_made(self, place: str) -> None:
        run("up", "--data", place).assert_failure(f"{place} cannot be made", "--data")

    def test_a_folder_that_everybody_may_write_to(self, folder: DataFolder) -> None:
        folder.path.chmod(0o777)
        run("up", "--data", folder.path).assert_failure("everybody may write", "--data")

    def test_the_first_accounts_have_a_password_each_and_only_the_place_is_printed(
        self, folder: DataFolder, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder.first_passwords.write_text("from a run that was interrupted")
        up._accounts(folder, up.Screen())
        printed = capsys.readouterr().out
        passwords = dict(line.split() for line in folder.first_passwords.read_text().splitlines())
        assert folder.first_passwords.stat().st_mode & 0o777 == 0o600
        assert len(set(passwords.values())) == len(passwords) == 2
        assert str(folder.first_passwords) in printed.replace("\n", "")
        assert not any(password in printed for password in passwords.values())
        found = {name: AccountStore(folder.accounts).verified(name, password) for name, password in passwords.items()}
        assert {name: account.admin for name, account in found.items() if account} == {"admin": True, "user": False}

    def test_later_runs_make_no_accounts(self, folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
        AccountStore(folder.accounts).add("ada", PASSWORD)
        up._accounts(folder, up.Screen())
        assert "ada" in capsys.readouterr().out
        assert list(AccountStore(folder.accounts).accounts()) == ["ada"]

    def test_the_hubs_port_is_chosen_once(self, folder: DataFolder) -> None:
        first = prepare_up._hub_port(folder, up.Screen())
        folder.keep(settings(hub_port=first))
        assert prepare_up._hub_port(folder, up.Screen()) == first
        with socket.create_server(("", first)):
            assert prepare_up._hub_port(folder, up.Screen()) != first

    @pytest.mark.parametrize(
        ("here", "shown"),
        [("co", ".venv/bin/stateroom"), ("co/.venv/bin", "{}/co/.venv/bin/stateroom"), ("", "co/.venv/bin/stateroom")],
    )
    def test_commands_are_shown_as_they_can_be_typed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, shown: str
    ) -> None:
        file = tmp_path / "co" / ".venv" / "bin" / "stateroom"
        file.parent.mkdir(parents=True)
        file.touch(mode=0o755)
        monkeypatch.setattr(sys, "argv", [str(file), "up"])
        monkeypatch.chdir(tmp_path / here)
        monkeypatch.setenv("PATH", "/nonexistent")
        assert up.command() == shown.format(tmp_path)
        monkeypatch.setenv("PATH", str(file.parent))
        assert up.command() == "stateroom"


class TestDown:
    def test_where_nothing_was_started(self, tmp_path: Path) -> None:
        assert "never started" in run("down", "--data", tmp_path / "none").assert_success().out
        assert not (tmp_path / "none").exists()

    def test_again_is_fine(self, folder: DataFolder) -> None:
        for _ in range(2):
            assert "was not running" in run("down", "--data", folder.path).assert_success().out

    def test_without_an_engine_there_are_no_servers(self, folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.keep(settings())
        monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
        assert "does not run" in run("down", "--data", folder.path).assert_success().out

    def test_ends_an_up_that_runs(self, folder: DataFolder) -> None:
        holding = (
            "import sys, signal; from pathlib import Path; from stateroom.operations.local.data import DataFolder\n"
            "with DataFolder(Path(sys.argv[1])).held(): print('held', flush=True); signal.pause()"
        )
        with subprocess.Popen([sys.executable, "-c", holding, folder.path], stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            assert "stopped" in run("down", "--data", folder.path).assert_success().out
            assert holder.wait(5) != 0


def test_the_images_that_up_builds_is_the_one_that_ships() -> None:
    assert UNIFIED in shipped_catalog().read_text()
