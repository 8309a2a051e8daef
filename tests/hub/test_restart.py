"""A hub that goes away and comes back finds its servers, and takes nothing from their users."""

from __future__ import annotations

import pytest

from harness.hub import Hub, Person, call_api, wait_for
from harness.kernels import Kernel

from .test_running_server import server_token


@pytest.mark.parametrize("ending", ["killed", "interrupted"])
def test_a_server_outlives_its_hub(hub: Hub, person: Person, ending: str) -> None:
    person.started({"user_options": {"size": "small"}})
    container = hub.servers.container(person.name).id
    token = server_token(hub, person)
    kernel = Kernel(person)
    assert kernel.run("answer = 6 * 7; print('set')") == "set\n"

    if ending == "killed":
        hub.kill()
    else:
        assert hub.interrupt() in {0, 130}
    hub.up()

    person.wait_until_ready()
    assert hub.servers.container(person.name).id == container
    assert kernel.run("print(answer)") == "42\n"
    assert call_api(hub, token, "GET", "user").ok
    person.stop()
    assert hub.servers.of(person.name) == []
    assert call_api(hub, token, "GET", "user").status_code == 403


def test_a_server_that_died_without_its_hub_is_known_as_dead(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    token = server_token(hub, person)
    hub.kill()
    hub.servers.container(person.name).kill()
    hub.up()
    wait_for(lambda: not person.active(), "the end")
    wait_for(lambda: hub.servers.of(person.name) == [], "the clean-up")
    assert call_api(hub, token, "GET", "user").status_code == 403
    person.started()
    assert hub.servers.limits(person.name).cpu == 0.5
