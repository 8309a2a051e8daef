"""The parts of the hub's API that the idle culler uses, at addresses of their own below `/hub/api/stateroom/idle`.

So a stop by the culler can be told from a stop by a person.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.apihandlers.hub import RootAPIHandler
from jupyterhub.apihandlers.users import UserListAPIHandler, UserServerAPIHandler

from stateroom.hub.form.request import stopped_as_idle
from stateroom.hub.services.idle import ADDRESS


class IdleStopHandler(UserServerAPIHandler):
    """Stops a server because it is idle."""

    async def delete(self, user_name: str, server_name: str = "") -> None:
        """Stop it as the hub's own handler does, with the reason kept for the spawner."""
        stopped_as_idle.set(True)
        await super().delete(user_name, server_name)


def handlers() -> list[tuple[str, Any]]:
    """Return what `JupyterHub.extra_handlers` needs for this."""
    idle = f"/api{ADDRESS}"
    return [
        (f"{idle}/", RootAPIHandler),
        (f"{idle}/users", UserListAPIHandler),
        (f"{idle}/users/([^/]+)/server", IdleStopHandler),
        (f"{idle}/users/([^/]+)/servers/([^/]*)", IdleStopHandler),
    ]
