"""Turns a cluster's answers into the findings of `stateroom doctor`: a verdict with a remedy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from stateroom.backends.kubernetes.rbac import RIGHTS, Right
from stateroom.catalog.storage import KubernetesHome
from stateroom.common.labels import KIND
from stateroom.common.quantity import format_memory, format_milliseconds, parse_kubernetes_quantity
from stateroom.common.text import joined
from stateroom.operations.checks.findings import Finding, fail, ok, skipped, warn
from stateroom.operations.kubernetes.facts import Json

_OLDEST = (1, 30)  # since which a pod may wait at a gate for its Secret
_ENFORCED = "pod-security.kubernetes.io/enforce"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NEARLY = Fraction(9, 10)  # the share of a quota that is near its end


def cluster_finding(version: Json, server: str, seconds: float) -> Finding:
    """Report the cluster's version, from `GET /version`, and how fast it answers."""
    words = f"Kubernetes {version.get('gitVersion', '')} at {server}, answers in {format_milliseconds(seconds)}"
    if _numbers(version) < _OLDEST:
        return warn(f"{words}; it is older than {_OLDEST[0]}.{_OLDEST[1]}, which servers need", "Upgrade the cluster.")
    return ok(words)


def rights_findings(missing: Sequence[Right], namespace: str) -> Iterator[Finding]:
    """Yield a finding for each resource on which the account lacks a right."""
    for right in missing:
        verbs = joined(list(right.verbs))
        yield fail(
            f"the account may not {verbs} {right.resource} in the namespace {namespace}. {right.why.rstrip('.')}",
            f"Add to its Role: resources [{right.resource}], verbs [{', '.join(right.verbs)}].",
        )
    if not missing:
        number = sum(len(right.verbs) for right in RIGHTS)
        yield ok(f"all {number} that a hub needs, in the namespace {namespace}")


def namespace_finding(name: str, found: Json | None) -> Finding:
    """Report whether the namespace exists and which pods it admits. {} means that it exists, and no more is visible."""
    if found is None:
        return fail(f"{name} is not there, so that no server can start", f"Make it: kubectl create namespace {name}")
    if not found:
        return ok(f"{name} is there; the account may not see which pods it admits, and need not")
    if (found.get("status") or {}).get("phase") == "Terminating":
        return fail(f"{name} is being deleted", "Wait for its end and make it anew, or name another in the catalog.")
    level = (found["metadata"].get("labels") or {}).get(_ENFORCED)
    if level in ("baseline", "restricted"):
        return ok(f"{name} is there, and admits {level} pods alone")
    return warn(
        f"{name} is there, and enforces no Pod Security level",
        f"Servers are restricted pods, so enforce it: kubectl label namespace {name} {_ENFORCED}=restricted",
    )


def quota_findings(quotas: Iterable[Json]) -> Iterator[Finding]:
    """Yield a warning for each quota of the namespace that is nearly used up."""
    for quota in quotas:
        status = quota.get("status") or {}
        used, hard = status.get("used") or {}, status.get("hard") or {}
        for what, most in hard.items():
            has, limit = parse_kubernetes_quantity(used.get(what, "0")), parse_kubernetes_quantity(most)
            if has is not None and limit and has >= limit * _NEARLY:
                yield warn(
                    f"the quota {quota['metadata']['name']} is nearly used up: {used[what]} of {most} {what}",
                    "Stop servers that nobody needs, or raise the quota.",
                )


def class_finding(homes: KubernetesHome, found: Json | None, classes: Sequence[Json]) -> Finding:
    """Report whether new claims get storage: from the catalog's class (`found`), else from the default class."""
    size = format_memory(homes.size)
    if homes.storage_class:
        if found is None:
            return fail(
                f"there is no storage class {homes.storage_class}, which the catalog names for homes",
                f"Name one of the cluster's in home.kubernetes.storage_class: {_names(classes)}.",
            )
        return ok(f"homes are claims of class {homes.storage_class}")
    for one in classes:
        if (one["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true":
            return ok(f"homes are claims of the default class {one['metadata']['name']}, {size} each")
    return fail(
        "no storage class is the cluster's default, so that no home can be made",
        f"Name one in the catalog, in home.kubernetes.storage_class: {_names(classes)}.",
    )


def shared_claim_finding(name: str, found: Json | None, namespace: str) -> Finding:
    """Report whether the claim that all homes share exists and can be mounted on every node."""
    if found is None:
        return fail(
            f"the claim {name}, which all homes share, is not in the namespace {namespace}",
            "Make it with access mode ReadWriteMany, or name another in home.kubernetes.claim.",
        )
    phase = (found.get("status") or {}).get("phase")
    if phase == "Lost":
        return fail(f"the claim {name} has lost its volume", "Restore the volume, or make the claim anew.")
    if "ReadWriteMany" not in (found["spec"].get("accessModes") or ()):
        return warn(
            f"the claim {name} is there, but can be mounted on one node alone",
            "With more than one node, make it with access mode ReadWriteMany.",
        )
    return ok(f"all homes are in the claim {name}, which is {'there' if phase == 'Bound' else 'not bound yet'}")


def policies_finding(policies: Iterable[Json], labels: Mapping[str, str], namespace: str) -> Finding:
    """Report whether network policies say who reaches a server, which has these labels, and whom it reaches."""
    mine = [policy for policy in policies if _selects(policy["spec"].get("podSelector") or {}, labels)]
    directions = {direction for policy in mine for direction in _directions(policy["spec"])}
    if directions >= {"Ingress", "Egress"}:
        return ok(f"servers are behind {_names(mine)}")
    open_to = {
        "Ingress": "whoever is in the cluster reaches servers",
        "Egress": "servers reach whatever is in the cluster, and the nodes' metadata",
    }
    return warn(
        f"no network policy in {namespace} says otherwise: "
        + joined([words for direction, words in open_to.items() if direction not in directions]),
        "`helm upgrade` with the chart brings its policies back (network_policies.enabled). "
        f"Without the chart, write policies for pods with the label {KIND}=server.",
    )


def _directions(spec: Json) -> Sequence[str]:
    """Return what a policy restricts; the API's rule where it does not say."""
    return spec.get("policyTypes") or (["Ingress", "Egress"] if "egress" in spec else ["Ingress"])


def _selects(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a label selector of the API selects what has these labels; an empty one selects all."""
    wanted = (selector.get("matchLabels") or {}).items()
    return all(labels.get(key) == value for key, value in wanted) and all(
        _meets(one, labels.get(one["key"])) for one in selector.get("matchExpressions") or ()
    )


def _meets(expression: Json, value: str | None) -> bool:
    values = expression.get("values") or ()
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[expression["operator"]]


def not_shown(what: str) -> Finding:
    """Return the finding for what only accounts with cluster-wide rights can see."""
    return skipped(f"the account may not see {what}, and need not")


def _names(objects: Sequence[Json]) -> str:
    return joined([str(one["metadata"]["name"]) for one in objects]) or "it has none, which must be made first"


def _numbers(version: Json) -> tuple[int, ...]:
    texts = (str(version.get(part, "")).rstrip("+") for part in ("major", "minor"))
    return tuple(int(text) for text in texts if text.isdecimal())
