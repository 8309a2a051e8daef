"""A kernel that the system ended for want of memory is told as such, below the cell that ran.

JupyterLab says only that a kernel "appears to have died".
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

# Of version 2 and 1 of the kernel's control groups, as a container sees its own.
_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))
_COUNT = re.compile(r"^oom_kill (\d+)$", re.MULTILINE)
_MIB = 1024 * 1024


def kills() -> int:
    """How many processes of this container the system has ended for want of memory; 0 where nothing tells."""
    for counter in _COUNTERS:
        try:
            found = _COUNT.search(counter.read_text())
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0


def sentence(limit: str) -> str:
    """What is told to the user; `limit` is MEM_LIMIT, in bytes."""
    has = f"has {_told(int(limit))}" if limit.isdecimal() and int(limit) else "had no more"
    # In lines of its own, since Lab would break them in the middle of words.
    return (
        f"Out of memory: this server {has}, and its kernel was ended for using it up.\n"
        "What it had computed is gone; your files are not.\n"
        "Use less at once, shut down other kernels, or stop the server\n"
        "(File, Hub Control Panel) and start it with more memory."
    )


def _told(number: int) -> str:
    mib = number / _MIB
    return f"{mib / 1024:.4g} GiB" if mib >= 1024 else f"{mib:.0f} MiB"  # noqa: PLR2004 - MiB in a GiB


class Connection(ZMQChannelsWebsocketConnection):  # type: ignore[misc] # no types there
    """A page's connection to a kernel, which says why the kernel died."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._running: dict[str, Any] | None = None  # the header of the request whose cell runs
        self._kills_before = kills()

    def handle_outgoing_message(self, stream: Any, outgoing_msg: list[Any]) -> None:
        """Remember the cell that runs, and pass the message on."""
        if getattr(stream, "channel", "") == "iopub":
            _, (_, header, parent, *_) = self.session.feed_identities(outgoing_msg)
            if b'"execute_input"' in header:
                self._running = self.session.unpack(parent)
                self._kills_before = kills()
        super().handle_outgoing_message(stream, outgoing_msg)

    def on_kernel_restarted(self) -> None:
        """The kernel has died, and starts again."""
        if self._ran_out():
            self.write_stderr(sentence(os.environ.get("MEM_LIMIT", "")), self._running)
        self._kills_before = kills()
        super().on_kernel_restarted()

    def _ran_out(self) -> bool:
        process = getattr(self.kernel_manager.provisioner, "process", None)
        killed = process is not None and process.poll() == -signal.SIGKILL
        return killed and kills() > self._kills_before
