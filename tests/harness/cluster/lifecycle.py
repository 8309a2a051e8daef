"""Up and down."""

from __future__ import annotations

import contextlib
import shutil
import signal
from pathlib import Path

from harness.cluster.cgroups import cgroup_hierarchies, mounts, remove_cgroups
from harness.cluster.component import components, send_signal
from harness.cluster.control_plane import start_control_plane
from harness.cluster.credentials import make_credentials
from harness.cluster.network import make_network, network_owner, remove_network
from harness.cluster.node import POD_NETWORK, start_node
from harness.cluster.programs import containerd_socket, ctr, link_programs, missing_packages, quietly
from harness.cluster.settings import CGROUP, ClusterError, kubeconfig_of

_CNI_CACHE = Path("/var/lib/cni/results")
_LOG_LINKS = Path("/var/log/containers")


def up(folder: Path, *, node: bool = True) -> Path:
    """Have the cluster run from this folder; the admin's kubeconfig. What runs already stays.

    Without a node it is an API server, with nodes and pods that are only objects.
    """
    if packages := missing_packages():
        raise ClusterError(f"a cluster needs packages that are not there; apt install {' '.join(packages)}")
    folder = folder.resolve()
    for part in ("bin", "log", "pki", "run", "volumes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    link_programs(folder)
    make_network(folder)
    make_credentials(folder)
    start_control_plane(folder)
    if node:
        start_node(folder)
    return kubeconfig_of("admin", folder)


def down(folder: Path) -> None:
    """End all that was started from this folder, and remove what it left. Nothing there is fine."""
    folder = folder.resolve()
    found = components(folder)
    containerd = found.pop("containerd", None)
    ends_last = [found.pop(name) for name in ("kube-apiserver", "etcd") if name in found]
    for component in found.values():
        component.stop()
    if containerd:
        _end_containers(folder)
        containerd.stop()
        _end_shims(folder)
    for component in ends_last:
        component.stop(signal.SIGKILL)  # nobody asks for an orderly end, which waits for open watches
    _unmount_below(folder)
    if network_owner() in {None, folder}:
        remove_network()
        remove_cgroups()
        _remove_traces(folder)
    if (folder / "run").is_dir():  # one of ours, and no folder that was named by mistake
        shutil.rmtree(folder)


def _end_containers(folder: Path) -> None:
    for kind, *words in (("tasks", "rm", "--force"), ("containers", "rm")):
        if names := ctr(folder, kind, "ls", "-q").stdout.split():
            ctr(folder, kind, *words, *names)


def _end_shims(folder: Path) -> None:
    """What holds containers while no containerd runs; each tells which one it belongs to."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_text(errors="replace").split("\0")
            if "containerd-shim" in words[0] and str(containerd_socket(folder)) in words:
                send_signal(int(path.parent.name), signal.SIGKILL)
    for hierarchy in cgroup_hierarchies():
        for processes in hierarchy.glob(f"{CGROUP}/**/cgroup.procs"):
            for pid in processes.read_text().split():
                send_signal(int(pid), signal.SIGKILL)


def _unmount_below(folder: Path) -> None:
    for mount in reversed(mounts()):
        if mount.is_relative_to(folder):
            quietly("umount", "--lazy", str(mount))


def _remove_traces(folder: Path) -> None:
    """What programs leave in places that they do not let us choose."""
    for result in _CNI_CACHE.glob(f"{POD_NETWORK}-*-eth0"):
        pod = result.name.removeprefix(f"{POD_NETWORK}-").removesuffix("-eth0")
        (_CNI_CACHE / f"cni-loopback-{pod}-lo").unlink(missing_ok=True)
        result.unlink()
    for empty in (_CNI_CACHE, _CNI_CACHE.parent):
        with contextlib.suppress(OSError):
            empty.rmdir()
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{folder}/"):
            link.unlink()
