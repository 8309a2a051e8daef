"""A kernel that computes is use of its server, although no page asks it for anything.

Jupyter Server takes the last message from a kernel for its last use, so that a
long silent computation would look idle. This extension says "in use now" for as
long as any kernel is busy. `STATEROOM_BUSY_IS_USE=0` turns it off.
"""
# ruff: noqa: INP001 - it is copied to where the image's Python looks for modules

import asyncio
import os
from datetime import UTC, datetime

_LOOK_SECONDS = 5
_SETTING = "stateroom_last_activity"  # Jupyter Server counts every setting whose name ends like this


def _jupyter_server_extension_points():
    return [{"module": __name__}]


def _load_jupyter_server_extension(server):
    if os.environ.get("STATEROOM_BUSY_IS_USE") != "0":
        server.io_loop.add_callback(_watch, server)


async def _watch(server):
    while True:
        if any(kernel["execution_state"] == "busy" for kernel in server.kernel_manager.list_kernels()):
            server.web_app.settings[_SETTING] = datetime.now(UTC)
        await asyncio.sleep(_LOOK_SECONDS)
