"""Copies of two commits, each with a virtual environment of its own that is made in the same way.

This checkout is copied as well: a change to it during the run has no effect,
and both hubs run from the same file system and the same kind of installation.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_SECONDS = 900
_TESTS_NEED = "pytest"  # which the folders of the tests import that a benchmark's process imports

_LOOK = """\
import importlib.metadata, json, stateroom
versions = {found.name.lower(): found.version for found in importlib.metadata.distributions()}
print(json.dumps([stateroom.__file__, versions]))
"""


class CheckoutFailed(Exception):
    """A commit could not be copied or installed."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """One of the two commits: its column's name, what it is, its copy, and the Python that has it installed."""

    name: str
    commit: str
    folder: Path
    python: str
    versions: Mapping[str, str]  # of all packages in its virtual environment

    @property
    def environment(self) -> dict[str, str]:
        """Return this process's environment without the folders from which it imports."""
        return _environment()

    @property
    def tests_environment(self) -> dict[str, str]:
        """Return the environment of a process that runs a module of the commit's own tests."""
        return {**_environment(), "PYTHONPATH": str(self.folder / "tests")}


def is_checkout(path: Path) -> bool:
    """Return whether a folder holds a checkout of Stateroom, rather than being the name of a commit."""
    return (path / "spawner" / "stateroom").is_dir()


def make_checkout(name: str, source: Path, revision: str, folder: Path) -> Checkout:
    """Copy a commit into the folder and install it. Without a revision it is what the source's files are now.

    Raises CheckoutFailed.
    """
    copy = folder / name
    copy.mkdir()
    if revision:
        _copy_commit(source, revision, copy)
    else:
        _copy_files(source, copy)
    python = _install(copy, folder / f"{name}-venv")
    where, versions = json.loads(_run([python, "-P", "-c", _LOOK], cwd=folder, env=_environment()))
    if not Path(where).is_relative_to(copy.resolve()):
        raise CheckoutFailed(f"{python} imports Stateroom from {where}, not from its own checkout.")
    return Checkout(name, _describe(source, revision), copy, python, versions)


def _copy_commit(repository: Path, revision: str, folder: Path) -> None:
    try:
        _run(["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], cwd=repository)
    except CheckoutFailed:
        raise CheckoutFailed(f'"{revision}" is neither a checkout of Stateroom nor one of its commits.') from None
    archive = folder.with_suffix(".tar")
    _run(["git", "archive", "--format=tar", f"--output={archive}", revision], cwd=repository)
    _run(["tar", "--extract", f"--file={archive}"], cwd=folder)
    archive.unlink()


def _copy_files(checkout: Path, folder: Path) -> None:
    """Copy all files that git tracks or would offer to track."""
    listed = _run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=checkout)
    for name in filter(None, listed.split("\0")):
        source, target = checkout / name, folder / name
        if not os.path.lexists(source):
            continue  # removed, but not yet from git's index
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def _describe(source: Path, revision: str) -> str:
    commit = _run(["git", "rev-parse", "--short", revision or "HEAD"], cwd=source).strip()
    changed = not revision and _run(["git", "--no-optional-locks", "status", "--porcelain"], cwd=source).strip()
    return f"{commit} with uncommitted changes" if changed else commit


def _install(checkout: Path, venv: Path) -> str:
    """Make a virtual environment with the checkout in it, and return its Python."""
    python = str(venv / "bin" / "python")
    packages = ["--editable", str(checkout), _TESTS_NEED]
    if uv := _uv():
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(venv)], cwd=checkout)
        _run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *packages], cwd=checkout)
    else:
        _run([sys.executable, "-m", "venv", str(venv)], cwd=checkout)
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], cwd=checkout)
    return python


def _uv() -> str | None:
    return shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def _run(command: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command and return its output. Raises CheckoutFailed with the end of what it wrote."""
    try:
        ended = subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS
        )
    except FileNotFoundError as error:
        raise CheckoutFailed(f"{command[0]} is not installed.") from error
    except subprocess.TimeoutExpired as error:
        raise CheckoutFailed(f"{' '.join(command)} took longer than {_TIMEOUT_SECONDS} s.") from error
    if ended.returncode != 0:
        raise CheckoutFailed(f"{' '.join(command)} failed:\n{(ended.stderr or ended.stdout)[-3000:].strip()}")
    return ended.stdout
