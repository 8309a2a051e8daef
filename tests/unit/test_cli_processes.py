"""What `up` stands on: held folders, marked processes, logs, the proxy, Docker, the hub as a child."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stateroom.cli.screen import Screen
from stateroom.common.errors import SetupError
from stateroom.operations.docker import engine
from stateroom.operations.local import hub, proxy
from stateroom.operations.local.address import Address
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.logs import excerpt, open_log, run_logged
from stateroom.operations.local.processes import HUB_MARK, end_marked, marked_processes, open_process


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, *lines: str) -> None:
    file = folder / name
    file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    file.chmod(0o755)


@contextlib.contextmanager
def sleeper(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "60"], env={**os.environ, **environment}) as process:
        try:
            yield process
        finally:
            process.kill()


class TestMarkedProcesses:
    def test_only_those_with_the_mark_are_ended(self, tmp_path: Path) -> None:
        other = str(tmp_path / "other")
        with sleeper(**{HUB_MARK: str(tmp_path)}) as ours, sleeper(**{HUB_MARK: other}) as theirs, sleeper() as plain:
            assert end_marked(HUB_MARK, tmp_path) == 1
            assert ours.wait(5) == -signal.SIGTERM
            assert theirs.poll() is None
            assert plain.poll() is None

    def test_one_program_of_them(self, tmp_path: Path) -> None:
        with sleeper(**{HUB_MARK: str(tmp_path)}) as ours:
            with marked_processes(HUB_MARK, tmp_path, "dockerd") as found:
                assert not found
            with marked_processes(HUB_MARK, tmp_path, "sleep") as found:
                assert [process.pid for process in found] == [ours.pid]

    def test_none_is_fine(self, tmp_path: Path) -> None:
        assert end_marked(HUB_MARK, tmp_path) == 0

    def test_the_proxys_number_is_forgotten_before_the_hub_can_kill_who_has_it_now(self, folder: DataFolder) -> None:
        with sleeper() as stranger:
            folder.proxy_pid.write_text(str(stranger.pid))
            hub.end_leftovers(folder)
            assert not folder.proxy_pid.exists()
            assert stranger.poll() is None

    def test_a_process_that_is_gone(self) -> None:
        with sleeper() as process, open_process(process.pid) as kept:
            assert kept is not None
            process.kill()
            process.wait(30)
            kept.signal(signal.SIGTERM)
            assert kept.wait_for_end(1)
            with open_process(process.pid) as gone:
                assert gone is None


class TestDataFolder:
    def test_is_for_its_owner_alone(self, folder: DataFolder) -> None:
        assert folder.path.stat().st_mode & 0o777 == 0o700

    def test_is_held_once(self, folder: DataFolder) -> None:
        assert folder.holder() is None
        with folder.held():
            assert folder.holder() == os.getpid()
            with pytest.raises(SetupError, match="already running"), folder.held():
                pass
        assert folder.holder() is None

    def test_a_killed_holder_lets_go(self, folder: DataFolder) -> None:
        code = (
            "import sys, os; from pathlib import Path; from stateroom.operations.local.data import DataFolder\n"
            "with DataFolder(Path(sys.argv[1])).held(): os.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", code, folder.path], check=False, timeout=120)
        with folder.held():
            pass

    def test_settings_come_back(self, folder: DataFolder) -> None:
        assert folder.settings() is None
        settings = Settings("hub", "docker", "/c.yaml", "", 8000, 20001, 20002, ("node", "proxy"))
        folder.keep(settings)
        assert folder.settings() == settings

    @pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"proxy_command": []}'])
    def test_damaged_settings_are_named(self, folder: DataFolder, text: str) -> None:
        (folder.path / "settings.json").write_text(text)
        with pytest.raises(SetupError, match=r"settings\.json is damaged"):
            folder.settings()


class TestLogs:
    def test_a_failure_tells_the_reason_and_the_logs_place(self, tmp_path: Path) -> None:
        log = tmp_path / "x.log"
        script = "echo progress; echo 'npm error code ENOENT'; echo 'npm error more'; echo bye; exit 3"
        with pytest.raises(SetupError, match=f'sh failed: "npm error code ENOENT". The whole log is in {log}'):
            run_logged(["sh", "-c", script], log)
        assert log.stat().st_mode & 0o777 == 0o600

    def test_a_full_disk_is_the_reason_wherever_it_stands(self, tmp_path: Path) -> None:
        with pytest.raises(SetupError, match="No space left on device"):
            run_logged(["sh", "-c", "echo 'x: No space left on device'; echo E: failed; exit 1"], tmp_path / "x.log")

    def test_earlier_runs_are_not_blamed(self, tmp_path: Path) -> None:
        run_logged(["sh", "-c", "echo E: long ago"], tmp_path / "x.log")
        with pytest.raises(SetupError, match="it said nothing"):
            run_logged(["sh", "-c", "exit 1"], tmp_path / "x.log")

    def test_what_is_shown_is_plain_and_short(self, tmp_path: Path) -> None:
        log = tmp_path / "x.log"
        log.write_bytes(b"\x1b[32mgreen\x1b[39m\xff\x07\n" + b"x" * 5000 + b"\n\n")
        first, second = excerpt(log, 0, 5).splitlines()
        assert first == "    green\N{REPLACEMENT CHARACTER}"
        assert len(second) < 300

    def test_a_large_log_makes_room(self, tmp_path: Path) -> None:
        log = tmp_path / "x.log"
        log.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
        open_log(log).close()
        assert log.stat().st_size == 0
        assert (tmp_path / "x.log.1").exists()


class TestProxy:
    NODE = "echo v22.0.0"

    def test_is_installed_once(self, folder: DataFolder, programs: Path) -> None:
        program(programs, "node", self.NODE)
        program(programs, "npm", f'echo "$@" >> {folder.path}/calls; /bin/test -f package-lock.json')
        command = proxy.install_proxy(folder, Screen())
        assert proxy.install_proxy(folder, Screen()) == command
        assert command[0] == str(programs / "node")
        assert command[-1].startswith(str(folder.programs))
        assert (folder.path / "calls").read_text().count("ci --ignore-scripts") == 1

    def test_a_failed_installation_leaves_nothing(self, folder: DataFolder, programs: Path) -> None:
        program(programs, "node", self.NODE)
        program(programs, "npm", "echo npm error ENOTFOUND; exit 1")
        with pytest.raises(SetupError, match=r"proxy could not be installed.*ENOTFOUND.*proxy-install.log"):
            proxy.install_proxy(folder, Screen())
        assert not list(folder.programs.iterdir())

    @pytest.mark.parametrize("node", ["echo v18.19.0", "exit 1", "echo nonsense"])
    def test_an_old_node_is_none(self, programs: Path, node: str) -> None:
        program(programs, "node", node)
        program(programs, "npm", "exit 0")
        assert proxy._node_of_machine() is None

    def test_node_without_npm_is_none(self, programs: Path) -> None:
        program(programs, "node", self.NODE)
        assert proxy._node_of_machine() is None

    def test_without_node_one_sentence_tells_how_to_get_it(
        self, folder: DataFolder, programs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert not list(programs.iterdir())
        monkeypatch.setattr(proxy, "_node_of_package", lambda: None)
        monkeypatch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(SetupError, match=r"needs Node.js.*Install Node.js 20 or newer.*stateroom\[node\]"):
            proxy.install_proxy(folder, Screen())

    def test_its_packages_are_locked_by_hash_and_name_no_registry(self) -> None:
        text = (Path(proxy.__file__).parent / "proxy" / "package-lock.json").read_text()
        assert text.count('"integrity": "sha512-') == text.count('"version"')
        assert "resolved" not in text


class TestEngine:
    @pytest.fixture(autouse=True)
    def no_engine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        monkeypatch.setattr(engine, "answering", lambda: None)
        monkeypatch.setattr(engine, "_SYSTEMD", Path("/nonexistent"))
        monkeypatch.setattr(engine, "_ADMIN_PATH", "")

    def test_users_are_told_how_to_get_one(self, folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(SetupError, match=r"Docker does not answer.*apt-get install docker.io"):
            engine.ensure_engine(folder, Screen())

    @pytest.mark.usefixtures("programs")
    def test_root_elsewhere_too(self, folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        with pytest.raises(SetupError, match="Docker is not installed"):
            engine.ensure_engine(folder, Screen())

    def test_an_engine_that_does_not_start_says_why(
        self, folder: DataFolder, programs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        program(programs, "dockerd", "echo 'failed to start daemon: no iptables'; echo; echo '(exit 1)'; exit 1")
        with pytest.raises(SetupError, match=r"could not be started.*no iptables.*dockerd.log"):
            engine.ensure_engine(folder, Screen())

    def test_apt_that_fails_says_why(self, folder: DataFolder, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(engine, "_is_debian", lambda: True)
        program(programs, "apt-get", 'echo "E: Unable to locate package docker.io"; [ "$1" = update ]')
        with pytest.raises(SetupError, match=r"Docker could not be installed.*Unable to locate.*docker-install.log"):
            engine.ensure_engine(folder, Screen())


class TestAnsweringEngine:
    def test_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
        assert engine.answering() is None

    def test_one_that_is_gone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / "d.sock"))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/d.sock")
        assert engine.answering() is None

    def test_one_that_should_be_there_and_cannot_be_used_is_not_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        with pytest.raises(SetupError, match=r"Docker at tcp://127.0.0.1:1 does not answer as it should"):
            engine.answering()

    def test_one_that_is_closed_to_us(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.delenv("DOCKER_HOST", raising=False)
        monkeypatch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(SetupError, match="group docker"):
            engine.answering()


class TestHub:
    def test_one_that_ends_tells_its_last_words(self, folder: DataFolder) -> None:
        child = hub.Hub(folder)  # without settings
        child.begin("http://127.0.0.1:1")
        with pytest.raises(
            SetupError, match=r"(?s)could not be started. Its log is .*hub.log.*settings that `up` writes"
        ):
            child.wait_until_it_answers()
        child.stop()

    def test_one_that_need_not_begin_ends_without_a_word(self, folder: DataFolder) -> None:
        child = hub.Hub(folder)
        assert child._process.stdin
        child._process.stdin.close()  # as the end of `up` does
        assert child._process.wait(120) == 0
        assert child.log.read_text() == ""

    def test_a_port_is_free_or_not(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert not hub.is_free(port)
            assert not hub.is_free(port, "")
        assert hub.is_free(port)

    def test_another_server_is_not_the_hub(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        assert not hub.answers(f"http://127.0.0.1:{port}")

    def test_why_nothing_can_listen_is_told(self, folder: DataFolder) -> None:
        with pytest.raises(SetupError, match=r"This machine has no address 203\.0\.113\.9"):
            hub.clear_way(Address(18999, bind="203.0.113.9"), folder, Screen())
