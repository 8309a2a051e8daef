"""Certificates of servers, where JupyterHub's `internal_ssl` is on.

The hub's own way makes one before the start and keeps one for all servers of a
user; it fails at long names, and knows no address yet. Here each server gets one
for the address that it was given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from certipy import Certipy
from jupyterhub.utils import make_ssl_context, maybe_future

from stateroom.backends.base import Tls

_AUTHORITY = "notebooks-ca"  # the hub's, for the certificates of servers


def server_tls(spawner: Any) -> Tls:
    """How the hub and the spawner's server know each other, with `internal_ssl`."""
    key, certificate, authorities = (spawner.user.settings[f"internal_ssl_{part}"] for part in ("key", "cert", "ca"))

    async def certify(address: str) -> dict[str, bytes]:
        return await _certificate(spawner, address)

    return Tls(certify, make_ssl_context(key, certificate, cafile=authorities))


async def _certificate(spawner: Any, address: str) -> dict[str, bytes]:
    """Return the files of a certificate for an address, signed by the hub's own authority."""
    names = spawner.ssl_alt_names
    names = await maybe_future(names(spawner)) if callable(names) else names
    local = ["DNS:localhost", "IP:127.0.0.1"] if spawner.ssl_alt_names_include_local else []
    made = Certipy(store_dir=spawner.internal_certs_location).create_signed_pair(
        spawner.ref.name, _AUTHORITY, alt_names=[*local, *names, f"IP:{address}"], overwrite=True
    )
    files = made["files"]
    paths = {
        "keyfile": files["key"],
        "certfile": files["cert"],
        "cafile": spawner.internal_trust_bundles[_AUTHORITY],
    }
    return {kind: Path(path).read_bytes() for kind, path in paths.items()}  # noqa: ASYNC240 - small files
