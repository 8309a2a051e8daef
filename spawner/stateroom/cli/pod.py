"""A hub in a pod: variables and the catalog say there what `stateroom up` keeps in its data folder.

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

from stateroom.cli.data import DataFolder, Settings
from stateroom.cli.database import Records, read_records
from stateroom.errors import SetupError
from stateroom.hub_id import given_hub_id
from stateroom.loading import load_catalog

_ID = "STATEROOM_HUB_ID"  # which makes it a pod of a hub


@dataclass(frozen=True, slots=True)
class Pod:
    """What the variables say. images/README.md has them, with what holds without them."""

    hub_id: str
    data: Path
    catalog: Path
    hub_url: str
    proxy_api_url: str
    database_url: str = field(repr=False)  # "" for SQLite's file in the data folder
    proxy_token: str = field(repr=False)


def this_pod() -> Pod | None:
    """None outside of a hub's pods."""
    known = os.environ
    if not known.get(_ID):
        return None
    return Pod(
        hub_id=known[_ID],
        data=Path(known.get("STATEROOM_DATA", "/srv/stateroom")),
        catalog=Path(known.get("STATEROOM_CATALOG", "/etc/stateroom/catalog/catalog.yaml")),
        hub_url=known.get("STATEROOM_HUB_URL", ""),
        proxy_api_url=known.get("STATEROOM_PROXY_API_URL", ""),
        database_url=known.get("STATEROOM_DATABASE_URL", ""),
        proxy_token=known.get("CONFIGPROXY_AUTH_TOKEN", ""),
    )


def require_no_pod(instead: str) -> None:
    """Raises SetupError in a hub's pod. `instead` says what is to be done there."""
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
        """The one that the hub reads."""
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
        return read_records(self.pod.database_url or self.database)

    def runs(self) -> bool:
        """See DataFolder. The cluster starts it again whenever it ends."""
        return True

    @contextmanager
    def kept_as_it_is(self) -> Iterator[bool]:
        """See DataFolder."""
        yield True

    def known_hub_id(self) -> str:
        """The variable's, which the catalog's own goes before."""
        return given_hub_id(self.pod.hub_id, _ID)

    def settings(self) -> Settings:
        """What variables and catalog say now. Raises CatalogError; one that is not there says nothing."""
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
        )
