"""Virtual environments with the package and the tools of its tests, from lock files."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from running.debian import install_packages
from running.outcome import MissingRequirement
from running.output import say
from running.processes import ROOT, VENV, call, tool

UV = "uv==0.13.9"
LOCKS = ROOT / "tests" / "requirements"
VENV_OF_HUB5 = ROOT / ".venv-jupyterhub5"

# Each lock file, and what it is resolved from.
_RESOLVED_FROM = {
    "tests": ("pyproject.toml", "--extra=test"),
    "jupyterhub5": ("pyproject.toml", "--extra=test", "--constraint=tests/requirements/jupyterhub5.in"),
    "benchmark": ("pyproject.toml", "--extra=benchmark", "--constraint=tests/requirements/tests.lock"),
}
_one_at_a_time = threading.Lock()


def install_package(venv: Path = VENV, lock: str = "tests") -> None:
    """Make a virtual environment of what the lock file names; make it again when that changes."""
    with _one_at_a_time:
        files = [ROOT / "pyproject.toml", lock_file(lock)]
        wanted = hashlib.sha256("\n".join([*(file.read_text() for file in files), sys.version]).encode()).hexdigest()
        stamp = venv / ".tested-with"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        say(f"Installing the package and the tools of its tests into {venv.relative_to(ROOT)} ...")
        if not _works(venv):
            _make(venv)
        install_locked(lock, venv)
        if call(["env", *_pip(venv), "--no-deps", "--editable", "."], venv) != 0:
            raise MissingRequirement("the package could not be installed; the reason is above")
        stamp.write_text(wanted)


def install_locked(lock: str, venv: Path = VENV) -> None:
    """Install what a lock file names: with uv, or with pip where uv does not get it."""
    words = ["--require-hashes", "--requirement", str(lock_file(lock))]
    if (uv := _uv()) and call([*uv, "--python", tool("python", venv), *words], venv) == 0:
        return
    if call([*_pip(venv), *words], venv) != 0:
        raise MissingRequirement(f"the packages of {lock_file(lock).name} could not be installed; the reason is above")


def lock_file(name: str) -> Path:
    """Return a lock file."""
    return LOCKS / f"{name}.lock"


def renew_locks() -> int:
    """Resolve all lock files again; the exit code."""
    if not _works(VENV):
        _make(VENV)
    if not (uv := _uv()):
        say("uv is needed to renew the lock files, and could not be installed.")
        return 1
    for name, sources in _RESOLVED_FROM.items():
        compile_ = [uv[0], "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version=3.11"]
        written = ["--generate-hashes", "--no-emit-index-url", "--no-header", f"--output-file={lock_file(name)}"]
        if code := call([*compile_, *written, *sources]):
            return code
    return 0


def _uv() -> list[str]:
    """Return the command with which uv installs; nothing where it cannot be had."""
    found = shutil.which("uv") or shutil.which("uv", path=str(VENV / "bin"))
    if found is None and _works(VENV) and call([*_pip(VENV), UV]) == 0:
        found = shutil.which("uv", path=str(VENV / "bin"))
    return [found, "pip", "install", "--quiet"] if found else []


def _pip(venv: Path) -> list[str]:
    return [tool("python", venv), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def _works(venv: Path) -> bool:
    """Whether it was made here: one that was moved along with the checkout starts the wrong programs."""
    made = venv / "pyvenv.cfg"
    return Path(tool("pip", venv)).exists() and made.exists() and str(venv) in made.read_text()


def _make(venv: Path) -> None:
    """Debian has part of what this takes in a package of its own."""
    make = [sys.executable, "-m", "venv", "--clear", str(venv)]
    quiet = subprocess.DEVNULL
    if subprocess.run(make, stdout=quiet, stderr=quiet, check=False, timeout=300).returncode == 0:
        return
    install_packages("python3-venv")
    if call(make) != 0:
        raise MissingRequirement("a virtual environment could not be made; the reason is above")
