"""`./run`, as far as it goes without installing anything."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "run"
TOOLS = ("bash", "cat", "dirname", "env", "head", "grep", "mktemp", "rm", "sha256sum")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script, and all of its PATH in `bin`."""
    folder = tmp_path / "check out"
    (folder / "bin").mkdir(parents=True)
    shutil.copy(SCRIPT, folder / "run")
    (folder / "pyproject.toml").write_text("[project]\n")
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (folder / "bin" / tool).symlink_to(found)
    program(folder / "bin" / "id", "echo 1000")  # no root
    return folder


def program(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    file.chmod(0o755)


def run(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": str(checkout / "bin")}
    return subprocess.run(
        [checkout / "run", *words], env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def install(checkout: Path) -> None:
    program(checkout / ".venv" / "bin" / "stateroom", 'echo "stateroom $*"')
    digest = hashlib.sha256((checkout / "pyproject.toml").read_bytes()).hexdigest()
    (checkout / ".venv" / "stateroom-installed").write_text(f"{checkout} {digest}  -\n")


def test_help_installs_nothing(checkout: Path) -> None:
    ended = run(checkout, "--help")
    assert ended.returncode == 0
    assert "usage: ./run" in ended.stdout
    assert not (checkout / ".venv").exists()


def test_without_python_one_sentence_tells_how_to_get_it(checkout: Path) -> None:
    program(checkout / "bin" / "python3", "exit 1")  # an old one
    ended = run(checkout)
    assert ended.returncode == 1
    assert ended.stderr == (
        "run: Python 3.11 or newer is missing. On Debian, install it as root: apt-get install python3 python3-venv\n"
    )


def test_without_venv_too(checkout: Path) -> None:
    program(checkout / "bin" / "python3", 'case "$2" in *venv*) exit 1;; esac')
    ended = run(checkout)
    assert ended.returncode == 1
    assert "apt-get install python3-venv" in ended.stderr


def test_what_is_installed_is_used_at_once(checkout: Path) -> None:
    install(checkout)
    ended = run(checkout, "--port", "8080")
    assert ended.stdout == "stateroom up --port 8080\n", ended.stderr


@pytest.mark.parametrize("change", ["pyproject", "place"])
def test_a_change_installs_again(checkout: Path, change: str) -> None:
    install(checkout)
    calls = checkout / "calls"
    program(checkout / ".venv" / "bin" / "python", f'echo "$@" >> "{calls}"')
    program(checkout / "bin" / "python3", f'echo "make $@" >> "{calls}"')
    if change == "pyproject":
        (checkout / "pyproject.toml").write_text("[project]\ndependencies = []\n")
    else:
        (checkout / ".venv" / "stateroom-installed").write_text("/elsewhere 0  -\n")
    assert "stateroom up" in run(checkout).stdout
    text = calls.read_text()
    assert ("make -m venv" in text) == (change == "place")
    assert f"-m uv pip install --quiet --python {checkout}/.venv/bin/python --excludes" in text
    assert f" --editable {checkout}\n" in text
    calls.unlink()
    assert run(checkout).stdout == "stateroom up\n"
    assert not calls.exists()


@pytest.mark.parametrize("fails", ["uv pip install", "pip install --quiet --disable-pip-version-check uv"])
def test_where_uv_is_of_no_use_pip_installs(checkout: Path, fails: str) -> None:
    install(checkout)
    (checkout / ".venv" / "stateroom-installed").unlink()
    calls = checkout / "calls"
    python = f'echo "$@" >> "{calls}"; case "$*" in *"{fails}"* | *"uv pip"*--help) exit 1;; esac'
    program(checkout / ".venv" / "bin" / "python", python)
    assert run(checkout).stdout.endswith("stateroom up\n")
    assert f"-m pip install --quiet --disable-pip-version-check --editable {checkout}\n" in calls.read_text()


@pytest.mark.parametrize(
    ("words", "host", "installs"),
    [
        ((), "", True),
        (("--backend", "kubernetes"), "", False),
        (("--backend=kubernetes",), "", False),
        ((), "unix:///run/podman.sock", False),
    ],
)
def test_root_gets_dockers_packages_meanwhile(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], host: str, installs: bool
) -> None:
    if not Path("/etc/debian_version").exists():
        pytest.skip("it is about Debian")
    install(checkout)
    # This machine may have Docker.
    without = SCRIPT.read_text().replace("/var/run/docker.sock", "/no/such").replace(":/usr/sbin:/sbin", "")
    (checkout / "run").write_text(without)
    (checkout / ".venv" / "stateroom-installed").unlink()
    calls = checkout / "calls"
    program(checkout / "bin" / "id", "echo 0")
    program(checkout / "bin" / "apt-get", f'echo "$@" >> "{calls}"')
    program(checkout / ".venv" / "bin" / "python")
    monkeypatch.setenv("DOCKER_HOST", host)
    assert run(checkout, *words).returncode == 0
    options = "--yes -o DPkg::Lock::Timeout=600 --no-remove --no-install-recommends"
    wanted = f"update\ninstall {options} docker.io iptables mmdebstrap\n"
    assert (calls.read_text() if calls.exists() else "") == (wanted if installs else "")


def test_a_failed_installation_is_tried_again(checkout: Path) -> None:
    install(checkout)
    (checkout / ".venv" / "stateroom-installed").unlink()
    program(checkout / ".venv" / "bin" / "python", 'case "$*" in *install*) exit 1;; esac')
    for _ in range(2):
        ended = run(checkout)
        assert ended.returncode == 1
        assert "run: the Python packages could not be installed" in ended.stderr
