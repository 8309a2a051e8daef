"""Everything a backend needs to run one server; knows neither Docker nor Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stateroom.catalog import Catalog
from stateroom.choice import Choice
from stateroom.names import HomeRef, ServerRef
from stateroom.quantity import format_cpu

PORT = 8888  # where a server listens inside its container, the Jupyter convention

# The variables that grant access. They reach the server by a file, never by its configuration.
SECRET_VARIABLES = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One server as it is wanted.

    `cpu` is in thousandths of a core, `memory` in bytes. `base_url` is the path
    it serves below, with slashes at both ends. `secrets` are variables like
    `environment`, never shown.
    """

    ref: ServerRef
    home: HomeRef
    image: str
    cpu: int
    memory: int
    base_url: str
    mount: str
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    pull_timeout: float = 1200.0


def build_spec(
    catalog: Catalog,
    choice: Choice,
    *,
    ref: ServerRef,
    user_id: int,
    base_url: str,
    variables: Mapping[str, str],
) -> ServerSpec:
    """Join the catalog, the choice and what the hub tells its servers (`variables`).

    The hub's variables win over the catalog's, since the server could not find
    its hub otherwise. `CPU_LIMIT` and `MEM_LIMIT` are the names that JupyterHub's
    own spawners use.
    """
    return ServerSpec(
        ref=ref,
        home=HomeRef(ref.hub, ref.user, user_id),
        image=choice.image.image,
        cpu=choice.cpu,
        memory=choice.memory,
        base_url=base_url,
        mount=catalog.home.mount,
        environment={
            **catalog.environment,
            "CPU_LIMIT": format_cpu(choice.cpu),
            "MEM_LIMIT": str(choice.memory),
            **{name: text for name, text in variables.items() if name not in SECRET_VARIABLES},
        },
        secrets={name: variables[name] for name in SECRET_VARIABLES if variables.get(name)},
        pull_timeout=catalog.start.pull_timeout,
    )
