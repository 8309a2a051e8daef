"""What a cluster is asked by `up` and by `doctor` alike.

The hub's account may see nothing outside of its namespace. What it may not see
raises EngineRefused, and whoever asks goes on without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from stateroom.backends.kubernetes.rights import RIGHTS, Right
from stateroom.cli.kubernetes.client import Client
from stateroom.errors import EngineRefused, SetupError
from stateroom.wording import joined

Json = Mapping[str, Any]

ROLE_PAGE = 'the README has it whole, under "On Kubernetes"'


def namespace_facts(client: Client) -> Json | None:
    """The namespace, {} where it is there and no more can be seen, None where it is not.

    Raises EngineRefused where not even that can be seen.
    """
    try:
        return client.ask(client.cluster.at(f"/api/v1/namespaces/{client.namespace}"))
    except EngineRefused:
        return _namespace_by_trial(client)


def _namespace_by_trial(client: Client) -> Json | None:
    """By what the cluster says to an object that it is not to make."""
    nothing = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "stateroom-trial-"}}
    try:
        client.ask(client.cluster.create("configmaps", nothing, dry_run=True))
    except EngineRefused as error:
        if error.message == f'namespaces "{client.namespace}" not found':
            return None
        raise
    return {}


def missing_rights(client: Client) -> list[Right]:
    """What the account may not do of all that a hub needs, by resource."""

    async def asked() -> list[bool]:
        may = [client.cluster.may(verb, right.resource) for right in RIGHTS for verb in right.verbs]
        return list(await asyncio.gather(*may))

    answers = iter(client.ask(asked()))
    missing = [(right, tuple(verb for verb in right.verbs if not next(answers))) for right in RIGHTS]
    return [Right(right.resource, verbs, right.why) for right, verbs in missing if verbs]


def require_namespace(client: Client) -> None:
    """Raises SetupError where it is not there."""
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
    """Raises SetupError where any is missing."""
    if missing := missing_rights(client):
        told = joined([f"{right.resource} ({', '.join(right.verbs)})" for right in missing])
        raise SetupError(
            f'The account of the kubeconfig may not do in the namespace "{client.namespace}" all that a hub needs. '
            f"Add to its Role: {told}; {ROLE_PAGE}."
        )


def nodes(client: Client) -> list[Json]:
    """The first of the cluster's nodes. Raises EngineRefused where the account may not see them."""
    return list((client.ask(client.cluster.at("/api/v1/nodes?limit=100")) or {}).get("items") or ())
