"""From a spec to what the Docker API is sent: pure, so that golden files can hold it.

The server's secrets are nowhere in the container's configuration, which
everyone with access to the engine can read. The launcher, a few lines of shell
that are the container's entry point, is handed them on its standard input and
keeps them for a restart in a file of the container's own layer, readable by the
server's user alone. It exports them, looks whether the home can be written to,
and executes the image's own command, so that any image that serves notebooks
works unchanged.
"""

from __future__ import annotations

import shlex
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.storage import DockerHome
from stateroom.common.errors import ImageUnfit
from stateroom.common.labels import SPEC, TLS
from stateroom.common.quantity import MiB, for_cores
from stateroom.storage.homes import HomeRef
from stateroom.storage.mounts import Mount
from stateroom.workloads.names import network_name
from stateroom.workloads.resources import resources_as_labels
from stateroom.workloads.server import CERTIFICATE, Server

_CERTIFICATE = "var/lib/stateroom/certificate"
LAUNCHER = "stateroom-launcher"  # what a shell calls it in its complaints
HOME_UNWRITABLE = "stateroom: the home cannot be written to"
# The name of the file is the container's, so that one in an image made of a container is none of ours.
_LAUNCH = f"""\
read -r stateroom_file </etc/hostname
stateroom_file=/var/tmp/stateroom-$stateroom_file
if [ -r "$stateroom_file" ]; then
    stateroom_secrets=$(cat "$stateroom_file")
else
    if ! read -r stateroom_bytes; then
        echo "stateroom: the hub went away before it handed over the secrets" >&2
        exit 74
    fi
    stateroom_secrets=$(head -c "$stateroom_bytes")
    (umask 377; printf %s "$stateroom_secrets" >"$stateroom_file")
fi
eval "$stateroom_secrets"
if ! [ -w "$JUPYTERHUB_ROOT_DIR" ]; then
    echo "{HOME_UNWRITABLE}" >&2
    exit 73
fi
"""
# Until the container runs nobody knows its address, to which its certificate is made.
_AWAIT_CERTIFICATE = f"while ! [ -e /{_CERTIFICATE}/complete ]; do sleep 0.05; done\n"
_EXECUTE = 'exec "$@" </dev/null\n'

# One CPU is this much of every period: the kernel's own default length, in microseconds.
CPU_PERIOD = 100_000
_SHARES_OF_A_CPU = 1024
_LEAST_SHARES = 2  # the kernel's own least
_LEAST_RESERVATION = 6 * MiB  # the engine's own; it refuses less

# Enough for any notebook with its kernels and threads, far too little to exhaust the machine's own table.
PROCESS_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What must be known of an image before a server runs on it."""

    uid: int
    gid: int
    home: str
    command: tuple[str, ...]


def facts_from_image(reference: str, inspected: Mapping[str, Any], passwd: str) -> ImageFacts:
    """Read the engine's description of an image and its /etc/passwd.

    Raises ImageUnfit for an image that runs as root, whose user or home cannot
    be found, or that has no command.
    """
    config = inspected.get("Config") or {}
    name, _, group = str(config.get("User") or "").partition(":")
    user = _user(passwd, name)
    if user is None and not name.isdecimal():
        raise ImageUnfit(f'The image "{reference}" has no user "{name or "root"}". Set USER to a number in it.')
    uid = user.uid if user else int(name)
    if uid == 0:
        raise ImageUnfit(
            f'The image "{reference}" runs as root. Stateroom runs servers as a plain user; set USER in it.'
        )
    command = (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))
    if not command:
        raise ImageUnfit(f'The image "{reference}" has no command. Set CMD in it to a notebook server.')
    home = _variable(config.get("Env") or (), "HOME") or (user.home if user else "")
    if not home.startswith("/") or home == "/":
        raise ImageUnfit(f'The image "{reference}" has no home directory for its user. Set HOME in it.')
    gid = int(group) if group.isdecimal() else user.gid if user else uid
    return ImageFacts(uid, gid, home.rstrip("/"), command)


@dataclass(frozen=True, slots=True)
class DockerSettings:
    """What the catalog says of the engine, for all servers."""

    network: str  # of the servers for which no other is named
    homes: DockerHome


def docker_settings(catalog: Catalog, hub_id: str) -> DockerSettings:
    """What the catalog says of the engine, as a start reads it."""
    return DockerSettings(servers_network(catalog, hub_id), catalog.home.docker)


def servers_network(catalog: Catalog, hub_id: str) -> str:
    """The Docker network of the hub's servers, unless who starts one has another."""
    return catalog.docker.network or network_name(hub_id)


def container_payload(spec: Server, image: ImageFacts, settings: DockerSettings) -> dict[str, Any]:
    """The body of `POST /containers/create`: hardened, limited, and free of secrets."""
    container = spec.container
    resources = container.resources
    environment = {
        # An image made for GPUs asks for all of them, and gets them where NVIDIA's runtime is the engine's default.
        **({} if resources.gpu else {"NVIDIA_VISIBLE_DEVICES": "void"}),
        **container.environment,
        "HOME": image.home,
        "JUPYTERHUB_ROOT_DIR": f"{image.home}/{spec.workspace}",
    }
    return {
        "Image": container.image,
        "User": f"{image.uid}:{image.gid}",
        "Entrypoint": ["/bin/sh", "-c", _LAUNCH + (_AWAIT_CERTIFICATE if spec.tls else "") + _EXECUTE, LAUNCHER],
        "Cmd": list(image.command),
        "OpenStdin": True,
        "StdinOnce": True,  # a launcher whose hub is killed before it hands them over comes to its end
        "Env": [f"{name}={value}" for name, value in sorted(environment.items())],
        "Labels": {
            **spec.ref.labels,
            **resources_as_labels(resources),
            SPEC: spec.hash,
            **({TLS: "true"} if spec.tls else {}),
        },
        # The backend watches the server itself; a check of the image's would only cost CPU.
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": container.network or settings.network,
            "Binds": [_bind(mount, image, settings.homes) for mount in container.mounts],
            "Memory": resources.memory,
            # The sum of memory and swap: no swap on top.
            "MemorySwap": resources.memory,
            "MemoryReservation": resources.memory_guarantee if resources.memory_guarantee >= _LEAST_RESERVATION else 0,
            # Not NanoCpus: Docker refuses more of those than the machine has.
            "CpuPeriod": CPU_PERIOD,
            "CpuQuota": for_cores(resources.cpu, CPU_PERIOD),
            # What it gets when all compute at once, in the kernel's own measure: 1024 is one core.
            "CpuShares": max(_LEAST_SHARES, for_cores(resources.cpu_guarantee, _SHARES_OF_A_CPU)),
            "PidsLimit": PROCESS_LIMIT,
            "DeviceRequests": [{"Count": resources.gpu, "Capabilities": [["gpu"]]}] if resources.gpu else [],
            "GroupAdd": [str(group) for group in container.supplemental_groups],
            "Init": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "IpcMode": "private",
            "RestartPolicy": {"Name": "no"},
            # An engine that waits for its log would be held up by a server that writes without end.
            "LogConfig": {
                "Type": "json-file",
                "Config": {"max-size": "10m", "max-file": "2", "mode": "non-blocking", "max-buffer-size": "1m"},
            },
        },
    }


def _bind(mount: Mount, image: ImageFacts, homes: DockerHome) -> str:
    return f"{home_source(mount.home, homes)}:{image.home}/{mount.path}"


def home_source(home: HomeRef, homes: DockerHome) -> str:
    """What is mounted as the home: a host folder, or a volume's name."""
    return f"{homes.path.rstrip('/')}/{home.name}" if homes.path else home.name


def handed_over(spec: Server) -> bytes:
    """What the launcher reads: a number of bytes, and as many of shell that exports the secrets."""
    secrets = "".join(
        f"export {name}={shlex.quote(value)}\n" for name, value in spec.container.secrets.items()
    ).encode()
    return b"%d\n%s" % (len(secrets), secrets)


def home_archive(spec: Server, image: ImageFacts) -> bytes:
    """A tar to unpack at `/` before the container starts, which hands the home's folder to the server's user.

    An engine makes mount points as root.
    """
    return _archive((_folder(f"{image.home}/{spec.workspace}".lstrip("/"), image.uid, image.gid), b""))


def certificate_archive(files: Mapping[str, bytes], image: ImageFacts) -> bytes:
    """A tar to unpack at `/` of a running container: its certificate, readable by the server's user alone."""
    return _archive(
        (_folder(_CERTIFICATE, 0, 0), b""),
        *((_file(path.lstrip("/"), image.uid, image.gid, 0o400), files[kind]) for kind, path in CERTIFICATE.items()),
        (_file(f"{_CERTIFICATE}/complete", 0, 0, 0o444), b""),
    )


@dataclass(frozen=True, slots=True)
class _User:
    uid: int
    gid: int
    home: str


def _user(passwd: str, name: str) -> _User | None:
    """The entry for a name or number; no name at all means root."""
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2].isdecimal() and fields[3].isdecimal():  # noqa: PLR2004 - passwd(5)
            entry = _User(int(fields[2]), int(fields[3]), fields[5])
            if name in (fields[0], fields[2]) or (not name and entry.uid == 0):
                return entry
    return None


def _variable(environment: Sequence[str], name: str) -> str:
    return next((text.partition("=")[2] for text in environment if text.startswith(f"{name}=")), "")


def _folder(path: str, uid: int, gid: int) -> tarfile.TarInfo:
    entry = _file(path, uid, gid, 0o755)
    entry.type = tarfile.DIRTYPE
    return entry


def _file(path: str, uid: int, gid: int, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.uid, entry.gid, entry.mode = uid, gid, mode
    return entry


def _archive(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar that ends where it says so: Podman reads no further, and fails at the filling that Python adds."""
    parts = []
    for entry, data in entries:
        entry.size = len(data)
        parts += [entry.tobuf(), data, bytes(-len(data) % tarfile.BLOCKSIZE)]
    return b"".join(parts) + bytes(2 * tarfile.BLOCKSIZE)
