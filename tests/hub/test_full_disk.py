"""The disk of the hub's data is full: servers start, are used as before, and stop."""

from __future__ import annotations

from pathlib import Path

import requests

from harness.full_disk import fill, no_space_left, small_disk
from harness.hub import Hub, Person, wait_for
from harness.kernels import KernelAt
from stateroom.operations.local.data import DataFolder

REQUESTS = 60


def test_servers_are_used_started_and_stopped_while_the_hubs_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as disk:
        hub = Hub(disk)
        try:
            hub.up()
            person, other = hub.person(), hub.person()
            person.started()
            kernel = KernelAt(f"{hub.url}/user/{person.name}", person.token, "python3")
            assert kernel.run("print(1)") == "1\n"
            assert other.web and other.token, "who has logged in before"
            with no_space_left(disk):
                ask_much(hub, person.name, person.token)
                assert kernel.run("print(2)") == "2\n"
                fill(disk / "filling")
                assert Person(hub, person.name, person.password).web, "a login"
                other.started()
                other.stop()
                person.stop()
                wait_for(lambda: not hub.servers.of(person.name), "the server's end")
            person.started()
            person.stop()
            for each in (person, other):
                each.close()
        finally:
            hub.down()


def ask_much(hub: Hub, name: str, token: str) -> None:
    """Have the hub and its proxy write more log than their files have room for."""
    port = DataFolder(hub.data).known_settings().proxy_port
    for _ in range(REQUESTS):
        # Whatever asks the proxy's own API is in its log.
        assert requests.get(f"http://127.0.0.1:{port}/api/routes", timeout=20).status_code == 403
        answer = requests.get(f"{hub.url}/user/{name}/api", headers={"Authorization": f"token {token}"}, timeout=20)
        assert answer.status_code == 200
