"""`GET /hub/api/stateroom/users/NAME/options`: what a user may choose, as JSON Schema.

It is for clients that build a form of their own, and open to whoever may start
servers for the user.
"""

from __future__ import annotations

import json
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.scopes import needs_scope, scope_definitions
from tornado import web

from stateroom.hub.spawner import StateroomSpawner, members_of, person_of
from stateroom.offers.schema import schema_from_allowance
from stateroom.runtime.runtime import RuntimeSettings, runtime_for
from stateroom.workloads.names import ServerRef

# JupyterHub 6 split starting from stopping.
_START = "start:servers" if "start:servers" in scope_definitions else "servers"


class OptionsHandler(APIHandler):
    """What a user may choose."""

    def initialize(self, runtime: RuntimeSettings) -> None:
        """Keep which runtime is asked; the hub starts no spawner for that."""
        self._runtime = runtime

    @needs_scope(_START)  # type: ignore[untyped-decorator] # JupyterHub carries no types
    async def get(self, user_name: str) -> None:
        """Answer with the schema; the allowance is the named user's, whoever asks."""
        user = self.find_user(user_name)
        if user is None:
            raise web.HTTPError(404)
        if not issubclass(self.settings["spawner_class"], StateroomSpawner):
            raise web.HTTPError(404, "The servers of this hub are not started by Stateroom.")
        runtime = runtime_for(self._runtime)
        allowance = runtime.allowance(person_of(user))
        server = ServerRef(runtime.settings.hub_id, user.name, "")
        left = await runtime.admissions.left(server, allowance, members_of(allowance, self.db))
        self.set_header("Content-Type", "application/schema+json")
        self.finish(json.dumps(schema_from_allowance(allowance, left)))


def handlers(runtime: RuntimeSettings) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return what `JupyterHub.extra_handlers` needs for this."""
    return [(r"/api/stateroom/users/([^/]+)/options", OptionsHandler, {"runtime": runtime})]
