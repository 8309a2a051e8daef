"""`stateroom up` keeps servers from the machine that they run on, and `stateroom down` leaves no trace of that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.configured_hub import configured_hub
from harness.hub import free_port, running_hub
from harness.outside import CONNECT, listening, packet_rules
from stateroom.operations.local.data import DataFolder
from stateroom.workloads.names import network_name


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees packet rules")
def test_up_writes_packet_rules_once_and_down_removes_them(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        person = hub.person()
        person.started()
        settings = DataFolder(hub.data).settings()
        assert settings
        pools = hub.servers.engine.networks.get(network_name(hub.id)).attrs["IPAM"]["Config"]
        gateway = pools[0]["Gateway"]

        def tried(port: int) -> str:
            return hub.servers.output(person.name, "python3", "-c", CONNECT, gateway, str(port)).strip()

        with listening("0.0.0.0") as other:
            assert [tried(settings.hub_port), tried(other), tried(settings.port)] == ["open", "refused", "refused"]
        once = packet_rules(hub.id)
        hub.interrupt()
        hub.up()
        assert packet_rules(hub.id) == once
        assert "Isolation  servers reach the outside and their hub" in hub.log()
        assert "Isolation  is not complete" not in hub.log()
        hub.command("down")
        assert packet_rules(hub.id) == []
        person.close()


def test_a_hub_that_listens_where_its_servers_may_not_reach_it_says_so(tmp_path: Path) -> None:
    """`configure` writes the rules, and cannot see the lines below it."""
    with configured_hub(tmp_path, f"c.JupyterHub.hub_port = {free_port()}", "http") as hub:
        person = hub.person()
        answer = person.start()
        assert answer.status_code == 500
        assert "An administrator must set c.JupyterHub.hub_port above stateroom.configure" in answer.json()["message"]
        assert hub.servers.of(person.name) == []
        person.close()
