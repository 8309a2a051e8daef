"""Edits of the catalog leave the hub's process as it was: one backend, one metric, one limit of starts."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter

from harness.hub import Hub, Person, metrics, wait_for


def test_three_edits_of_the_network_leave_one_backend_and_one_series(hub: Hub, person: Person, original: str) -> None:
    admin = hub.person("--admin")
    look(hub, person)
    before = threads(hub)
    assert before == {"catalog": 1, "docker-events": 1, "docker-life": 1}
    for number in range(3):
        hub.save_catalog(original.replace("docker: {", f"docker: {{network: {hub.id}-{number}, "))
        look(hub, person)
    assert threads(hub) == before
    ((_, contact),) = metrics(admin, "stateroom_backend_last_contact_timestamp_seconds")
    assert contact > 0
    admin.close()


def look(hub: Hub, person: Person) -> None:
    """Look at the form, for which the hub asks the backend what is left."""
    person.web.get(f"{hub.url}/hub/spawn/{person.name}").raise_for_status()


def threads(hub: Hub) -> Counter[str]:
    """Count the hub's own threads by name. JupyterHub prints the stacks of all when it gets this signal."""
    (pid,) = hub.processes()
    already = hub.log().count("Active threads:")
    os.kill(pid, signal.SIGUSR1)
    printed = wait_for(lambda: printed_threads(hub.log(), already), "the hub's threads")
    return Counter(name for name in printed if name == "catalog" or name.startswith(("docker-events", "docker-life")))


def printed_threads(log: str, already: int) -> list[str]:
    """Return the names in the last print of a log, once there is another one and it is complete."""
    if log.count("Active threads:") == already:
        return []
    printed = log.rpartition("Active threads:")[2]
    names = re.findall(r"^Thread (.+?):", printed, re.MULTILINE)
    return names if len(names) == int(printed.split()[0]) else []
