"""Everything a backend needs to run one server; knows neither Docker nor Kubernetes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from stateroom.catalog import Catalog, Image, Pull
from stateroom.choice import Choice
from stateroom.errors import EngineRefused
from stateroom.names import HomeRef, ServerRef
from stateroom.policy import Allowance
from stateroom.quantity import MILLI, KiB, Resources, format_cpu

PORT = 8888  # where a server listens inside its container, the Jupyter convention

_HASH_LETTERS = 32

# The variables that grant access. They are never part of a server's configuration, which others can read.
SECRET_VARIABLES = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")

# Where the files of its certificate are inside a server that serves TLS, by JupyterHub's names for them.
CERTIFICATE = {kind: f"/var/lib/stateroom/certificate/{kind}" for kind in ("keyfile", "certfile", "cafile")}

_LONGEST_VARIABLE = 128 * KiB  # name and text of one, in Linux

# How often a server reports to the hub when it was last used, in seconds. JupyterHub's own default is the most.
_REPORTS_EVERY = 300
_REPORTS_IN_IDLE_TIME = 6


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One server as it is wanted.

    `cpu` is in thousandths of a core, `memory` in bytes, and so is what is kept
    free for it of either. `base_url` is the path it serves below, with slashes
    at both ends. `secrets` are variables like `environment`, never shown. With
    `tls` it waits for a certificate to the address that it is given.
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
    gpu: int = 0
    reserved_cpu: int = 0
    reserved_memory: int = 0
    supplemental_groups: tuple[int, ...] = ()
    service_account: str | None = None
    service_account_token: bool = False
    network: str | None = None  # None is that of all servers
    pull: Pull = "missing"
    pull_timeout: float = 1200.0
    tls: bool = False

    @property
    def resources(self) -> Resources:
        """What the server has."""
        return Resources(self.cpu, self.memory, self.gpu, self.reserved_memory)

    @property
    def hash(self) -> str:
        """Tells this start's server from any other under its name, an earlier one of the same size too.

        The token goes into it, and is new at each start. It is too long to be
        found from its hash, so this may be shown.
        """
        data = json.dumps(asdict(self), sort_keys=True, default=dict)
        return hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LETTERS]


def build_spec(
    catalog: Catalog,
    allowance: Allowance,
    choice: Choice,
    *,
    ref: ServerRef,
    home: HomeRef,
    base_url: str,
    variables: Mapping[str, str],
    tls: bool = False,
) -> ServerSpec:
    """Join the catalog, the choice and what the hub tells its servers (`variables`).

    The hub's variables win over the catalog's, since the server could not find
    its hub otherwise. What the server is wins over both. Numbers of threads are
    but a default.
    """
    reserved_cpu = int(choice.cpu * catalog.reserve.cpu)
    reserved_memory = catalog.reserve.of_memory(choice.memory)
    return ServerSpec(
        ref=ref,
        home=home,
        image=choice.image.image,
        cpu=choice.cpu,
        memory=choice.memory,
        gpu=choice.gpu,
        reserved_cpu=reserved_cpu,
        reserved_memory=reserved_memory,
        base_url=base_url,
        mount=catalog.home.mount,
        environment={
            **threads(choice.cpu),
            **allowance.identity.environment,
            "JUPYTERHUB_ACTIVITY_INTERVAL": str(reports_every(catalog)),
            **{name: text for name, text in variables.items() if name not in SECRET_VARIABLES},
            **_identity(ref.hub, allowance.groups, choice.image),
            **_limits(choice.resources, reserved_cpu, reserved_memory),
        },
        secrets={name: variables[name] for name in SECRET_VARIABLES if variables.get(name)},
        supplemental_groups=allowance.identity.supplemental_groups,
        service_account=allowance.identity.service_account,
        service_account_token=allowance.identity.service_account_token,
        network=allowance.identity.network,
        pull=choice.image.pull,
        pull_timeout=catalog.start.pull_timeout,
        tls=tls,
    )


def threads(cpu: int) -> dict[str, str]:
    """The variables from which libraries and programs take how many threads to run, for thousandths of a core.

    A part of a core counts as one: two threads use 1.5 cores whole, and one
    would not. Only what cannot find that out by itself is told: Polars, joblib
    and Java read the limit from the kernel.
    """
    number = str(-(-cpu // MILLI))
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


def _limits(resources: Resources, reserved_cpu: int, reserved_memory: int) -> dict[str, str]:
    """What a server has, under the names that JupyterHub's own spawners use; it has none for GPUs."""
    return {
        "CPU_LIMIT": format_cpu(resources.cpu),
        "CPU_GUARANTEE": format_cpu(reserved_cpu),
        "MEM_LIMIT": str(resources.memory),
        "MEM_GUARANTEE": str(reserved_memory),
        "GPU_LIMIT": str(resources.gpu),
    }


def require_passable(spec: ServerSpec) -> None:
    """Raises EngineRefused for a name or text that no program can be given as a variable.

    An engine finds that out late and says it badly, or keeps another name in its place.
    """
    variables = {
        **spec.environment,
        **spec.secrets,
        "JUPYTERHUB_USER": spec.ref.user,
        "JUPYTERHUB_SERVER_NAME": spec.ref.server,
    }
    for name, text in variables.items():
        if not _is_passable(f"{name}={text}"):
            raise EngineRefused(
                f"{name} is longer than 128 KiB, or holds NUL or half of a surrogate pair, "
                "which no program can be given. Choose a shorter or plainer one."
            )


def _is_passable(variable: str) -> bool:
    try:
        data = variable.encode()
    except UnicodeEncodeError:
        return False
    return b"\0" not in data and len(data) < _LONGEST_VARIABLE


def reports_every(catalog: Catalog) -> int:
    """Seconds between a server's reports of its use: often enough for the idle rule, and never needlessly often."""
    stop_after = catalog.idle.stop_after
    return min(_REPORTS_EVERY, int(stop_after / _REPORTS_IN_IDLE_TIME)) if stop_after else _REPORTS_EVERY
