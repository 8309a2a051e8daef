"""The cluster's programs, and commands that are run once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from harness.cluster.settings import CHECKOUT, FOLDER, ClusterError, kubeconfig_of

_ONE_BINARY = (
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet",
    "kubectl", "netpol", "provisioner",
)  # fmt: skip
CNI = Path("/usr/lib/cni")
_LONGEST_SECONDS = 300.0  # of a command; an import of a large image takes a minute
_PACKAGES = {
    "etcd": "etcd-server",
    "openssl": "openssl",
    "xz": "xz-utils",
    "ip": "iproute2",
    "iptables": "iptables",
    "containerd": "containerd",
    str(CNI / "bridge"): "containernetworking-plugins",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "socat": "socat",
}


def programs_folder() -> Path | None:
    """Where the prebuilt programs are: STATEROOM_CLUSTER_PROGRAMS, else what lies beside or above the checkout."""
    if named := os.environ.get("STATEROOM_CLUSTER_PROGRAMS"):
        return Path(named) if Path(named).is_dir() else None
    places = (parent / "shared" / "cluster" / "bin" for parent in CHECKOUT.parents)
    return next((place for place in places if place.is_dir()), None)


def missing_packages() -> list[str]:
    """The Debian packages that are yet to be installed."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return [package for program, package in _PACKAGES.items() if not shutil.which(program, path=path)]


def unpacked_program(folder: Path, name: str) -> Path:
    """A program, unpacked when it is first asked for."""
    ready = folder / "bin" / name
    if ready.exists():
        return ready
    if (source := programs_folder()) is None:
        raise ClusterError("the cluster's programs are not found; name their folder in STATEROOM_CLUSTER_PROGRAMS")
    if (source / name).exists():
        ready.symlink_to(source / name)
        return ready
    part = ready.with_suffix(".part")
    with part.open("wb") as file:
        run("xz", "--decompress", "--stdout", "--threads=2", str(source / f"{name}.xz"), stdout=file)
    part.chmod(0o755)
    return part.rename(ready)


def program(name: str, folder: Path = FOLDER) -> Path:
    """A program of the cluster's, such as helm, whether or not a cluster runs. Raises ClusterError."""
    folder = folder.resolve()
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    return unpacked_program(folder, name)


def link_programs(folder: Path) -> None:
    kube = unpacked_program(folder, "kube")  # does the part that it is called by
    for name in _ONE_BINARY:
        with contextlib.suppress(FileExistsError):
            (folder / "bin" / name).symlink_to(kube)


def kubectl(folder: Path, *words: str, given: object = None) -> str:
    """Run kubectl as admin, with an object as its standard input; what it said."""
    done = _kubectl(folder, *words, given=given)
    if done.returncode != 0:
        raise ClusterError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def _kubectl(folder: Path, *words: str, given: object = None) -> subprocess.CompletedProcess[str]:
    folder = folder.resolve()
    command = admin_command(folder, "kubectl", f"--cache-dir={folder / 'kubectl'}", *words)
    stdin = "" if given is None else json.dumps(given)
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=_LONGEST_SECONDS)


def kubectl_succeeds(folder: Path, *words: str) -> bool:
    return _kubectl(folder, *words).returncode == 0


def ctr(folder: Path, *words: str, stdin: Any = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    command = ["ctr", f"--address={containerd_socket(folder)}", "--namespace=k8s.io", *words]
    return subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False, timeout=_LONGEST_SECONDS)


def containerd_socket(folder: Path) -> Path:
    return folder / "containerd.sock"


def own_command(folder: Path, name: str, *words: str) -> list[str]:
    """A component that talks to the API server as itself."""
    return [str(folder / "bin" / name), f"--kubeconfig={kubeconfig_of(name, folder)}", *words]


def admin_command(folder: Path, name: str, *words: str) -> list[str]:
    return [str(folder / "bin" / name), f"--kubeconfig={kubeconfig_of('admin', folder)}", *words]


def run(*command: str, stdout: Any = subprocess.PIPE) -> str:
    done = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=_LONGEST_SECONDS
    )
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout or ""


def quietly(*command: str) -> bool:
    """Whether it went well."""
    return subprocess.run(command, capture_output=True, check=False, timeout=_LONGEST_SECONDS).returncode == 0
