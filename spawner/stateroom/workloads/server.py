"""A server as a workload: a container that serves notebooks below a path of the hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.images import Image
from stateroom.common.errors import EngineRefused
from stateroom.common.quantity import CPU, KINDS, MEMORY, KiB, Resources, whole_cores
from stateroom.offers.allowance import Allowance
from stateroom.offers.choice import Choice
from stateroom.storage.homes import HomeRef
from stateroom.storage.mounts import HomeMount
from stateroom.workloads.container import Container
from stateroom.workloads.names import ServerRef

PORT = 8888  # where a server listens inside its container, the Jupyter convention
CONNECTIONS_TO_HUB = 64  # of one server at once; one that works has a handful

_HASH_LETTERS = 32
_LONGEST_VARIABLE = 128 * KiB  # name and text of one, in Linux

# The variables that grant access. They are never part of a server's configuration, which others can read.
SECRET_VARIABLES = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")

# Where the files of its certificate are inside a server that serves TLS, by JupyterHub's names for them.
CERTIFICATE = {kind: f"/var/lib/stateroom/certificate/{kind}" for kind in ("keyfile", "certfile", "cafile")}

# How often a server reports to the hub when it was last used, in seconds. JupyterHub's own default is the most.
_REPORTS_EVERY = 300
_REPORTS_IN_IDLE_TIME = 6


@dataclass(frozen=True, slots=True)
class Server:
    """One server as it is wanted.

    `base_url` is the path it serves below, with slashes at both ends. With
    `tls` it waits for a certificate to the address that it is given.
    """

    ref: ServerRef
    container: Container
    base_url: str
    tls: bool = False

    @property
    def home(self) -> HomeRef:
        """The home of its user."""
        return self._home_mount.home

    @property
    def workspace(self) -> str:
        """The folder that it serves, relative to the home directory of the image's user."""
        return self._home_mount.path

    @property
    def _home_mount(self) -> HomeMount:
        return next(mount for mount in self.container.mounts if isinstance(mount, HomeMount))

    @property
    def hash(self) -> str:
        """Tells this start's server from any other under its name, an earlier one of the same size too.

        The token goes into it, and is new at each start. It is too long to be
        found from its hash, so this may be shown.
        """
        data = json.dumps(asdict(self), sort_keys=True, default=dict)
        return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LETTERS]


def server_for(
    catalog: Catalog,
    allowance: Allowance,
    choice: Choice,
    *,
    ref: ServerRef,
    home: HomeRef,
    base_url: str,
    variables: Mapping[str, str],
    tls: bool = False,
) -> Server:
    """Join the catalog, the choice and what the hub tells its servers (`variables`).

    The hub's variables win over the catalog's, since the server could not find
    its hub otherwise. What the server is wins over both. Numbers of threads are
    but a default.
    """
    resources = choice.resources.guaranteed(catalog.guarantee.cpu, catalog.guarantee.memory)
    identity = allowance.identity
    return Server(
        ref=ref,
        container=Container(
            image=choice.image.image,
            resources=resources,
            environment={
                **threads(resources.cpu),
                **identity.environment,
                "JUPYTERHUB_ACTIVITY_INTERVAL": str(reports_every(catalog)),
                **{name: text for name, text in variables.items() if name not in SECRET_VARIABLES},
                **_identity(ref.hub, allowance.groups, choice.image),
                **_limits(resources),
            },
            secrets={name: variables[name] for name in SECRET_VARIABLES if variables.get(name)},
            mounts=(HomeMount(home, catalog.home.mount),),
            pull=choice.image.pull,
            pull_timeout=catalog.start.pull_timeout,
            supplemental_groups=identity.supplemental_groups,
            service_account=identity.service_account,
            service_account_token=identity.service_account_token,
            network=identity.network,
        ),
        base_url=base_url,
        tls=tls,
    )


def threads(cpu: int) -> dict[str, str]:
    """The variables from which libraries and programs take how many threads to run, for thousandths of a core.

    A part of a core counts as one: two threads use 1.5 cores whole, and one
    would not. Only what cannot find that out by itself is told: Polars, joblib
    and Java read the limit from the kernel.
    """
    number = str(whole_cores(cpu))
    return {
        "OMP_NUM_THREADS": number,  # nproc, OpenBLAS, Arrow and numexpr go by it too
        "NUMBA_NUM_THREADS": number,
        "PYTHON_CPU_COUNT": number,  # os.cpu_count(), from Python 3.13
        "MC_CORES": number,  # R's option mc.cores
    }


def _identity(hub: str, groups: Iterable[str], image: Image) -> dict[str, str]:
    """What a server is, beside the names of its user and itself, which JupyterHub gives it."""
    # Names of groups may hold anything. In JSON they are printable, and a comma is none between two.
    listed = json.dumps(sorted(groups))
    told = {"STATEROOM_GROUPS": listed} if _is_passable(f"STATEROOM_GROUPS={listed}") else {}
    return {"STATEROOM_HUB": hub, "STATEROOM_IMAGE": image.id, "STATEROOM_IMAGE_REFERENCE": image.image, **told}


def _limits(resources: Resources) -> dict[str, str]:
    """What a server has, under the names that JupyterHub's own spawners use; it has none for GPUs."""
    limits = {f"{kind.variable}_LIMIT": kind.in_variable(kind.of(resources)) for kind in KINDS}
    return {
        **limits,
        "CPU_GUARANTEE": CPU.in_variable(resources.cpu_guarantee),
        "MEM_GUARANTEE": MEMORY.in_variable(resources.memory_guarantee),
    }


def require_passable(server: Server) -> None:
    """Raise EngineRefused for a name or text of the server that no program can be given as a variable.

    An engine finds that out late and says it badly, or keeps another name in its place.
    """
    ref, wanted = server.ref, server.container
    names = {"JUPYTERHUB_USER": ref.user, "JUPYTERHUB_SERVER_NAME": ref.server}
    for name, text in {**wanted.environment, **wanted.secrets, **names}.items():
        if not _is_passable(f"{name}={text}"):
            raise EngineRefused(
                f"{name} is longer than 128 KiB, or holds NUL or half of a surrogate pair, "
                "which no program can be given. Choose a shorter or plainer one."
            )


def _is_passable(variable: str) -> bool:
    """Return whether a program can be given `variable`, which is written as NAME=text."""
    try:
        data = variable.encode()
    except UnicodeEncodeError:
        return False
    return b"\0" not in data and len(data) < _LONGEST_VARIABLE


def reports_every(catalog: Catalog) -> int:
    """Seconds between a server's reports of its use: often enough for the idle rule, and never needlessly often."""
    stop_after = catalog.idle.stop_after
    return min(_REPORTS_EVERY, int(stop_after / _REPORTS_IN_IDLE_TIME)) if stop_after else _REPORTS_EVERY
