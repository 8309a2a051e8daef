"""The hub's HTTP server, with bounds on what one server of a user may take of it.

On Docker the packet rules refuse a server's surplus connections before they reach
the hub. Network policies of a cluster cannot, so the hub does it itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from stateroom.common.quantity import MiB
from stateroom.workloads.server import CONNECTIONS_TO_HUB

_IDLE_SECONDS = 120.0  # until the next request's headers are there
_BODY_SECONDS = 120.0
_BODY_BYTES = 10 * MiB  # the hub's API takes lists of users, and nothing larger


def bound_connections(is_server: Callable[[str], bool]) -> None:
    """Have this process's HTTP servers bound. `is_server` returns whether a server is at an IP address. Idempotent."""
    HTTPServer.configure(BoundedHTTPServer, is_server=is_server)


class BoundedHTTPServer(HTTPServer):
    """Closes a server's surplus connections at once, and each that stalls in the middle of a request."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Take the bounds for what JupyterHub leaves open. See HTTPServer.initialize."""
        self._is_server: Callable[[str], bool] = kwargs.pop("is_server")
        bounds = {
            "idle_connection_timeout": _IDLE_SECONDS,
            "body_timeout": _BODY_SECONDS,
            "max_body_size": _BODY_BYTES,
        }
        super().initialize(*args, **(bounds | kwargs))
        self._open: Counter[str] = Counter()  # connections by where they come from

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """Serve a connection, or close it if it is one too many. The proxy may have any number."""
        source = _host(address)
        if self._open[source] >= CONNECTIONS_TO_HUB and self._is_server(source):
            stream.close()
            return
        self._open[source] += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: Any) -> None:
        """Count a connection no more."""
        source = _host(server_conn.context.address)
        self._open[source] -= 1
        if not self._open[source]:
            del self._open[source]
        super().on_close(server_conn)


def _host(address: Any) -> str:
    """Return the IP address of a socket's other end, "" for a Unix socket."""
    return str(address[0]).removeprefix("::ffff:") if isinstance(address, tuple) and address else ""
