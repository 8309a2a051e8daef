"""What was chosen is what the kernel grants, whichever way the choice came in."""

from __future__ import annotations

from typing import Any

import pytest

from harness.hub import Hub, Person
from harness.servers import Limits

GiB = 1024**3

DEFAULT = Limits(cpu=1, memory=2 * GiB)
SMALL = Limits(cpu=0.5, memory=1 * GiB)
CUSTOM = Limits(cpu=1.5, memory=3 * GiB)


def test_an_empty_form_gives_the_default_size(hub: Hub, person: Person) -> None:
    person.submitted({})
    assert hub.servers.limits(person.name) == DEFAULT


@pytest.mark.parametrize("body", [None, "{}", {"user_options": {}}, {"user_options": None}], ids=repr)
def test_a_rest_start_without_options_gives_the_default_size(hub: Hub, person: Person, body: object) -> None:
    person.started(body)
    assert hub.servers.limits(person.name) == DEFAULT


def test_cpu_and_memory_typed_into_the_form_are_what_the_server_gets(hub: Hub, person: Person) -> None:
    person.submitted({"image": "unified", "size": "custom", "cpu": "1.5", "memory": "3"})
    assert hub.servers.limits(person.name) == CUSTOM


def test_a_size_by_rest_brings_its_own_cpu_and_memory(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    assert hub.servers.limits(person.name) == SMALL


def test_a_later_start_without_options_gives_the_last_accepted_choice(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "custom", "cpu": 1.5, "memory": "3 GiB"}})
    person.stop()
    person.started()
    assert hub.servers.limits(person.name) == CUSTOM


def test_an_empty_choice_means_the_default_even_after_another(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    person.stop()
    person.started({"user_options": {}})
    assert hub.servers.limits(person.name) == DEFAULT


@pytest.mark.parametrize("refused", [{"cpu": 12}, {"size": "giant"}, {"colour": "red"}], ids=str)
def test_a_refused_choice_is_never_the_remembered_one(hub: Hub, person: Person, refused: dict[str, Any]) -> None:
    assert person.start({"user_options": refused}).status_code == 400
    person.started()
    assert hub.servers.limits(person.name) == DEFAULT


def test_a_refused_choice_leaves_the_accepted_one_remembered(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    person.stop()
    assert person.start({"user_options": {"cpu": 12}}).status_code == 400
    assert person.submit({"size": "custom", "cpu": "12", "memory": "2"}).status_code == 400
    person.started()
    assert hub.servers.limits(person.name) == SMALL


def test_the_admin_page_shows_the_choice_in_words(person: Person) -> None:
    person.started({"user_options": {"size": "small", "profile": "Everything for nothing"}})
    server = person.server()
    assert server is not None
    assert server["user_options"]["profile"] == "Small: 0.5 CPU, 1 GiB, Unified notebook"
