"""Where the cluster is, and what its parts are called."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[3]
FOLDER = CHECKOUT / ".cache" / "test-cluster"  # where tests/running has it
HOST = "10.97.0.1"  # this machine, as pods reach it: a hub outside of the cluster listens there
NODE = "10.97.0.2"
NODE_NAME = "node1"
PODS = "10.245.0.0/16"
SERVICES = "10.98.0.0/16"
FAKE_PODS = "10.200.0.0/16"
DNS = "10.98.0.10"
API_SERVICE = "10.98.0.1"
API = f"https://{NODE}:6443"
LINK = SPACE = "stateroom-t0"  # the cable's end at this machine, and the namespace at the other
CGROUP = "stateroom-t0"  # a kubelet ends what it finds in its own and does not know


class ClusterError(Exception):
    """The cluster cannot be had; the message says why, and what to do."""


def kubeconfig_of(name: str, folder: Path) -> Path:
    return folder / "pki" / f"{name}.kubeconfig"


def kubeconfig() -> Path:
    """The admin's kubeconfig of the tests' cluster: STATEROOM_TEST_KUBECONFIG, else that of our own."""
    return Path(os.environ.get("STATEROOM_TEST_KUBECONFIG") or kubeconfig_of("admin", FOLDER))


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """YAML is what they read, of which JSON is a part."""
    path.write_text(json.dumps(content, indent=2))
    return path
