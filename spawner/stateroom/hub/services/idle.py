"""The service that stops idle servers: jupyterhub-idle-culler, with the catalog's rule.

The hub runs `python -m stateroom.hub.services.idle CATALOG PID` beside itself, PID being its
own. The rule is read from the catalog before each round, so that a saved change
counts without a restart. The service talks to the hub through addresses of its
own (`stateroom.hub.api.idle`), by which the hub can tell its stops from those of
users.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from jupyterhub_idle_culler import cull_idle
from tornado.httpclient import HTTPError

from stateroom.catalog.watch import CatalogFile
from stateroom.common.errors import CatalogError
from stateroom.common.parent_death import end_with_parent
from stateroom.common.quantity import format_duration

SERVICE = "stateroom-idle"
SCOPES = ("list:users", "read:users:activity", "read:servers", "delete:servers", "admin:server_state")
ADDRESS = "/stateroom/idle"  # below the hub's API

_ROUNDS_IN_IDLE_TIME = 6
_SHORTEST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
_LOOK_SECONDS = 0.5
_USUAL_INTERVAL = 300

log = logging.getLogger("stateroom.hub.services.idle")


async def stop_idle_servers(file: CatalogFile, hub: str, token: str) -> None:
    """Stop what is idle by the catalog's rule, round after round, until cancelled. `hub` is its API's address."""
    loop = asyncio.get_running_loop()
    rule, next_round = None, 0.0
    while True:
        file.look()
        if rule != (stop_after := file.catalog.idle.stop_after):
            log.info("Idle servers are stopped after %s.", format_duration(stop_after) if stop_after else "no time")
            rule, next_round = stop_after, 0.0
        if stop_after and loop.time() >= next_round:
            done = await _round(hub, token, stop_after)
            pause = min(max(stop_after / _ROUNDS_IN_IDLE_TIME, _SHORTEST_PAUSE), _LONGEST_PAUSE)
            next_round = loop.time() + (pause if done else _SHORTEST_PAUSE)
        await asyncio.sleep(_LOOK_SECONDS)


async def _round(hub: str, token: str, stop_after: float) -> bool:
    """Whether the hub could be asked. One that has just started in a cluster may not be found there yet."""
    # With the hub's `internal_ssl` this has a certificate too, which is kept where the hub's own is.
    certificate = os.environ.get("JUPYTERHUB_SSL_CERTFILE")
    try:
        await cull_idle(
            url=f"{hub}{ADDRESS}",
            api_token=token,
            inactive_limit=stop_after,
            logger=log,
            cull_arbiter=is_idle,
            ssl_enabled=bool(certificate),
            internal_certs_location=str(Path(certificate).parents[1]) if certificate else "",
        )
    except (OSError, HTTPError) as error:
        log.warning("The hub could not be asked for idle servers, trying again: %s", error)
        return False
    return True


def is_idle(*, inactive: timedelta | None, inactive_limit: float, server: Mapping[str, Any]) -> bool:
    """Whether a server is idle by the rule, and has had two chances to say that it is not.

    A server reports its use as often as the rule of its start asked for. Where
    the rule has become shorter since, silence for so long says nothing yet.
    """
    interval = (server.get("state") or {}).get("activity_interval") or _USUAL_INTERVAL
    return inactive is not None and inactive.total_seconds() >= max(inactive_limit, 2 * interval)


def main(catalog: str, hub_process: str) -> None:
    """Run for the hub that started this process and put its address and a token into the environment."""
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s %(name)s] %(message)s")
    logging.getLogger("stateroom.catalog.watch").disabled = True  # the hub tells of the catalog's changes already
    end_with_parent(int(hub_process))
    try:
        file = CatalogFile(Path(catalog))
    except CatalogError as error:
        # The hub starts its services again when they end; the file may hold by then.
        raise SystemExit(str(error)) from error
    hub, token = os.environ["JUPYTERHUB_API_URL"], os.environ["JUPYTERHUB_API_TOKEN"]
    asyncio.run(stop_idle_servers(file, hub, token))


if __name__ == "__main__":
    main(*sys.argv[1:])
