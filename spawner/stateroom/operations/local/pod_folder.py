"""A hub in a pod: environment variables and the catalog take the place of the settings of `stateroom up`.

The chart gives them to the hub's container and to its Jobs, so that
`kubectl exec deploy/RELEASE-hub -- stateroom homes` needs no option.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stateroom.common.errors import SetupError
from stateroom.operations.local.data import DataFolder, Settings, default_path
from stateroom.operations.local.records import Records
from stateroom.runtime.hub_id import given_hub_id

_ID = "STATEROOM_HUB_ID"  # which makes it a pod of a hub


@dataclass(frozen=True, slots=True)
class Pod:
    """The settings in the environment. images/README.md lists the variables with their defaults."""

    hub_id: str
    data: Path
    catalog: Path
    hub_url: str
    proxy_api_url: str
    host_names: str  # the public URL below whose host name each user's servers have one, or ""
    database_url: str = field(repr=False)  # "" for SQLite's file in the data folder
    proxy_token: str = field(repr=False)


def this_pod() -> Pod | None:
    """Return the settings of the hub's pod, or None outside of one."""
    known = os.environ
    if not known.get(_ID):
        return None
    return Pod(
        hub_id=known[_ID],
        data=Path(known.get("STATEROOM_DATA", "/srv/stateroom")),
        catalog=Path(known.get("STATEROOM_CATALOG", "/etc/stateroom/catalog/catalog.yaml")),
        hub_url=known.get("STATEROOM_HUB_URL", ""),
        proxy_api_url=known.get("STATEROOM_PROXY_API_URL", ""),
        host_names=known.get("STATEROOM_HOST_NAMES", ""),
        database_url=known.get("STATEROOM_DATABASE_URL", ""),
        proxy_token=known.get("CONFIGPROXY_AUTH_TOKEN", ""),
    )


def require_no_pod(instead: str) -> None:
    """Raises SetupError in a hub's pod. `instead` says what to do there."""
    if this_pod():
        raise SetupError(f"This is the pod of a hub that Helm looks after ({_ID} is set). {instead}")


@dataclass(frozen=True, slots=True)
class PodFolder(DataFolder):
    """The data folder of a hub in a pod."""

    pod: Pod

    @property
    def default_backend(self) -> str:
        """See DataFolder."""
        return "kubernetes"

    @property
    def catalog(self) -> Path:
        """The catalog that the hub reads."""
        return self.pod.catalog

    @property
    def option(self) -> str:
        """See DataFolder."""
        return "" if self.path == self.pod.data else f" --data {shlex.quote(str(self.path))}"

    @property
    def has_database(self) -> bool:
        """See DataFolder."""
        return bool(self.pod.database_url) or self.database.exists()

    def records(self) -> Records:
        """See DataFolder."""
        from stateroom.operations.local.database import read_records  # noqa: PLC0415 - see there

        return read_records(self.pod.database_url or self.database)

    def runs(self) -> bool:
        """See DataFolder. The cluster restarts the hub whenever it ends."""
        return True

    @contextmanager
    def kept_as_it_is(self) -> Iterator[bool]:
        """See DataFolder."""
        yield True

    def known_hub_id(self) -> str:
        """Return the ID from the environment. One in the catalog takes precedence."""
        return given_hub_id(self.pod.hub_id, _ID)

    def settings(self) -> Settings:
        """Return the settings from the environment and the catalog, if there is one. Raises CatalogError."""
        from stateroom.catalog.load import load_catalog  # noqa: PLC0415 - commands outside a pod need not wait for it

        catalog = load_catalog(self.catalog) if self.catalog.exists() else None
        return Settings(
            hub_id=(catalog and catalog.hub) or self.known_hub_id(),
            backend=self.default_backend,
            catalog=str(self.catalog),
            homes=catalog.home.kubernetes.shared if catalog else "",
            # Ports and the proxy's command are for `up`, which is not for here.
            port=0,
            hub_port=0,
            proxy_port=0,
            proxy_command=(),
            namespace=(catalog and catalog.kubernetes.namespace) or "",
            public_url=self.pod.host_names,
            host_names=bool(self.pod.host_names),
        )


def data_folder(path: Path) -> DataFolder:
    """Return the hub's data folder at `path`."""
    pod = this_pod()
    return PodFolder(path, pod) if pod else DataFolder(path)


def default_folder() -> DataFolder:
    """Return the data folder that is used unless another is named."""
    pod = this_pod()
    return data_folder(pod.data if pod else default_path())
