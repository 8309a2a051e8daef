"""The node that runs pods."""

from __future__ import annotations

import subprocess
from pathlib import Path

from harness.cluster.cgroups import cgroup_hierarchies, make_cgroups
from harness.cluster.component import start, wait_until
from harness.cluster.programs import (
    CNI,
    admin_command,
    containerd_socket,
    ctr,
    kubectl_succeeds,
    own_command,
    unpacked_program,
)
from harness.cluster.settings import (
    CGROUP,
    DNS,
    NODE,
    NODE_NAME,
    PODS,
    ClusterError,
    kubeconfig_of,
    write_json,
)

POD_NETWORK = "test-pods"


def start_node(folder: Path) -> None:
    make_cgroups()
    containerd = ["containerd", f"--config={_containerd_settings(folder)}"]
    start(folder, "containerd", containerd)
    wait_until(lambda: ctr(folder, "version").returncode == 0, folder, "containerd", 30)
    _import_pause_image(folder)
    start(folder, "kubelet", _kubelet(folder))
    start(folder, "kube-proxy", _kube_proxy(folder))
    start(folder, "netpol", admin_command(folder, "netpol", f"--dns={DNS}"))
    start(folder, "coredns", [str(unpacked_program(folder, "coredns")), f"-conf={_dns_settings(folder)}"])
    ready = ("wait", "--for=condition=Ready", f"node/{NODE_NAME}", "--timeout=1s")
    wait_until(lambda: kubectl_succeeds(folder, *ready), folder, "kubelet", 60)


def _kubelet(folder: Path) -> list[str]:
    return own_command(
        folder,
        "kubelet",
        f"--config={_kubelet_settings(folder)}",
        f"--root-dir={folder / 'kubelet'}",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE}",
    )


def _kubelet_settings(folder: Path) -> Path:
    pki = folder / "pki"
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    return write_json(
        folder / "kubelet.json",
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": f"unix://{containerd_socket(folder)}",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{CGROUP}" if cgroup_hierarchies() else "/",
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [DNS],
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
            "nodeStatusUpdateFrequency": "2s",  # as above; 10 s is usual
        },
    )


def _kube_proxy(folder: Path) -> list[str]:
    return own_command(
        folder,
        "kube-proxy",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        f"--hostname-override={NODE_NAME}",
        "--conntrack-max-per-core=0",  # the machine's, not ours to set
        "--oom-score-adj=0",
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
    network = {"cniVersion": "0.4.0", "name": POD_NETWORK, "plugins": [bridge, host_ports]}
    write_json(folder / "cni" / "10-pods.conflist", network)
    path = folder / "containerd.toml"
    path.write_text(f"""\
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{containerd_socket(folder)}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "stateroom.test/pause:1"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI}"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder}/registries"
""")
    return path


def _dns_settings(folder: Path) -> Path:
    path = folder / "Corefile"
    path.write_text(f"""\
.:53 {{
    bind {DNS}
    errors
    cache 5
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig_of("admin", folder)}
        pods insecure
    }}
}}
""")
    return path


def _import_pause_image(folder: Path) -> None:
    """The process that holds a pod's namespaces."""
    if "stateroom.test/pause:1" in ctr(folder, "images", "ls", "-q").stdout.split():
        return
    with subprocess.Popen([folder / "bin" / "kube", "pause-image"], stdout=subprocess.PIPE) as making:
        imported = ctr(folder, "images", "import", "-", stdin=making.stdout)
    if imported.returncode:
        raise ClusterError(f"the pause image could not be loaded: {imported.stderr.strip()}")
