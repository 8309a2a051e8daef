"""What every workload is made of: a container of an image with resources, variables and storage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stateroom.catalog.images import Pull
from stateroom.common.quantity import Resources
from stateroom.storage.mounts import Mount


@dataclass(frozen=True, slots=True)
class Container:
    """A container as it is wanted, whatever runs in it; knows neither Docker nor Kubernetes.

    `secrets` are variables like `environment`, never shown.
    """

    image: str
    resources: Resources
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    mounts: tuple[Mount, ...] = ()
    pull: Pull = "missing"
    pull_timeout: float = 1200.0
    supplemental_groups: tuple[int, ...] = ()
    service_account: str | None = None
    service_account_token: bool = False
    network: str | None = None  # None is that of all servers
