"""The definition of HTTPRoute, from the Gateway API's Go module."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from harness.skips import program_or_skip

_MODULE = "sigs.k8s.io/gateway-api@v1.4.1"


def http_route_definition() -> Path:
    """The file; skips where there is no Go, which fetches it."""
    fetch = [program_or_skip("go"), "mod", "download", "-json", _MODULE]
    folder = json.loads(subprocess.run(fetch, capture_output=True, text=True, check=True, timeout=600).stdout)["Dir"]
    return Path(folder) / "config" / "crd" / "standard" / "gateway.networking.k8s.io_httproutes.yaml"
