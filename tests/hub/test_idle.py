"""Servers that nobody uses are stopped by the catalog's rule, and their users are told."""

from __future__ import annotations

import time
from pathlib import Path

from harness.hub import Hub, wait_for
from harness.kernels import Kernel


def test_the_service_ends_with_a_hub_that_is_killed_and_is_there_again_with_the_next(hub: Hub) -> None:
    (service,) = hub.programs("stateroom.hub.services.idle")
    hub.kill()
    wait_for(lambda: not Path(f"/proc/{service}/cmdline").exists(), "the service's end")
    hub.up()
    wait_for(lambda: len(hub.programs("stateroom.hub.services.idle")) == 1, "the next hub's service")


def test_an_idle_server_stops_by_a_rule_written_meanwhile_and_a_busy_one_does_not(hub: Hub) -> None:
    idle, busy = hub.person(), hub.person()
    original = hub.catalog.read_text()
    hub.save_catalog(original.replace("stop_after: 8 h", "stop_after: 1 min"))
    try:
        idle.started({"user_options": {"size": "small"}})
        started = time.monotonic()
        busy.started({"user_options": {"size": "small"}})
        Kernel(busy).start("import time; time.sleep(300)")
        left_alone = time.monotonic()
        wait_for(lambda: not hub.servers.of(idle.name), "the idle server's end", seconds=120, pause=1)
        assert time.monotonic() - started > 50
        wait_for(lambda: not idle.active(), "the hub's note of it")
        form = idle.web.get(f"{hub.url}/hub/spawn/{idle.name}").text
        assert "Your server was stopped since nobody had used it for 1 min." in form
        # The busy one has been left alone for longer than the rule and the ten seconds between two looks by then.
        time.sleep(max(0.0, 75 - (time.monotonic() - left_alone)))
        assert busy.active()

        # Who stops a server by hand is not told that it was idle.
        busy.stop()
        form = busy.web.get(f"{hub.url}/hub/spawn/{busy.name}").text
        assert "nobody had used it" not in form
        idle.started()
    finally:
        hub.save_catalog(original)
        for person in (idle, busy):
            for container in hub.servers.of(person.name):
                container.remove(force=True, v=True)
            person.close()
