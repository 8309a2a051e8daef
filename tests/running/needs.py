"""What suites need, each met once a run."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from harness import cluster
from running.debian import install_packages, may_install_packages, package_manager
from running.environments import VENV_OF_HUB5, install_locked, install_package
from running.outcome import MissingRequirement
from running.output import say
from running.processes import CACHE, call, tool

ENGINE = CACHE / "test-engine"  # its log stays there

_IMAGE_SECONDS = 40 * 60.0
_STOP_SECONDS = 90.0


def once(meet: Callable[[], None]) -> Callable[[], None]:
    """Meet a need once a run, whichever lane asks first; one that is missing is not tried again."""
    lock = threading.Lock()
    answers: list[MissingRequirement | None] = []

    @wraps(meet)
    def met() -> None:
        with lock:
            if not answers:
                answers.append(_missing(meet))
        if reason := answers[0]:
            raise MissingRequirement(str(reason))

    return met


def _missing(meet: Callable[[], None]) -> MissingRequirement | None:
    try:
        meet()
    except MissingRequirement as reason:
        return reason
    return None


@once
def need_hub5() -> None:
    """The newest JupyterHub 5, in a virtual environment of its own."""
    install_package(VENV_OF_HUB5, "jupyterhub5")


@once
def need_comparison_spawners() -> None:
    """The spawners that ours is compared with."""
    install_locked("benchmark")


@once
def need_engine() -> None:
    """A Docker engine that answers: one that is there, else one of our own."""
    with package_manager:  # with which it installs one
        if call([tool("python"), "tests/harness/engine.py", "up", str(ENGINE)]) != 0:
            raise MissingRequirement("no Docker engine answers, and none could be started; the reason is above")


@once
def need_image() -> None:
    """The unified image, built from the checkout's files."""
    if may_install_packages() and not shutil.which("mmdebstrap"):
        # The build would install it by itself, and find the package manager taken by the other lanes.
        install_packages("mmdebstrap", "debian-archive-keyring")
    say("Building the unified image, if its files changed ...")
    if call([tool("stateroom"), "images", "build", "unified"], limit=_IMAGE_SECONDS) != 0:
        raise MissingRequirement("the unified image could not be built; the reason is above")


@once
def need_cluster() -> None:
    """A Kubernetes cluster: the one that STATEROOM_TEST_KUBECONFIG names, else one of our own."""
    if os.environ.get("STATEROOM_TEST_KUBECONFIG"):
        return
    need_cluster_programs()
    if call([tool("python"), "tests/harness/cluster", "up", str(cluster.FOLDER)]) != 0:
        raise MissingRequirement("no Kubernetes cluster could be started; the reason is above")


@once
def need_cluster_programs() -> None:
    """The programs and packages that a cluster of our own is started from."""
    if cluster.programs_folder() is None:
        raise MissingRequirement(
            "the programs of a Kubernetes cluster are not found: no shared/cluster/bin beside or above the checkout, "
            "and STATEROOM_CLUSTER_PROGRAMS names no folder. STATEROOM_TEST_KUBECONFIG may name a cluster that runs"
        )
    if packages := cluster.missing_packages():
        install_packages(*packages)


@once
def need_browser() -> None:
    """Debian's Chromium, with a font."""
    if not shutil.which("chromium"):
        install_packages("chromium", "fonts-dejavu-core")


@once
def need_registry() -> None:
    """Debian's image registry, which tests start on the loopback interface, and what a small image is made of."""
    if not (shutil.which("docker-registry") and shutil.which("busybox")):
        install_packages("docker-registry", "busybox-static")


@once
def need_network_tools() -> None:
    """What engines and networks of the tests' own take: a small disk, a host outside, a registry."""
    need_registry()
    if not (shutil.which("mkfs.ext4") and shutil.which("ip")):
        install_packages("e2fsprogs", "iproute2")


@once
def need_podman() -> None:
    """Debian's Podman, with its networks and the first process of a server."""
    if not (shutil.which("podman") and Path("/usr/lib/podman/netavark").exists() and shutil.which("catatonit")):
        install_packages("podman", "netavark", "catatonit")


@once
def need_postgresql() -> None:
    """Debian's PostgreSQL, of which tests start one of their own."""
    if not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        install_packages("postgresql")


def stop_own_engine() -> None:
    """Stop the engine that the tests started, unless it shall stay for the next run."""
    if ENGINE.exists() and not os.environ.get("STATEROOM_KEEP_ENGINE"):
        call([tool("python"), "tests/harness/engine.py", "down", str(ENGINE)], limit=_STOP_SECONDS)


def stop_own_cluster() -> None:
    """Stop the cluster that the tests started, unless it shall stay for the next run."""
    if cluster.FOLDER.exists() and not os.environ.get("STATEROOM_KEEP_ENGINE"):
        call([tool("python"), "tests/harness/cluster", "down", str(cluster.FOLDER)], limit=_STOP_SECONDS)
