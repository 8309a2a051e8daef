"""A Podman of the test's own, which serves its Docker-compatible API on a socket."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker

from harness.hub import wait_for
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
    with (folder / "podman.log").open("wb") as log:
        service = subprocess.Popen(
            [*command, "system", "service", "--time=0", f"unix://{socket}"], env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(lambda: _answers(socket, service), "Podman")
        yield f"unix://{socket}"
    finally:
        service.terminate()
        service.wait()
        subprocess.run([*command, "system", "reset", "--force"], env=environment, capture_output=True, check=False)
        unmount_below(folder)


def unmount_below(folder: Path) -> None:
    """Podman's reset may leave its storage mounted, and then no later run of pytest could clear the folder away."""
    mounted = [Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines()]
    for place in sorted((place for place in mounted if place.is_relative_to(folder)), reverse=True):
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _answers(socket: Path, service: subprocess.Popen[bytes]) -> bool:
    assert service.poll() is None, f"podman ended with exit code {service.returncode}"
    if not socket.exists():
        return False
    with closing(docker.APIClient(f"unix://{socket}")) as client:
        return bool(client.ping())
