"""The Docker engine that `up` uses: the one that answers, or one that `up` starts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import docker
from docker.errors import DockerException
from docker.utils import kwargs_from_env
from requests.exceptions import RequestException

from stateroom.common.debian import install_command
from stateroom.common.errors import SetupError
from stateroom.common.labels import HUB
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.logs import open_log, reason, run_logged
from stateroom.operations.local.processes import ENGINE_MARK, end_marked, marked_processes
from stateroom.operations.report import Report

_PROGRAM = "dockerd"
_UNIX = "unix://"
_USUAL_HOST = "unix:///var/run/docker.sock"
_START_SECONDS = 60
_PAUSE = 0.2
_ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
_SYSTEMD = Path("/run/systemd/system")


def ensure_engine(data: DataFolder, report: Report) -> docker.APIClient:
    """Return an engine that answers. Install and start one if there is none. Raises SetupError."""
    with report.step("Docker", "Looking for Docker") as step:
        engine = answering()
        if engine is None:
            _refuse_if_not_ours_to_start()
            how = _start(data)
            engine = answering()
            step.result = f"engine {how}"
        else:
            step.result = "engine found"
        if engine is None:
            raise SetupError("Docker was started but does not answer. Look at its log, and run the command again.")
        step.result = f"{step.result}, version {engine.version()['Version']}"
        return engine


def answering() -> docker.APIClient | None:
    """Return the engine that the environment names, or None if there is none. Raises SetupError if it is unusable."""
    host = os.environ.get("DOCKER_HOST") or _USUAL_HOST
    if host.startswith(_UNIX) and not _listens(host.removeprefix(_UNIX)):
        return None
    try:
        engine = docker.APIClient(**kwargs_from_env())
        engine.ping()
    except (DockerException, RequestException, OSError) as error:
        raise SetupError(f'Docker at {host} does not answer as it should: "{error}".') from error
    return engine


def connected() -> docker.APIClient:
    """Return the engine that the environment names. Raises SetupError if it does not answer."""
    engine = answering()
    if engine is None:
        raise SetupError("Docker does not answer. Start it, or point DOCKER_HOST to where it runs.")
    return engine


def stop_engine(engine: docker.APIClient, data: DataFolder) -> str:
    """Stop the engine if `up` started it and nothing else uses it. Returns a sentence on what was done, or ""."""
    with marked_processes(ENGINE_MARK, data.path, _PROGRAM) as ours:
        if not ours:
            return ""
    if engine.containers():
        return "runs on: it was started here, but other containers run on it"
    if engine.networks(filters={"label": HUB}):
        return "runs on: it was started here, but another hub uses it"
    engine.close()
    end_marked(ENGINE_MARK, data.path, _PROGRAM)
    return "engine stopped"


def _refuse_if_not_ours_to_start() -> None:
    if host := os.environ.get("DOCKER_HOST"):
        raise SetupError(f"The Docker engine at {host} (DOCKER_HOST) does not answer. Start it, or unset DOCKER_HOST.")
    if os.geteuid() != 0:
        raise SetupError(
            "Docker does not answer. Install and start it (on Debian, as root: apt-get install docker.io), "
            "or point DOCKER_HOST to an engine that runs."
        )
    if not _program() and not _is_debian():
        raise SetupError(
            "Docker is not installed, and this is no Debian. Install it, or point DOCKER_HOST to an engine that runs."
        )


def _start(data: DataFolder) -> str:
    """Start an engine, and return what was done."""
    installed = False
    if not _program():
        _install(data.logs / "docker-install.log")
        installed = True
        if _has_come_up():  # the package may start it
            return "installed"
    if _SYSTEMD.is_dir():
        run_logged(["systemctl", "start", "docker"], data.logs / "dockerd.log")
    else:
        _start_alone(data)
    return "installed and started" if installed else "started"


def _install(log: Path) -> None:
    install = install_command("docker.io", "iptables")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        try:
            run_logged(install, log, environment=quiet)
        except SetupError:  # the machine's lists of packages are missing or too old
            run_logged(["apt-get", "update"], log, environment=quiet)
            run_logged(install, log, environment=quiet)
    except SetupError as error:
        raise SetupError(f"Docker could not be installed: {error}") from error
    if not _program():
        raise SetupError(f"Docker was installed, but there is no {_PROGRAM}. The log is in {log}.")


def _start_alone(data: DataFolder) -> None:
    """Start the engine in its own session, so that it outlives `up`: servers run on it."""
    log = data.logs / f"{_PROGRAM}.log"
    with open_log(log) as file:
        began = file.tell()
        daemon = subprocess.Popen(
            [_program()],
            env={**os.environ, "PATH": _search_path(), ENGINE_MARK: str(data.path)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    until = time.monotonic() + _START_SECONDS
    while not _has_come_up():
        if daemon.poll() is not None:
            raise SetupError(f"Docker could not be started: {reason(log, began)} The whole log is in {log}.")
        if time.monotonic() > until:
            raise SetupError(f"Docker was started but does not answer after {_START_SECONDS} s. Its log is {log}.")
        time.sleep(_PAUSE)


def _program() -> str:
    return shutil.which(_PROGRAM, path=_search_path()) or ""


def _search_path() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), _ADMIN_PATH))


def _is_debian() -> bool:
    return bool(shutil.which("apt-get")) and Path("/etc/debian_version").is_file()


def _listens(path: str) -> bool:
    """Return whether a process listens on the socket. The SDK would wrap every failure in the same error."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except PermissionError:
            raise SetupError(
                "You may not use the Docker engine of this machine. "
                "Ask an administrator to add you to the group docker, or run the command as root."
            ) from None
        except OSError:
            return False
    return True


def _has_come_up() -> bool:
    try:
        return answering() is not None
    except SetupError:
        return False  # it answers, but not all of it is there yet
