"""Queries to a cluster that both `up` and `doctor` need.

The hub's account may see nothing outside of its namespace. What it may not see
raises EngineRefused, and whoever asks goes on without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from stateroom.backends.kubernetes.rbac import RIGHTS, Right
from stateroom.common.errors import EngineRefused, SetupError
from stateroom.common.text import joined
from stateroom.operations.kubernetes.client import Client

Json = Mapping[str, Any]

ROLE_PAGE = 'the README has it whole, under "On Kubernetes"'


def namespace_facts(client: Client) -> Json | None:
    """Return the namespace, {} if it exists but is not visible to the account, or None if it does not exist.

    Raises EngineRefused where not even that can be seen.
    """
    try:
        return client.ask(client.cluster.at(f"/api/v1/namespaces/{client.namespace}"))
    except EngineRefused:
        return _namespace_by_trial(client)


def _namespace_by_trial(client: Client) -> Json | None:
    """Try to create an object without creating it, and read the namespace's existence from the answer."""
    nothing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "stateroom-trial-"}}
    try:
        client.ask(client.cluster.create("configmaps", nothing, dry_run=True))
    except EngineRefused as error:
        if error.message == f'namespaces "{client.namespace}" not found':
            return None
        raise
    return {}


def missing_rights(client: Client) -> list[Right]:
    """Return the rights that a hub needs and the account lacks, by resource."""

    async def asked() -> list[bool]:
        may = [client.cluster.may(verb, right.resource) for right in RIGHTS for verb in right.verbs]
        return list(await asyncio.gather(*may))

    answers = iter(client.ask(asked()))
    missing = [(right, tuple(verb for verb in right.verbs if not next(answers))) for right in RIGHTS]
    return [Right(right.resource, verbs, right.why) for right, verbs in missing if verbs]


def require_namespace(client: Client) -> None:
    """Raises SetupError if the namespace does not exist."""
    try:
        found = namespace_facts(client)
    except EngineRefused:
        return  # an account that may not even try has no rights there, which is told next
    if found is None:
        raise SetupError(
            f'There is no namespace "{client.namespace}" in the cluster. '
            f"Make it: kubectl create namespace {client.namespace}"
        )


def require_rights(client: Client) -> None:
    """Raises SetupError if the account lacks a right that a hub needs."""
    if missing := missing_rights(client):
        rights = joined([f"{right.resource} ({', '.join(right.verbs)})" for right in missing])
        raise SetupError(
            f'The account of the kubeconfig may not do in the namespace "{client.namespace}" all that a hub needs. '
            f"Add to its Role: {rights}; {ROLE_PAGE}."
        )


def nodes(client: Client) -> list[Json]:
    """Return the first hundred nodes. Raises EngineRefused if the account may not list them."""
    return list((client.ask(client.cluster.at("/api/v1/nodes?limit=100")) or {}).get("items") or ())
