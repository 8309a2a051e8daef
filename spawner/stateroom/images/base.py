"""The Debian image that ours are built on: from a registry where one answers, elsewhere made by mmdebstrap."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import docker
from docker.errors import APIError, ImageNotFound
from requests.exceptions import RequestException

from stateroom.common.debian import install_command
from stateroom.common.errors import SetupError
from stateroom.common.text import printable
from stateroom.images.build_steps import TAIL, BuildStep, Report, failure

REGISTRY_BASE = "debian:trixie-slim"
OWN_BASE = "stateroom/base:trixie"
_RELEASE = "trixie"
_SUITES = ("", "-updates", "-security")  # of a release: what it is, its late updates, its security fixes

# What debian:trixie-slim leaves out too. Licences stay.
_LEFT_OUT = """\
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/lintian/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
"""
# mmdebstrap's own way (--dpkgopt) filters each of the first packages by a program of its own. Here their files are
# removed, and dpkg leaves out those of all that follow.
_LEAVE_OUT = f"""\
#!/bin/sh -e
cd "$1"
cat >etc/dpkg/dpkg.cfg.d/left-out <<'END'
{_LEFT_OUT}END
find usr/share/doc -type f ! -name copyright -delete
find usr/share/info usr/share/lintian usr/share/locale usr/share/man -mindepth 1 -delete
"""

_REGISTRY_PATIENCE = 5  # seconds; a registry that answers does so in one


def debian_base(engine: docker.APIClient, report: Report, log: TextIO, *, renew: bool) -> str:
    """Return the reference of a Debian base image, which is on the engine afterwards. Raises SetupError."""
    if not renew:
        for reference in (REGISTRY_BASE, OWN_BASE):
            if has_image(engine, reference):
                return reference
    report(BuildStep(0, 1, f"Asking the registry for {REGISTRY_BASE}"))
    if _pulled(engine, log):
        return REGISTRY_BASE
    report(BuildStep(0, 1, "No registry answers; making a Debian base with mmdebstrap"))
    _bootstrap(engine, log)
    return OWN_BASE


def _pulled(engine: docker.APIClient, log: TextIO) -> bool:
    try:
        with _patience(engine, _REGISTRY_PATIENCE):
            engine.inspect_distribution(REGISTRY_BASE)
        repository, _, tag = REGISTRY_BASE.partition(":")
        entries = engine.pull(repository, tag=tag, stream=True, decode=True)
        log.writelines(f"{entry.get('error') or entry.get('status', '')}\n" for entry in entries)
    except (APIError, RequestException) as error:
        log.write(f"No base image from a registry: {error}\n")
        return False
    return has_image(engine, REGISTRY_BASE)


def has_image(engine: docker.APIClient, reference: str) -> bool:
    """Return whether the engine has an image under a reference."""
    try:
        engine.inspect_image(reference)
    except ImageNotFound:
        return False
    return True


@contextmanager
def _patience(engine: docker.APIClient, seconds: int) -> Iterator[None]:
    before, engine.timeout = engine.timeout, seconds
    try:
        yield
    finally:
        engine.timeout = before


def _bootstrap(engine: docker.APIClient, log: TextIO) -> None:
    program = shutil.which("mmdebstrap") or _install_mmdebstrap(log)
    with tempfile.TemporaryDirectory(prefix="stateroom-base-") as folder:
        archive, leave_out = Path(folder) / "base.tar", Path(folder) / "leave-out"
        leave_out.write_text(_LEAVE_OUT)
        leave_out.chmod(0o755)
        options = ["--variant=minbase", "--format=tar", f"--extract-hook={leave_out}"]
        _run([program, *options, _RELEASE, str(archive), *_mirrors()], log)
        repository, _, tag = OWN_BASE.partition(":")
        answer = engine.import_image_from_file(str(archive), repository=repository, tag=tag)
    if '"error"' in answer:
        raise SetupError(failure("Importing the Debian base", [], answer))


def _install_mmdebstrap(log: TextIO) -> str:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(
            "no registry answers and mmdebstrap is not installed. "
            f"Run `apt-get install mmdebstrap` as root, or load the image {REGISTRY_BASE} into Docker."
        )
    install = install_command("mmdebstrap", "debian-archive-keyring")
    try:
        _run(install, log)
    except SetupError:  # the machine's lists of packages are missing or too old
        # One of the machine's sources may fail without being one that matters here.
        _run(["apt-get", "update"], log, check=False)
        _run(install, log)
    return "mmdebstrap"


def _mirrors() -> list[str]:
    """Where this machine gets Debian from, for our release, as far as a container without certificates can use it.

    None where this machine is no Debian: mmdebstrap then takes Debian's own.
    """
    if not shutil.which("apt-get"):
        return []
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Origin: Debian"],
        capture_output=True,
        text=True,
        check=False,
    )
    return sources_for(_RELEASE, listed.stdout)


def sources_for(release: str, listed: str) -> list[str]:
    """The lines for apt of a release on the mirrors that another release uses (`URI CODENAME COMPONENT` a line).

    None where the release itself, without its updates, would be missing.
    """
    found = set()
    for line in listed.splitlines():
        uri, codename, component = line.split()
        _, dash, rest = codename.partition("-")
        if uri.startswith("http://") and dash + rest in _SUITES:
            found.add(f"deb {uri} {release}{dash}{rest} {component}")
    return sorted(found) if any(line.split()[2] == release for line in found) else []


def _run(command: list[str], log: TextIO, *, check: bool = True) -> None:
    ended = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        check=False,
    )
    log.write(ended.stdout)
    if check and ended.returncode:
        tail = [printable(line).strip() for line in ended.stdout.splitlines()[-TAIL:]]
        raise SetupError(failure(Path(command[0]).name, tail, f"exit status {ended.returncode}"))
