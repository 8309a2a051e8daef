"""A Podman of the test's own, which serves its Docker-compatible API on a socket."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker

from harness.hub import PATIENCE, wait_for
from harness.skips import program_or_skip

# Podman's own defaults are more than it is granted in a container or virtual machine. Both numbers
# are the same, since Podman 4 takes one for the other.
_CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
"""


@contextmanager
def running_podman(folder: Path) -> Iterator[str]:
    """The address of a Podman that keeps all it has in a folder, and leaves none of it."""
    # Not crun, which refuses to run beside both versions of cgroups.
    command = [program_or_skip("podman"), "--runtime", program_or_skip("runc"), "--cgroup-manager", "cgroupfs"]
    command += ["--network-backend", "netavark", "--events-backend", "file"]
    command += [word for name in ("root", "runroot", "tmpdir") for word in (f"--{name}", str(folder / name))]
    command += ["--network-config-dir", str(folder / "networks")]
    configuration = folder / "containers.conf"
    configuration.write_text(_CONFIGURATION)
    environment = {**os.environ, "CONTAINERS_CONF": str(configuration)}
    socket = folder / "podman.sock"
    serve = ["system", "service", "--time=0", f"unix://{socket}"]
    with (folder / "podman.log").open("wb") as log:
        # What it mounts, and what its containers' late clean-up mounts anew after a reset, is mounted in a
        # namespace that ends with them: a mount that stays keeps every later run of pytest from clearing up.
        service = subprocess.Popen(["unshare", "--mount", *command, *serve], env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: _answers(socket, service), "Podman")
        with Path(f"/proc/{service.pid}/ns/mnt").open("rb") as mounts:  # which stays, should Podman end by itself
            enter = ["nsenter", f"--mount=/proc/self/fd/{mounts.fileno()}"]
            reset = [*enter, *command, "system", "reset", "--force"]
            try:
                yield f"unix://{socket}"
            finally:
                _end(service)
                subprocess.run(
                    reset, env=environment, capture_output=True, check=False, pass_fds=[mounts.fileno()], timeout=120
                )
    finally:
        _end(service)


def _end(service: subprocess.Popen[bytes]) -> None:
    """Idempotent."""
    service.terminate()
    service.wait(PATIENCE)


def _answers(socket: Path, service: subprocess.Popen[bytes]) -> bool:
    assert service.poll() is None, f"podman ended with exit code {service.returncode}"
    if not socket.exists():
        return False
    with closing(docker.APIClient(f"unix://{socket}")) as client:
        return bool(client.ping())
