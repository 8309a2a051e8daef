"""What the hub's account may do in the servers' namespace: all that it needs, and no more.

One table, from which come the Role, its page in the docs, what `stateroom doctor`
asks the cluster about, and the account of the tests. Nothing is cluster-wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Right:
    """One kind of object, what is done with it, and what for."""

    resource: str  # as a Role names it: "pods", or "pods/log"
    verbs: tuple[str, ...]
    why: str


RIGHTS = (
    Right(
        "pods", ("get", "list", "watch", "create", "patch", "delete"), "A server is a pod, and one watch follows all."
    ),
    Right("pods/log", ("get",), "The last words of a server that ended."),
    Right("secrets", ("create",), "A server's variables and certificate. They go with its pod, and are never read."),
    Right("services", ("create",), "An address for a server's certificate, with `internal_ssl`."),
    Right(
        "persistentvolumeclaims",
        ("get", "list", "create", "patch", "delete"),
        "Homes: made, grown, and deleted only on demand. `gc` and `homes` list them.",
    ),
    Right("configmaps", ("get", "list", "create", "delete"), "Whose a folder of a shared claim is."),
    Right("events", ("watch",), "What a start that takes long waits for."),
)


def role(name: str, namespace: str) -> dict[str, Any]:
    """A Role with these rights."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": [{"apiGroups": [""], "resources": [right.resource], "verbs": list(right.verbs)} for right in RIGHTS],
    }
