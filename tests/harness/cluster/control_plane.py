"""etcd, the API server, the controllers and the scheduler."""

from __future__ import annotations

from pathlib import Path

from harness.cluster.component import start, wait_until
from harness.cluster.programs import admin_command, kubectl, kubectl_succeeds, own_command
from harness.cluster.settings import NODE, NODE_NAME, SERVICES

_STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": "stateroom.test/host-path",
    "volumeBindingMode": "WaitForFirstConsumer",
    "allowVolumeExpansion": True,
}


def start_control_plane(folder: Path) -> None:
    start(folder, "etcd", _etcd(folder))
    start(folder, "kube-apiserver", _api_server(folder))
    wait_until(lambda: kubectl_succeeds(folder, "get", "--raw", "/readyz"), folder, "kube-apiserver", 90)
    start(folder, "kube-controller-manager", _controller_manager(folder))
    start(folder, "kube-scheduler", own_command(folder, "kube-scheduler", "--leader-elect=false"))
    kubectl(folder, "apply", "-f", "-", given=_STORAGE_CLASS)
    start(folder, "provisioner", admin_command(folder, "provisioner", f"--dir={folder / 'volumes'}"))
    # Without it no pod is let in.
    wait_until(
        lambda: kubectl_succeeds(folder, "get", "serviceaccount", "default"), folder, "kube-controller-manager", 60
    )


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
    return own_command(
        folder,
        "kube-controller-manager",
        "--leader-elect=false",
        "--use-service-account-credentials",
        "--node-monitor-period=2s",  # so that a node that was away is soon back; 5 s is usual
        f"--service-account-private-key-file={pki / 'ca.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
    )
