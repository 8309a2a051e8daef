"""A hub's claim on its id, on the machine that it runs on.

Two hubs with one id, such as that of a copied data folder beside the original,
would write over each other's packet rules, and stop each other's servers. The
claim is a socket with a name of the kernel's own, which goes with the process
that holds it, however that ends.
"""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path

from stateroom.common.errors import SetupError

_CREDENTIALS = struct.Struct("3i")  # process, user, group
_TIMEOUT_SECONDS = 5.0


def claim(hub_id: str) -> socket.socket:
    """Claim the id until the socket is closed. Raises SetupError if another process has it."""
    own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        own.bind(_name(hub_id))
    except OSError as error:
        own.close()
        if error.errno != errno.EADDRINUSE:
            raise
        require_unclaimed(hub_id)
        raise SetupError(f'Another hub with the id "{hub_id}" was just ending. Start this one again.') from error
    own.listen()
    return own


def require_unclaimed(hub_id: str) -> None:
    """Raise SetupError if a hub with this id runs here, with its process and the folder that it runs in."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(_TIMEOUT_SECONDS)
        try:
            asking.connect(_name(hub_id))
        except ConnectionRefusedError:
            return
        except TimeoutError:
            process = 0  # it is there, and many ask it
        else:
            process, _, _ = _CREDENTIALS.unpack(
                asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
    raise SetupError(
        f'Another hub with the id "{hub_id}" runs on this machine{_where(process)}. Two of one id would take each '
        "other's servers: stop that one, or give this one an id of its own (`hub:` in the catalog)."
    )


def _name(hub_id: str) -> str:
    return f"\0stateroom hub {hub_id}"


def _where(process: int) -> str:
    if not process:
        return ""
    try:
        return f" (process {process}, in {Path('/proc', str(process), 'cwd').readlink()})"
    except OSError:
        return f" (process {process})"
