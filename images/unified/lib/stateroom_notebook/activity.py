"""A kernel that computes is use of its server, although no page asks it for anything.

Jupyter Server takes the last message from a kernel for its last use, so that a
long silent computation would look idle. This says "in use now" for as long as
any kernel is busy. `STATEROOM_BUSY_IS_USE=0` turns it off.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Any

_LOOK_SECONDS = 5
_SETTING = "stateroom_last_activity"  # Jupyter Server counts every setting whose name ends like this


async def watch(server: Any) -> None:
    """Look at the kernels for as long as the server runs."""
    if os.environ.get("STATEROOM_BUSY_IS_USE") == "0":
        return
    while True:
        if any(kernel["execution_state"] == "busy" for kernel in server.kernel_manager.list_kernels()):
            server.web_app.settings[_SETTING] = datetime.now(UTC)
        await asyncio.sleep(_LOOK_SECONDS)
