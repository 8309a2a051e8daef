"""The extension of Jupyter Server: what is done once it answers."""

from __future__ import annotations

from typing import Any

from stateroom_notebook import activity, spare, start


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    server.io_loop.add_callback(_running, server)


async def _running(server: Any) -> None:
    start.running()
    spare.keep()
    await activity.watch(server)
