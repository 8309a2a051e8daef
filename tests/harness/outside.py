"""What lies beyond the engine's machine, played by a network namespace: no packet leaves the machine."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

METADATA = "169.254.169.254"
SOMEWHERE = "198.51.100.7"  # an address of nobody's, kept for examples
_NEAR, _FAR = "203.0.113.1", "203.0.113.2"
NEXT_HOP = _FAR
OUTSIDE = "-n"  # how the name of the interface ends that leads there

_LISTENER = """
import socket
with socket.create_server(("", 80)) as server:
    print(flush=True)
    while True:
        server.accept()[0].close()
"""


# Tries a connection inside a container. Long enough for a slow machine, unless a third word says how many seconds;
# what is refused is refused at once.
CONNECT = """
import socket, sys
try:
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 20
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=seconds).close()
    print("open")
except ConnectionRefusedError:
    print("refused")
except OSError as error:
    print(error)
"""


@contextmanager
def outside(*more: str) -> Iterator[Callable[[str, int], str]]:
    """A host at both addresses that listens at port 80, one hop away. It has `more` addresses without a way to them.

    Yields what tries a connection from there to an address of this machine.
    """
    space = f"test-{uuid4().hex[:8]}"
    near, far = f"{space[5:]}{OUTSIDE}", f"{space[5:]}-f"
    _ip("netns", "add", space)
    try:
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
        _ip("address", "add", f"{_NEAR}/30", "dev", near)
        _ip("link", "set", near, "up")
        for words in ("link set lo up", f"link set {far} up", f"address add {_FAR}/30 dev {far}"):
            _ip("-n", space, *words.split())
        for address in (METADATA, SOMEWHERE):
            _ip("-n", space, "address", "add", f"{address}/32", "dev", "lo")
            _ip("route", "add", f"{address}/32", "via", _FAR)
        for address in more:
            _ip("-n", space, "address", "add", f"{address}/32", "dev", "lo")
        listener = ["ip", "netns", "exec", space, sys.executable, "-c", _LISTENER]
        with subprocess.Popen(listener, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                process.stdout.readline()

                def tried(address: str, port: int) -> str:
                    _ip("-n", space, "route", "replace", f"{address}/32", "via", _NEAR)
                    command = ["ip", "netns", "exec", space, sys.executable, "-c", CONNECT, address, str(port)]
                    return subprocess.run(
                        command, capture_output=True, text=True, check=True, timeout=60
                    ).stdout.strip()

                yield tried
            finally:
                process.kill()
    finally:
        # Both ends of the cable and the routes go with one, which a namespace would take its time for.
        subprocess.run(["ip", "link", "delete", near], check=False, timeout=120)
        _ip("netns", "delete", space)


@contextmanager
def listening(address: str, port: int = 0) -> Iterator[int]:
    """A program of this machine that takes connections there; its port."""
    with socket.create_server((address, port)) as server:

        def serve() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(30)


def packet_rules(hub: str = "") -> list[str]:
    """The lines of the machine's packet filter that are ours: those of one hub, or all."""
    saved = subprocess.run(
        ["iptables-save", "-t", "filter"], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    mark = f'"stateroom hub {hub} ' if hub else "STATEROOM"
    return [re.sub(r"\[.*\]", "", line) for line in saved.splitlines() if mark in line]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, timeout=120)
