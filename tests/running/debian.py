"""Debian packages, installed where this may be done; one installation at a time."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from functools import cache

from running.outcome import MissingRequirement
from running.output import say
from running.processes import commands

_LIMIT_SECONDS = 15 * 60.0
_LOCK_SECONDS = 5 * 60  # a new machine may install its own upgrades meanwhile

package_manager = threading.RLock()  # for whatever installs packages, directly or not


def may_install_packages() -> bool:
    """Whether this machine is a Debian and we are root."""
    return bool(shutil.which("apt-get")) and os.geteuid() == 0


def install_packages(*packages: str) -> None:
    """Install Debian packages, or raise MissingRequirement."""
    names = " ".join(packages)
    if not shutil.which("apt-get"):
        raise MissingRequirement(f"{names} cannot be installed without apt-get; install them and run ./test again")
    if os.geteuid() != 0:
        raise MissingRequirement(f"{names} can only be installed by root; run: apt-get install {names}")
    with package_manager:
        say(f"Installing {names} ...")
        _update_package_lists()
        options = ["-o", "Dpkg::Use-Pty=0", "-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}"]
        quietly = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", *options]
        failure = _run([*quietly, "install", "--yes", "--no-install-recommends", *packages])
    if failure:
        say(failure)
        raise MissingRequirement(f"{names} could not be installed; the reason is above")


@cache
def _update_package_lists() -> None:
    """Once a run; what fails here shows when packages are installed."""
    _run(["apt-get", "-qq", "update"])


def _run(command: list[str]) -> str:
    """Run a command; what it printed if it failed, else ""."""
    limit = commands.limit(_LIMIT_SECONDS)
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)} took longer than {limit:.0f} s and was ended."
    return (done.stdout or f"exit code {done.returncode}") if done.returncode else ""
