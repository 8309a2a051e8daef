"""A server's new name (JupyterHub 6)."""

from __future__ import annotations

import requests

from harness.hub import Hub, Person
from stateroom.images.sources import UNIFIED
from stateroom.workloads.names import ServerRef

NOTE = "/home/jovyan/notebooks/note"


def rename(person: Person, old: str, new: str) -> requests.Response:
    return person.api("PATCH", f"users/{person.name}/servers/{old}", json={"name": new})


def test_a_stopped_server_keeps_its_home_and_its_choice_under_a_new_name(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}}, server="draft")
    hub.servers.output(person.name, "sh", "-c", f"echo kept > {NOTE}", server="draft")
    person.stop("draft")
    answer = rename(person, "draft", "paper")
    assert answer.ok, answer.text
    person.started(server="paper")
    assert hub.servers.output(person.name, "cat", NOTE, server="paper") == "kept\n"
    assert hub.servers.limits(person.name, "paper").cpu == 0.5
    assert len(hub.servers.of(person.name)) == 1


def test_a_running_server_is_refused_a_new_name_and_told_to_stop_first(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}}, server="draft")
    answer = rename(person, "draft", "paper")
    assert answer.status_code == 400
    assert "stop it" in answer.json()["message"]
    assert person.active("draft")
    assert hub.servers.container(person.name, "draft").status == "running"


def test_a_container_that_is_left_under_the_old_name_goes(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}}, server="draft")
    person.stop("draft")
    # As after a stop during which the engine was away.
    ref = ServerRef(hub.id, person.name, "draft")
    hub.servers.engine.containers.create(UNIFIED, name=ref.name, labels=dict(ref.labels))
    answer = rename(person, "draft", "paper")
    assert answer.ok, answer.text
    assert hub.servers.of(person.name) == []
