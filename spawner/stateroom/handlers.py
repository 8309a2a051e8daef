"""What Stateroom adds to the hub's own API, below `/hub/api/stateroom`.

- `GET users/NAME/options`: what this user may choose, as JSON Schema, for
  whoever may start servers for the user.
- `idle/...`: the parts of the hub's API that the idle culler uses, at an
  address of their own, so that a stop by the culler can be told from a stop by
  a person.
"""

from __future__ import annotations

import json
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.apihandlers.hub import RootAPIHandler
from jupyterhub.apihandlers.users import UserListAPIHandler, UserServerAPIHandler
from jupyterhub.scopes import needs_scope, scope_definitions
from tornado import web

from stateroom.idle import ADDRESS
from stateroom.schema import schema_from_allowance
from stateroom.spawner import StateroomSpawner, stopped_as_idle

# JupyterHub 6 split starting from stopping.
_START = "start:servers" if "start:servers" in scope_definitions else "servers"


class OptionsHandler(APIHandler):
    """What a user may choose."""

    @needs_scope(_START)  # type: ignore[untyped-decorator] # JupyterHub carries no types
    async def get(self, user_name: str) -> None:
        """Answer with the schema; the allowance is the named user's, whoever asks."""
        user = self.find_user(user_name)
        if user is None:
            raise web.HTTPError(404)
        spawner = user.spawner
        if not isinstance(spawner, StateroomSpawner):
            raise web.HTTPError(404, "The servers of this hub are not started by Stateroom.")
        self.set_header("Content-Type", "application/schema+json")
        self.finish(json.dumps(schema_from_allowance(spawner.allowance(), await spawner.left())))


class IdleStopHandler(UserServerAPIHandler):
    """Stops a server because it is idle."""

    async def delete(self, user_name: str, server_name: str = "") -> None:
        """As the hub's own, with the reason told to the spawner."""
        stopped_as_idle.set(True)
        await super().delete(user_name, server_name)


def handlers() -> list[tuple[str, Any]]:
    """For `JupyterHub.extra_handlers`."""
    idle = f"/api{ADDRESS}"
    return [
        (r"/api/stateroom/users/([^/]+)/options", OptionsHandler),
        (f"{idle}/", RootAPIHandler),
        (f"{idle}/users", UserListAPIHandler),
        (f"{idle}/users/([^/]+)/server", IdleStopHandler),
        (f"{idle}/users/([^/]+)/servers/([^/]*)", IdleStopHandler),
    ]
