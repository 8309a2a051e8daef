"""What `stateroom doctor` makes of what a cluster says: from its own words to a verdict with a remedy, pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from stateroom.backends.kubernetes.rights import RIGHTS, Right
from stateroom.catalog import KubernetesHome
from stateroom.cli.findings import Finding, fail, ok, unseen, warn
from stateroom.cli.kubernetes.facts import Json
from stateroom.wording import joined

_OLDEST = (1, 30)  # since which a pod may wait at a gate for its Secret
_ENFORCED = "pod-security.kubernetes.io/enforce"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NEARLY = Decimal("0.9")  # the share of a quota that is near its end

_SUFFIXES: Mapping[str, Decimal | int] = {
    "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip


def cluster_finding(version: Json, server: str, seconds: float) -> Finding:
    """What the cluster is, from `GET /version`, and how fast it answers."""
    words = f"Kubernetes {version.get('gitVersion', '')} at {server}, answers in {seconds * 1000:.0f} ms"
    if _numbers(version) < _OLDEST:
        return warn(f"{words}; it is older than {_OLDEST[0]}.{_OLDEST[1]}, which servers need", "Upgrade the cluster.")
    return ok(words)


def rights_findings(missing: Sequence[Right], namespace: str) -> Iterator[Finding]:
    """A line for each kind of object that the account may not do all with."""
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
    """Whether it is there, and which pods it admits; {} tells no more than that it is there."""
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
    """What the namespace may have little more of."""
    for quota in quotas:
        status = quota.get("status") or {}
        used, hard = status.get("used") or {}, status.get("hard") or {}
        for what, most in hard.items():
            has, limit = amount(used.get(what, "0")), amount(most)
            if has is not None and limit and has >= limit * _NEARLY:
                yield warn(
                    f"the quota {quota['metadata']['name']} is nearly used up: {used[what]} of {most} {what}",
                    "Stop servers that nobody needs, or raise the quota.",
                )


def class_finding(homes: KubernetesHome, found: Json | None, classes: Sequence[Json]) -> Finding:
    """Whether new claims will get storage: the class that the catalog names (`found`), else the cluster's default."""
    size = f"{homes.size // 1024**3} GiB"
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
    """Whether the claim that all homes share is there, and can be mounted on every node."""
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


def not_shown(what: str) -> Finding:
    """For what only accounts with cluster-wide rights see."""
    return unseen(f"the account may not see {what}, and need not")


def amount(text: str) -> Decimal | None:
    """A quantity of Kubernetes' as a number, None if it is none that is known."""
    suffix = text.lstrip("0123456789.")
    try:
        return Decimal(text.removesuffix(suffix)) * (_SUFFIXES[suffix] if suffix else 1)
    except (InvalidOperation, KeyError):
        return None


def _names(classes: Sequence[Json]) -> str:
    return joined([str(one["metadata"]["name"]) for one in classes]) or "it has none, which must be made first"


def _numbers(version: Json) -> tuple[int, ...]:
    texts = (str(version.get(part, "")).rstrip("+") for part in ("major", "minor"))
    return tuple(int(text) for text in texts if text.isdecimal())
