"""Somebody removes what the hub made for its servers, while it runs: nobody is locked out for more than seconds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.figures import Told
from harness.hub import metrics, running_hub, wait_for
from harness.looker import Looker
from harness.outside import packet_rules
from stateroom.backends.docker.packet_filter import lift_isolation
from stateroom.workloads.names import network_name

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root sees packet rules")


def test_a_hub_goes_on_when_its_network_was_removed_its_rules_flushed_or_a_server_disconnected(
    tmp_path: Path, told: Told
) -> None:
    with running_hub(tmp_path) as hub:
        engine, network, rules = hub.servers.engine, network_name(hub.id), len(packet_rules(hub.id))
        person, admin = hub.person(), hub.person("--admin")

        with Looker(f"{hub.url}/hub/login").looking() as visitor:
            engine.networks.get(network).remove()  # as `docker network prune` does
            wait_for(lambda: engine.networks.list(names=[network]), "the network")
            person.started()
        told(f"The network removed: no login page for {visitor.gap:.1f} s.")
        assert len(packet_rules(hub.id)) == rules

        lift_isolation(engine.api, hub.id, ())
        wait_for(lambda: len(packet_rules(hub.id)) == rules, "the rules")

        container = hub.servers.container(person.name)
        engine.networks.get(network).disconnect(container, force=True)
        wait_for(person.reaches_server, "the server through the proxy")
        person.stop()

        # The network that was made again has another interface, for which the rules were written too.
        wanted = {'kind="network"': 1, 'kind="rules"': 2, 'kind="server"': 1}
        wait_for(lambda: dict(metrics(admin, "stateroom_network_repairs_total")) == wanted, "the count of it all")
        assert [value for _, value in metrics(admin, "stateroom_networks_whole")] == [1]
        person.close()
        admin.close()
