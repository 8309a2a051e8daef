"""Certificates and kubeconfigs of everyone who talks to the API server."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from harness.cluster.programs import run
from harness.cluster.settings import API, API_SERVICE, NODE, NODE_NAME, kubeconfig_of, write_json

# Who talks to the API server, as the certificates call them.
_CLIENTS = {
    "admin": "/O=system:masters/CN=admin",
    "kube-controller-manager": "/CN=system:kube-controller-manager",
    "kube-scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE_NAME}",
}


def make_credentials(folder: Path) -> None:
    pki = folder / "pki"
    if not (pki / "ca.crt").exists():
        _certificate(pki, "ca", "/CN=stateroom-test-ca")
    names = "DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    addresses = f"IP:127.0.0.1,IP:{API_SERVICE},IP:{NODE}"
    _signed(pki, "kube-apiserver", "/CN=kube-apiserver", f"{names},{addresses}")
    for name, subject in _CLIENTS.items():
        _signed(pki, name, subject, f"DNS:{NODE_NAME},IP:{NODE}")  # the kubelet serves with it too
        if not kubeconfig_of(name, folder).exists():
            _write_kubeconfig(folder, name)


def _signed(pki: Path, name: str, subject: str, names: str) -> None:
    if not (pki / f"{name}.crt").exists():
        signer = ("-CA", str(pki / "ca.crt"), "-CAkey", str(pki / "ca.key"))
        uses = ("basicConstraints=CA:FALSE", "extendedKeyUsage=serverAuth,clientAuth", f"subjectAltName={names}")
        _certificate(pki, name, subject, *signer, *(word for use in uses for word in ("-addext", use)))


def _certificate(pki: Path, name: str, subject: str, *words: str) -> None:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(pki / f"{name}.key"))
    run("openssl", "req", "-x509", "-days", "365", "-subj", subject, *key, "-out", str(pki / f"{name}.crt"), *words)


def _write_kubeconfig(folder: Path, name: str) -> None:
    pki = folder / "pki"

    def data(file: str) -> str:
        return b64encode((pki / file).read_bytes()).decode()

    user = {"client-certificate-data": data(f"{name}.crt"), "client-key-data": data(f"{name}.key")}
    path = write_json(
        kubeconfig_of(name, folder),
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": API, "certificate-authority-data": data("ca.crt")}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "current-context": "test",
        },
    )
    path.chmod(0o600)
