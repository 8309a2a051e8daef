"""`stateroom down` in a cluster: deletes the hub's pods, each with what belongs to it. Nothing else was started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stateroom.common.text import listed as words_of
from stateroom.operations.kubernetes.client import Client, connected, refusals_translated
from stateroom.operations.kubernetes.facts import Json
from stateroom.operations.kubernetes.pods import ended, listed, selector, server_of
from stateroom.operations.kubernetes.resources import home_of, shared_claim
from stateroom.operations.local.data import Settings
from stateroom.operations.report import Report

_CLAIMS, _FOLDERS = "persistentvolumeclaims", "configmaps"  # what homes are, by what tells of them


def take_down(settings: Settings, report: Report) -> None:
    """Stop all servers of the hub, and report which homes are kept."""
    with refusals_translated(), connected(settings.namespace, settings.kubeconfig) as client:
        with report.step("Servers", "Stopping the servers") as step:
            number = _stop_servers(client, settings.hub_id)
            step.result = f"{number} stopped" if number else "none were running"
        kept = {kind: _homes(client, kind, settings.hub_id) for kind in (_CLAIMS, _FOLDERS)}
        first, *more = _told(kept[_CLAIMS], kept[_FOLDERS], client, settings)
    report.line("Homes", first)
    for line in more:
        report.more(line)


def _stop_servers(client: Client, hub: str) -> int:
    """Stop servers until there are none, since a hub that still runs may start another. Returns their number."""
    stopped = 0
    while servers := [pod for pod in _all(client, "pods", "server", hub) if server_of(pod, hub)]:
        client.ask(ended(client.cluster, [(pod["metadata"]["name"], pod["metadata"]["uid"]) for pod in servers]))
        stopped += len(servers)
    return stopped


def _told(claims: Sequence[str], folders: Sequence[str], client: Client, settings: Settings) -> Iterator[str]:
    """Describe the homes that are kept, and the commands that delete them; both kinds, since a catalog may change."""
    where = f"of the namespace {client.namespace} of {client.cluster.server}"
    delete = f"{client.kubectl} --namespace {client.namespace} delete"
    selected = f"--selector {selector(settings.hub_id, 'home')}"
    if claims:
        yield f"{_are_kept(claims, 'the claim')} {where}"
        yield f"for good they go with: {delete} {_CLAIMS} {selected}"
    if folders:
        claim = shared_claim(settings)
        yield f"{_are_kept(folders, 'the folder')} in the claim {claim or 'that they share'} {where}"
        yield f"for good they go with: {delete} {_FOLDERS} {selected}"
        yield f"and, if nobody else's files are in it: {delete} {_CLAIMS} {claim or 'NAME'}"
    if not claims and not folders:
        yield "there are none"


def _are_kept(homes: Sequence[str], what: str) -> str:
    return f"1 is kept, {what} {homes[0]}" if len(homes) == 1 else f"{len(homes)} are kept, {what}s {words_of(homes)}"


def _homes(client: Client, kind: str, hub: str) -> list[str]:
    return [ref.name for home in _all(client, kind, "home", hub) if (ref := home_of(home, hub)) is not None]


def _all(client: Client, kind: str, what: str, hub: str) -> list[Json]:
    return client.ask(listed(client.cluster, kind, selector(hub, what)))
