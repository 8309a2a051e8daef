"""`stateroom down` in a cluster: the hub's pods go, and with each what belongs to it. Nothing else was started."""

from __future__ import annotations

from stateroom.cli.data import Settings
from stateroom.cli.kubernetes.belongings import home_of, shared_claim
from stateroom.cli.kubernetes.client import Client, connected, refusals_told
from stateroom.cli.kubernetes.facts import Json
from stateroom.cli.kubernetes.pods import ended, listed, selector, server_of
from stateroom.cli.screen import Screen


def take_down(settings: Settings, screen: Screen) -> None:
    """Stop all servers of the hub."""
    with (
        screen.step("Servers", "Stopping the servers") as step,
        refusals_told(),
        connected(settings.namespace, settings.kubeconfig) as client,
    ):
        servers = [pod for pod in _all(client, "pods", "server", settings) if server_of(pod, settings.hub_id)]
        client.ask(ended(client.cluster, [(pod["metadata"]["name"], pod["metadata"]["uid"]) for pod in servers]))
        step.result = f"{len(servers)} stopped" if servers else "none were running"
        kept = _homes(client, settings)
    screen.line("Homes", kept)


def _homes(client: Client, settings: Settings) -> str:
    claim = shared_claim(settings)
    kind = "configmaps" if claim else "persistentvolumeclaims"
    number = sum(home_of(home, settings.hub_id) is not None for home in _all(client, kind, "home", settings))
    if not number:
        return "there are none"
    if claim:
        return f"{number} {'is' if number == 1 else 'are'} kept, in the claim {claim} of {settings.where}"
    what = "1 is kept, the claim" if number == 1 else f"{number} are kept, the claims"
    return f"{what} named stateroom-home-… of {settings.where}"


def _all(client: Client, kind: str, what: str, settings: Settings) -> list[Json]:
    return client.ask(listed(client.cluster, kind, selector(settings.hub_id, what)))
