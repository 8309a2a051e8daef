"""How browsers reach the hub of `stateroom up`: its URL, where its proxy listens, and each user's host name."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from stateroom.common.errors import SetupError
from stateroom.common.text import quoted

LOOPBACK = "127.0.0.1"
# What it means where all users' servers have one host name.
SHARED_NAME_RISK = "whoever opens a page of another user's server gives it access to their own account"
# Browsers have `localhost` and all names below it lead to the machine itself; no cookie is for `localhost` alone.
_LOCAL_NAME = "hub.localhost"
_EXAMPLE = "https://hub.example.org"
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class Address:
    """What an operator chose. `url` is "" where nothing was said."""

    port: int
    url: str = ""
    bind: str = LOOPBACK
    tls_cert: str = ""
    tls_key: str = ""
    host_names: bool = True  # whether each user's servers have a host name of their own

    @property
    def public_url(self) -> str:
        """The hub's URL for a browser, without a path."""
        scheme = "https" if self.tls_cert else "http"
        return self.url or f"{scheme}://{_LOCAL_NAME if self.host_names else LOOPBACK}:{self.port}"


def require_consistent(address: Address) -> None:
    """Raises SetupError for what cannot be served so."""
    if bool(address.tls_cert) != bool(address.tls_key):
        raise SetupError("TLS takes both files: name the certificate with --tls-cert, and its key with --tls-key.")
    for file in filter(None, (address.tls_cert, address.tls_key)):
        if not Path(file).is_file():
            raise SetupError(f"There is no file {file}. Name a certificate and its key in PEM format.")
    if address.tls_cert and not address.public_url.startswith("https:"):
        raise SetupError(f"With TLS the URL begins with https, and not as {address.url} does.")
    if not address.url and not ipaddress.ip_address(address.bind).is_loopback:
        raise SetupError(
            f"With --bind {address.bind} others can reach the hub: name the URL that they use, as in --url {_EXAMPLE}."
        )
    name = urlsplit(address.public_url).hostname or ""
    if address.host_names and not _has_names_below(name):
        raise SetupError(
            f"There are no host names below {name}, and each user's servers need one of their own. Name the hub by a "
            f"host name, as in --url {_EXAMPLE}, or give that up with --one-host-name."
        )


def parse_url(text: str) -> str:
    """Return a public URL in its usual spelling, without a path. Raises SetupError."""
    try:
        parts = urlsplit(text.strip().lower())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https") or not (_is_name(host) or _is_address(host)):
        raise SetupError(f"{quoted(text)} is not the URL of a hub; write it as {_EXAMPLE}.")
    if parts.path.strip("/") or parts.query or parts.fragment or parts.username is not None:
        raise SetupError(f"{quoted(text)} has more than a host name and a port; write it as {_EXAMPLE}.")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port else "")


def _has_names_below(host: str) -> bool:
    return not _is_address(host) and host != "localhost"


def _is_name(host: str) -> bool:
    return len(host) <= 200 and all(_LABEL.fullmatch(label) for label in host.split("."))  # noqa: PLR2004 - of 253


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
