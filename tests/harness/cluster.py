"""`python cluster.py up|down|load FOLDER`: a Kubernetes cluster for the tests, on this machine alone.

All of it runs in a network namespace of its own, so it shares neither ports nor
packet rules with whatever else this machine runs, another cluster included. The
namespace hangs on a cable: the machine is HOST to the cluster's pods, and reaches
pods and services at their own addresses through NODE. To the cluster the machine
is a stranger outside: a network policy that shall let it in names HOST.

Root on Debian; no image registry. Takes only the standard library, since
tests/tiers.py asks it what it needs before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

_CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = _CHECKOUT / ".cache" / "test-cluster"  # where tests/tiers.py has it

HOST = "10.97.0.1"  # this machine, as pods reach it: a hub outside of the cluster listens there
NODE = "10.97.0.2"
NODE_NAME = "node1"
PODS = "10.245.0.0/16"
SERVICES = "10.98.0.0/16"
FAKE_PODS = "10.200.0.0/16"

_DNS = "10.98.0.10"
_API_SERVICE = "10.98.0.1"
_API = f"https://{NODE}:6443"
_LINK = _SPACE = "stateroom-t0"  # the cable's end at this machine, and the namespace at the other
_CGROUP = "stateroom-t0"  # a kubelet ends what it finds in its own and does not know
_POD_NETWORK = "test-pods"
_CNI = Path("/usr/lib/cni")
_CNI_CACHE = Path("/var/lib/cni/results")
_LOG_LINKS = Path("/var/log/containers")

_ONE_BINARY = (
    "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet",
    "kubectl", "netpol", "provisioner",
)  # fmt: skip
_PACKAGES = {
    "etcd": "etcd-server",
    "openssl": "openssl",
    "xz": "xz-utils",
    "ip": "iproute2",
    "iptables": "iptables",
    "containerd": "containerd",
    str(_CNI / "bridge"): "containernetworking-plugins",
    "conntrack": "conntrack",
    "ethtool": "ethtool",
    "socat": "socat",
}

# Who talks to the API server, as the certificates call them.
_CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE_NAME}",
}

# Packets of pods that leave for elsewhere, and what comes back.
_WAY_OUT = (
    ("filter", "FORWARD", "-i", _LINK, "-j", "ACCEPT"),
    ("filter", "FORWARD", "-o", _LINK, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"),
    ("nat", "POSTROUTING", "-s", PODS, "!", "-o", _LINK, "-j", "MASQUERADE"),
)

_STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "stateroom.test/host-path",
    "volumeBindingMode": "WaitForFirstConsumer",
    "allowVolumeExpansion": True,
}


class ClusterError(Exception):
    """The cluster cannot be had; the message says why, and what to do."""


# What tests use


def kubeconfig() -> Path:
    """The admin's kubeconfig of the tests' cluster: STATEROOM_TEST_KUBECONFIG, else that of our own."""
    return Path(os.environ.get("STATEROOM_TEST_KUBECONFIG") or _kubeconfig_of("admin", FOLDER))


def components(folder: Path = FOLDER) -> dict[str, Component]:
    """What was started from this folder, by name; a stopped component stays among them."""
    found = (folder.resolve() / "run").glob("*.json")
    return {path.stem: Component(path.stem, folder.resolve()) for path in sorted(found)}


def kubectl(folder: Path, *words: str, given: object = None) -> str:
    """Run kubectl as admin, with an object as its standard input; what it said."""
    run = _kubectl(folder, *words, given=given)
    if run.returncode != 0:
        raise ClusterError(f"kubectl {' '.join(words)}: {run.stderr.strip()}")
    return run.stdout


def program(name: str, folder: Path = FOLDER) -> Path:
    """A program of the cluster's, such as helm, whether or not a cluster runs. Raises ClusterError."""
    folder = folder.resolve()
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    return _program(folder, name)


def fake_nodes(folder: Path, count: int, cidr: str = FAKE_PODS, pods: int = 1000) -> Component:
    """Have nodes that only pretend: their pods are Running at once, at addresses where nobody is.

    `ip route add local CIDR dev lo` brings all these addresses to this machine.
    Once kwok runs, another `cidr` changes nothing until it is stopped.
    """
    folder = folder.resolve()
    net = ip_network(cidr)
    command = [
        str(_program(folder, "kwok")),
        f"--kubeconfig={_kubeconfig_of('admin', folder)}",
        f"--cidr={net[1]}/{net.prefixlen}",  # the first address that it gives
        "--manage-nodes-with-label-selector=type=kwok",
        f"--node-ip={NODE}",
    ]
    kwok = _start(folder, "kwok", command)
    nodes = [_fake_node(f"fake-{number}", pods) for number in range(count)]
    kubectl(folder, "apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": nodes})
    kubectl(folder, "wait", "--for=condition=Ready", "node", "--selector=type=kwok", "--timeout=60s")
    return kwok


@dataclass(frozen=True, slots=True)
class Component:
    """One program of the cluster. What it is started with is kept beside its pid."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """All that it said."""
        return self.folder / "log" / f"{self.name}.log"

    @property
    def command(self) -> list[str]:
        """The program and its arguments."""
        found: list[str] = json.loads(self._command_file.read_text())
        return found

    @property
    def pid(self) -> int | None:
        """Its process; None where it does not run. A number that another process has by now is not taken for it."""
        try:
            pid = int(self._pid_file.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
        except (OSError, ValueError):
            return None
        command = self.command
        return pid if words[-len(command) :] == command else None

    def start(self) -> None:
        """Start it, unless it runs; returns before it is ready."""
        if self.pid is not None:
            return
        words = ["nsenter", f"--net=/run/netns/{_SPACE}", *self.command]
        appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self.log), appended, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        pid = os.posix_spawnp(words[0], words, os.environ, file_actions=files, setsid=True)
        self._pid_file.write_text(str(pid))

    def stop(self, number: signal.Signals = signal.SIGTERM, patience: float = 10) -> None:
        """End it: SIGTERM in order, SIGKILL as a crash does. What does not end in time is killed."""
        if (pid := self.pid) is None:
            return
        _signal(pid, number)
        _signal(pid, signal.SIGCONT)  # a paused one hears nothing else
        until = time.monotonic() + patience
        while self.pid is not None:
            if time.monotonic() > until:
                _signal(pid, signal.SIGKILL)
            _bury(pid)
            time.sleep(0.02)

    def restart(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it and start it again; returns before it is ready."""
        self.stop(number)
        self.start()

    def pause(self) -> None:
        """From now on it takes connections and answers none."""
        if (pid := self.pid) is not None:
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on where it was."""
        if (pid := self.pid) is not None:
            _signal(pid, signal.SIGCONT)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """As `pause`, for a while."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextmanager
    def stopped(self, number: signal.Signals = signal.SIGTERM) -> Iterator[None]:
        """It is away for a while."""
        self.stop(number)
        try:
            yield
        finally:
            self.start()

    @property
    def _pid_file(self) -> Path:
        return self.folder / "run" / f"{self.name}.pid"

    @property
    def _command_file(self) -> Path:
        return self.folder / "run" / f"{self.name}.json"


# Up


def up(folder: Path, *, node: bool = True) -> Path:
    """Have the cluster run from this folder; the admin's kubeconfig. What runs already stays.

    Without a node it is an API server, with nodes and pods that are only objects.
    """
    if packages := missing_packages():
        raise ClusterError(f"a cluster needs packages that are not there; apt install {' '.join(packages)}")
    folder = folder.resolve()
    for part in ("bin", "log", "pki", "run", "volumes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    _link_programs(folder)
    _make_network(folder)
    _make_credentials(folder)
    _start_control_plane(folder)
    if node:
        _start_node(folder)
    return _kubeconfig_of("admin", folder)


def programs_folder() -> Path | None:
    """Where the prebuilt programs are: STATEROOM_CLUSTER_PROGRAMS, else what lies beside or above the checkout."""
    if named := os.environ.get("STATEROOM_CLUSTER_PROGRAMS"):
        return Path(named) if Path(named).is_dir() else None
    places = (parent / "shared" / "cluster" / "bin" for parent in _CHECKOUT.parents)
    return next((place for place in places if place.is_dir()), None)


def missing_packages() -> list[str]:
    """The Debian packages that are yet to be installed."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return [package for program, package in _PACKAGES.items() if not shutil.which(program, path=path)]


def _program(folder: Path, name: str) -> Path:
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
        _run("xz", "--decompress", "--stdout", "--threads=2", str(source / f"{name}.xz"), stdout=file)
    part.chmod(0o755)
    return part.rename(ready)


def _link_programs(folder: Path) -> None:
    kube = _program(folder, "kube")  # does the part that it is called by
    for name in _ONE_BINARY:
        with contextlib.suppress(FileExistsError):
            (folder / "bin" / name).symlink_to(kube)


def _start_control_plane(folder: Path) -> None:
    _start(folder, "etcd", _etcd(folder))
    _start(folder, "kube-apiserver", _api_server(folder))
    _until(lambda: _answers(folder, "get", "--raw", "/readyz"), folder, "kube-apiserver", 90)
    _start(folder, "kube-controller-manager", _controller_manager(folder))
    _start(folder, "kube-scheduler", _own(folder, "kube-scheduler", "--leader-elect=false"))
    kubectl(folder, "apply", "-f", "-", given=_STORAGE_CLASS)
    _start(folder, "provisioner", _as_admin(folder, "provisioner", f"--dir={folder / 'volumes'}"))
    # Without it no pod is let in.
    _until(lambda: _answers(folder, "get", "serviceaccount", "default"), folder, "kube-controller-manager", 60)


def _start_node(folder: Path) -> None:
    _make_cgroups()
    containerd = ["containerd", f"--config={_containerd_settings(folder)}"]
    _start(folder, "containerd", containerd)
    _until(lambda: _ctr(folder, "version").returncode == 0, folder, "containerd", 30)
    _import_pause_image(folder)
    _start(folder, "kubelet", _kubelet(folder))
    _start(folder, "kube-proxy", _kube_proxy(folder))
    _start(folder, "netpol", _as_admin(folder, "netpol", f"--dns={_DNS}"))
    _start(folder, "coredns", [str(_program(folder, "coredns")), f"-conf={_dns_settings(folder)}"])
    ready = ("wait", "--for=condition=Ready", f"node/{NODE_NAME}", "--timeout=1s")
    _until(lambda: _answers(folder, *ready), folder, "kubelet", 60)


def _start(folder: Path, name: str, command: list[str]) -> Component:
    component = Component(name, folder)
    if component.name not in components(folder) or component.pid is None:
        (folder / "run" / f"{name}.json").write_text(json.dumps(command))
        component.start()
    return component


def _until(check: Callable[[], bool], folder: Path, name: str, patience: float) -> None:
    """Wait until the component does what it is for."""
    until = time.monotonic() + patience
    component = Component(name, folder)
    while not check():
        if time.monotonic() > until or component.pid is None:
            said = component.log.read_text(errors="replace")[-3000:]
            raise ClusterError(f"{name} did not come up. The end of {component.log}:\n{said}")
        time.sleep(0.1)


# What the components are started with


def _etcd(folder: Path) -> list[str]:
    clients, peers = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return [
        "etcd",
        f"--name={NODE_NAME}",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        "--unsafe-no-fsync",
    ]


def _api_server(folder: Path) -> list[str]:
    pki = folder / "pki"
    return [
        str(folder / "bin" / "kube-apiserver"),
        "--etcd-servers=http://127.0.0.1:2379",
        "--bind-address=0.0.0.0",
        f"--advertise-address={NODE}",
        "--allow-privileged=true",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",  # beside the default ones
        # Debian's etcd is too old for it, and kwok asks for it until it is told that there is none.
        "--feature-gates=WatchList=false",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--tls-cert-file={pki / 'kube-apiserver.crt'}",
        f"--tls-private-key-file={pki / 'kube-apiserver.key'}",
        f"--kubelet-client-certificate={pki / 'admin.crt'}",
        f"--kubelet-client-key={pki / 'admin.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'ca.crt'}",
        f"--service-account-signing-key-file={pki / 'ca.key'}",
    ]


def _controller_manager(folder: Path) -> list[str]:
    pki = folder / "pki"
    return _own(
        folder,
        "kube-controller-manager",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki / 'ca.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
    )


def _kubelet(folder: Path) -> list[str]:
    return _own(
        folder,
        "kubelet",
        f"--config={_kubelet_settings(folder)}",
        f"--root-dir={folder / 'kubelet'}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE}",
    )


def _kube_proxy(folder: Path) -> list[str]:
    return _own(
        folder,
        "kube-proxy",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        f"--hostname-override={NODE_NAME}",
        "--conntrack-max-per-core=0",  # the machine's, not ours to set
        "--oom-score-adj=0",
    )


def _own(folder: Path, name: str, *words: str) -> list[str]:
    """A component that talks to the API server as itself."""
    return [str(folder / "bin" / name), f"--kubeconfig={_kubeconfig_of(name, folder)}", *words]


def _as_admin(folder: Path, name: str, *words: str) -> list[str]:
    return [str(folder / "bin" / name), f"--kubeconfig={_kubeconfig_of('admin', folder)}", *words]


def _kubelet_settings(folder: Path) -> Path:
    pki = folder / "pki"
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    return _written(
        folder / "kubelet.json",
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{_containerd_socket(folder)}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{_CGROUP}" if _cgroup_hierarchies() else "/",
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [_DNS],
            "clusterDomain": "cluster.local",
            "resolvConf": str(folder / "resolv.conf"),
            "podLogsDir": str(folder / "pods"),  # a kubelet clears these of what it does not know
            "volumePluginDir": str(folder / "kubelet" / "volume-plugins"),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(pki / "ca.crt")},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(pki / "kubelet.crt"),
            "tlsPrivateKeyFile": str(pki / "kubelet.key"),
            "maxPods": 200,
            "evictionHard": {"memory.available": "200Mi"},
            "imageGCHighThresholdPercent": 100,
            "oomScoreAdj": 0,
            "syncFrequency": "10s",
        },
    )


def _containerd_settings(folder: Path) -> Path:
    (folder / "cni").mkdir(exist_ok=True)
    addresses = {
        "type": "host-local",
        "dataDir": str(folder / "addresses"),
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "cni-t0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    host_ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    network = {"cniVersion": "0.4.0", "name": _POD_NETWORK, "plugins": [bridge, host_ports]}
    _written(folder / "cni" / "10-pods.conflist", network)
    path = folder / "containerd.toml"
    path.write_text(f"""\
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{_containerd_socket(folder)}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "stateroom.test/pause:1"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{_CNI}"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder}/registries"
""")
    return path


def push(image: str, to: str, folder: Path = FOLDER) -> None:
    """Copy an image that the node has to a registry that speaks plain HTTP."""
    for words in (["tag", "--force", image, to], ["push", "--plain-http", to], ["rm", to]):
        done = _ctr(folder, "images", *words)
        if done.returncode != 0:
            raise ClusterError(f"ctr images {' '.join(words)}: {done.stderr}")


def know_registry(address: str, folder: Path = FOLDER) -> None:
    """Let the node fetch from a registry that speaks plain HTTP."""
    hosts = folder / "registries" / address / "hosts.toml"
    hosts.parent.mkdir(parents=True, exist_ok=True)
    way = f"http://{address}"
    hosts.write_text(f'server = "{way}"\n[host."{way}"]\ncapabilities = ["pull", "resolve"]\n')


def _dns_settings(folder: Path) -> Path:
    path = folder / "Corefile"
    path.write_text(f"""\
.:53 {{
    bind {_DNS}
    errors
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {_kubeconfig_of("admin", folder)}
        pods insecure
    }}
}}
""")
    return path


def _containerd_socket(folder: Path) -> Path:
    return folder / "containerd.sock"


def _fake_node(name: str, pods: int) -> dict[str, Any]:
    room = {"cpu": "100k", "memory": "1Pi", "pods": str(pods)}
    labels = {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"capacity": room, "allocatable": room},
    }


# Network


def _make_network(folder: Path) -> None:
    """The namespace and its cable. Its name tells whose it is."""
    if (owner := _network_owner()) == folder:
        return
    if owner:
        raise ClusterError(f"a test cluster runs from {owner} already; end it with: {Path(__file__).name} down {owner}")
    _remove_network()
    _ip("netns", "add", _SPACE)
    _ip("link", "add", _LINK, "type", "veth", "peer", "name", "eth0", "netns", _SPACE)
    inside = ("-n", _SPACE)
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "add", f"{_DNS}/32", "dev", "lo")
    _ip(*inside, "address", "add", f"{NODE}/24", "dev", "eth0")
    _ip(*inside, "link", "set", "eth0", "up")
    _ip("address", "add", f"{HOST}/24", "dev", _LINK)
    _ip("link", "set", _LINK, "up")
    _ip(*inside, "route", "add", "default", "via", HOST)
    for net in (PODS, SERVICES):
        _ip("route", "add", net, "via", NODE)
    settings = "echo 1 > /proc/sys/net/ipv4/ip_forward && echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables"
    _run("nsenter", f"--net=/run/netns/{_SPACE}", "sh", "-c", settings)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for table, *rule in _WAY_OUT:
        _run("iptables", "-w", "-t", table, "-A", *rule)
    _ip("link", "set", _LINK, "alias", str(folder))  # last: what is half made is made anew


def _network_owner() -> Path | None:
    alias = Path(f"/sys/class/net/{_LINK}/ifalias")
    said = alias.read_text().strip() if alias.exists() else ""
    return Path(said) if said else None


def _remove_network() -> None:
    _quietly("ip", "link", "delete", _LINK)
    _quietly("ip", "netns", "delete", _SPACE)
    for table, *rule in _WAY_OUT:
        while _quietly("iptables", "-w", "-t", table, "-D", *rule):
            pass


def _ip(*words: str) -> None:
    _run("ip", *words)


# Credentials


def _make_credentials(folder: Path) -> None:
    pki = folder / "pki"
    if not (pki / "ca.crt").exists():
        _certificate(pki, "ca", "/CN=stateroom-test-ca")
    names = "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    addresses = f"IP:127.0.0.1,IP:{_API_SERVICE},IP:{NODE}"
    _signed(pki, "kube-apiserver", "/CN=kube-apiserver", f"{names},{addresses}")
    for name, subject in _CLIENTS.items():
        _signed(pki, name, subject, f"DNS:{NODE_NAME},IP:{NODE}")  # the kubelet serves with it too
        if not _kubeconfig_of(name, folder).exists():
            _write_kubeconfig(folder, name)


def _signed(pki: Path, name: str, subject: str, names: str) -> None:
    if not (pki / f"{name}.crt").exists():
        signer = ("-CA", str(pki / "ca.crt"), "-CAkey", str(pki / "ca.key"))
        uses = ("basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth,clientAuth", f"subjectAltName={names}")
        _certificate(pki, name, subject, *signer, *(word for use in uses for word in ("-addext", use)))


def _certificate(pki: Path, name: str, subject: str, *words: str) -> None:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(pki / f"{name}.key"))
    _run("openssl", "req", "-x509", "-days", "365", "-subj", subject, *key, "-out", str(pki / f"{name}.crt"), *words)


def _write_kubeconfig(folder: Path, name: str) -> None:
    pki = folder / "pki"

    def data(file: str) -> str:
        return b64encode((pki / file).read_bytes()).decode()

    user = {"client-certificate-data": data(f"{name}.crt"), "client-key-data": data(f"{name}.key")}
    path = _written(
        _kubeconfig_of(name, folder),
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": _API, "certificate-authority-data": data("ca.crt")}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        },
    )
    path.chmod(0o600)


def _kubeconfig_of(name: str, folder: Path) -> Path:
    return folder / "pki" / f"{name}.kubeconfig"


# Images


def load(folder: Path, *images: str) -> None:
    """Copy images of the local Docker engine in, but for those that are there as they are.

    A pod names what Docker calls NAME:TAG by its full name, docker.io/library/NAME:TAG.
    """
    folder = folder.resolve()
    note = folder / "loaded.json"
    loaded = json.loads(note.read_text()) if note.exists() else {}
    now = {image: _run("docker", "image", "inspect", "--format={{.Id}}", image).strip() for image in images}
    wanted = [image for image in images if loaded.get(image) != now[image]]
    if not wanted:
        return
    with subprocess.Popen(["docker", "save", *wanted], stdout=subprocess.PIPE) as saving:
        imported = _ctr(folder, "images", "import", "-", stdin=saving.stdout)
    if saving.returncode or imported.returncode:
        raise ClusterError(f"{' '.join(wanted)} could not be loaded: {imported.stderr.strip()}")
    _written(note, loaded | now)


def _import_pause_image(folder: Path) -> None:
    """The process that holds a pod's namespaces."""
    if "stateroom.test/pause:1" in _ctr(folder, "images", "ls", "-q").stdout.split():
        return
    with subprocess.Popen([folder / "bin" / "kube", "pause-image"], stdout=subprocess.PIPE) as making:
        imported = _ctr(folder, "images", "import", "-", stdin=making.stdout)
    if imported.returncode:
        raise ClusterError(f"the pause image could not be loaded: {imported.stderr.strip()}")


# Down


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
    if _network_owner() in {None, folder}:
        _remove_network()
        _remove_cgroups()
        _remove_traces(folder)
    if (folder / "run").is_dir():  # one of ours, and no folder that was named by mistake
        shutil.rmtree(folder)


def _end_containers(folder: Path) -> None:
    for kind, *words in (("tasks", "rm", "--force"), ("containers", "rm")):
        if names := _ctr(folder, kind, "ls", "-q").stdout.split():
            _ctr(folder, kind, *words, *names)


def _end_shims(folder: Path) -> None:
    """What holds containers while no containerd runs; each tells which one it belongs to."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_text(errors="replace").split("\0")
            if "containerd-shim" in words[0] and str(_containerd_socket(folder)) in words:
                _signal(int(path.parent.name), signal.SIGKILL)
    for hierarchy in _cgroup_hierarchies():
        for processes in hierarchy.glob(f"{_CGROUP}/**/cgroup.procs"):
            for pid in processes.read_text().split():
                _signal(int(pid), signal.SIGKILL)


def _unmount_below(folder: Path) -> None:
    for mount in reversed(_mounts()):
        if mount.is_relative_to(folder):
            _quietly("umount", "--lazy", str(mount))


def _remove_traces(folder: Path) -> None:
    """What programs leave in places that they do not let us choose."""
    for result in _CNI_CACHE.glob(f"{_POD_NETWORK}-*-eth0"):
        pod = result.name.removeprefix(f"{_POD_NETWORK}-").removesuffix("-eth0")
        (_CNI_CACHE / f"cni-loopback-{pod}-lo").unlink(missing_ok=True)
        result.unlink()
    for empty in (_CNI_CACHE, _CNI_CACHE.parent):
        with contextlib.suppress(OSError):
            empty.rmdir()
    for link in _LOG_LINKS.glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{folder}/"):
            link.unlink()


def _make_cgroups() -> None:
    for hierarchy in _cgroup_hierarchies():
        (hierarchy / _CGROUP).mkdir(exist_ok=True)


def _remove_cgroups() -> None:
    """From the leaves up. A group is free a moment after its last process has ended."""
    until = time.monotonic() + 5
    for hierarchy in _mounts("cgroup", "cgroup2"):  # runc makes its groups in all
        for group in sorted(hierarchy.glob(f"{_CGROUP}/**/"), reverse=True):
            while group.exists() and time.monotonic() < until:
                with contextlib.suppress(OSError):
                    group.rmdir()
                    break
                time.sleep(0.02)


def _cgroup_hierarchies() -> list[Path]:
    """Those of version 1: one for each controller."""
    return _mounts("cgroup")


def _mounts(*kinds: str) -> list[Path]:
    """Where something is mounted, in the order of the mounting."""
    lines = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [Path(words[1]) for words in lines if not kinds or words[2] in kinds]


# Programs


def _kubectl(folder: Path, *words: str, given: object = None) -> subprocess.CompletedProcess[str]:
    folder = folder.resolve()
    command = _as_admin(folder, "kubectl", f"--cache-dir={folder / 'kubectl'}", *words)
    stdin = "" if given is None else json.dumps(given)
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def _answers(folder: Path, *words: str) -> bool:
    return _kubectl(folder, *words).returncode == 0


def _ctr(folder: Path, *words: str, stdin: Any = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    command = ["ctr", f"--address={_containerd_socket(folder)}", "--namespace=k8s.io", *words]
    return subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)


def _run(*command: str, stdout: Any = subprocess.PIPE) -> str:
    run = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {run.stderr.strip()}")
    return run.stdout or ""


def _quietly(*command: str) -> bool:
    """Whether it went well."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _bury(pid: int) -> None:
    """Of our own children, what is left of the dead goes."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _written(path: Path, content: Mapping[str, Any]) -> Path:
    """YAML is what they read, of which JSON is a part."""
    path.write_text(json.dumps(content, indent=2))
    return path


# Command line


def main() -> str:
    """Do what the command line says; what went wrong, or ""."""
    parser = argparse.ArgumentParser(prog="cluster.py", description="A Kubernetes cluster for the tests.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("up", "down", "load"):
        verbs.add_parser(verb).add_argument("folder", type=Path)
    verbs.choices["up"].add_argument("--no-node", action="store_true", help="an API server, and nothing that runs pods")
    verbs.choices["load"].add_argument("images", nargs="+", metavar="image")
    asked = parser.parse_args()
    try:
        match asked.verb:
            case "up":
                print(up(asked.folder, node=not asked.no_node))  # noqa: T201 - whoever asked takes it from here
            case "load":
                load(asked.folder, *asked.images)
            case "down":
                down(asked.folder)
    except ClusterError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main() or 0)
