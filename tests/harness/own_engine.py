"""A Docker engine of the test's own, which it may stop, kill, freeze and fill up.

Engines that share a network share its packet filter, and one that starts takes
away rules of the other. So `own_network` gives this process, and all that it
starts, a network of its own; paths and sockets in the file system stay shared.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import signal
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from harness.hub import wait_for
from harness.skips import program_or_skip

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

_POOL = "base=10.213.0.0/16,size=24"

# Answers like a server.
_SERVE = """\
mkdir -p "/tmp/www$JUPYTERHUB_SERVICE_PREFIX"
echo alive > "/tmp/www$JUPYTERHUB_SERVICE_PREFIX/api"
exec httpd -f -p 8888 -h /tmp/www
"""


@contextmanager
def own_network() -> Iterator[None]:
    """A network for this process with nothing but a loopback interface; needs root."""
    with Path("/proc/thread-self/ns/net").open("rb") as before:
        _checked(_LIBC.unshare(_CLONE_NEWNET))
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=120)
            yield
        finally:
            _checked(_LIBC.setns(before.fileno(), _CLONE_NEWNET))


class OwnEngine:
    """A dockerd with a folder of its own. Runs from `start` to `stop` or `kill`, as often as wanted."""

    def __init__(self, folder: Path, mirror: str = "", *, builds: bool = False) -> None:
        """`mirror` is the address of a registry that it asks instead of its default one.

        One that `builds` images has a bridge of its own, which BuildKit needs.
        """
        self.root = folder / "root"
        self.socket = folder / "engine.sock"
        self.host = f"unix://{self.socket}"
        self._folder = folder
        self._settings = folder / "daemon.json"
        self._settings.write_text(json.dumps({"registry-mirrors": [f"http://{mirror}"]} if mirror else {}))
        self._bridge = [] if builds else ["--bridge=none"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """All that it said."""
        return self._folder / "dockerd.log"

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            program_or_skip("dockerd"),
            *("--config-file", self._settings),
            *("--data-root", self.root),
            *("--exec-root", self._folder / "exec"),
            *("--pidfile", self._folder / "pid"),
            *("--host", self.host),
            *self._bridge,
            *("--default-address-pool", _POOL),
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self.answers, "the engine")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it: SIGTERM in order, SIGKILL as a crash does."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(60)
        # Whoever connects to what it left behind is refused, as with systemd's socket gone.
        self.socket.unlink(missing_ok=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections and answers none. What was asked meanwhile is done afterwards."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def set_live_restore(self, live: bool) -> None:
        """Whether containers outlive it, from now on."""
        assert self._process is not None
        self._settings.write_text(json.dumps({"live-restore": live}))
        self._process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.info()["LiveRestoreEnabled"] is live, "the engine's new settings")

    def answers(self) -> bool:
        """Whether it answers now."""
        assert self._process is not None
        assert self._process.poll() is None, f"dockerd ended:\n{self.log.read_text(errors='replace')[-3000:]}"
        try:
            return bool(self.info())
        except (DockerException, RequestException, OSError):
            return False

    def info(self) -> dict[str, Any]:
        """What it says of itself."""
        with self.client() as client:
            found: dict[str, Any] = client.info()
            return found

    @contextmanager
    def client(self) -> Iterator[docker.APIClient]:
        """A client of it, straight."""
        # The socket is tried first, since the SDK leaks the connection that it does not get.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.socket))
        with contextlib.closing(docker.APIClient(self.host)) as client:
            yield client

    def load_server_image(self, tag: str, ballast: int = 0) -> None:
        """The smallest server that a hub takes for one, and bytes that are of no use."""
        name, _, version = tag.rpartition(":")
        changes = ["USER 1000", 'CMD ["/bin/sh", "/serve"]']
        with self.client() as client:
            client.import_image_from_data(smallest_server(ballast), name, version, changes=changes)

    def end(self) -> None:
        """End it and all that runs on it."""
        if not self.runs:
            return
        with contextlib.suppress(DockerException), self.client() as client:
            for container in client.containers(all=True):
                client.remove_container(container["Id"], force=True, v=True)
        self.stop()


def smallest_server(ballast: int) -> bytes:
    """The file system of an image: a shell and a web server."""
    busybox = Path(program_or_skip("busybox")).read_bytes()
    programs = ("sh", "httpd", "mkdir", "rm", "sleep", "cat", "id")
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            _add(tar, "bin/busybox", busybox)
            _add(tar, "etc/passwd", b"ada:x:1000:1000::/home/ada:/bin/sh\n")
            _add(tar, "serve", _SERVE.encode())
            _add(tar, "ballast", os.urandom(ballast))
            for program in programs:
                link = tarfile.TarInfo(f"bin/{program}")
                link.type, link.linkname, link.mode = tarfile.LNKTYPE, "bin/busybox", 0o755
                tar.addfile(link)
            room = tarfile.TarInfo("tmp")
            room.type, room.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(room)
        return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o755
    tar.addfile(entry, io.BytesIO(data))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
