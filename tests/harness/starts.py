"""A start as the spawner does it, without a hub: let in, start, let go."""

from __future__ import annotations

from dataclasses import replace

from stateroom.backends.base import Backend
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.sizes import Quota
from stateroom.common.deadline import Deadline
from stateroom.offers.allowance import Person, allowance_for
from stateroom.offers.choice import choose
from stateroom.runtime.admission import Admissions
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import server_for


async def start_as_a_hub_does(
    catalog: Catalog, backend: Backend, admissions: Admissions, ref: ServerRef, *, quota: Quota | None = None
) -> None:
    """Start the default server of the catalog, with another quota if one is given. Raises QuotaExceeded."""
    allowance = allowance_for(catalog, Person(ref.user))
    allowance = replace(allowance, quota=quota) if quota else allowance
    choice = choose({}, allowance)
    await admissions.admit(ref, choice.resources, allowance, {})
    try:
        base_url = f"/user/{ref.user}/{ref.server}/".replace("//", "/")
        variables = {"JUPYTERHUB_SERVICE_PREFIX": base_url, "JUPYTERHUB_API_TOKEN": "secret"}
        home = HomeRef(ref.hub, ref.user, 1)
        spec = server_for(catalog, allowance, choice, ref=ref, home=home, base_url=base_url, variables=variables)
        await backend.servers.start(spec, Deadline.after(60, "waiting for the server to answer"), lambda _: None)
    finally:
        admissions.release(ref)
