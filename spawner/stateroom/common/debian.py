"""Debian's package manager, as far as Stateroom installs something with it. Pure."""

from __future__ import annotations

# A machine that has just been made installs its upgrades first, which takes minutes.
_LOCK_SECONDS = 600


def install_command(*packages: str) -> list[str]:
    """Return the command that installs packages, and waits while another program installs some."""
    options = ["--yes", "--no-install-recommends", "-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}"]
    return ["apt-get", "install", *options, *packages]
