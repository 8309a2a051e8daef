"""What a user may choose, for clients that build a form of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from harness.hub import Hub, Person

GROUPS = """
groups:
  research:
    custom: {cpu: {max: 16}}
    quota: {cpu: 32}
    identity: {environment: {TEAM: research}, supplemental_groups: [2001]}
"""


@pytest.fixture
def admin(hub: Hub) -> Iterator[Person]:
    admin = hub.person("--admin")
    yield admin
    admin.close()


@pytest.fixture
def research(hub: Hub) -> Iterator[str]:
    """A catalog that gives more to a group, and a size to it alone."""
    text = hub.catalog.read_text()
    size = "  - {id: huge, cpu: 8, memory: 8 GiB, groups: [research]}\n"
    hub.save_catalog(text.replace("sizes:\n", f"sizes:\n{size}") + GROUPS)
    yield "research"
    hub.save_catalog(text)


def options(person: Person, owner: Person) -> dict[str, object]:
    answer = person.api("GET", f"stateroom/users/{owner.name}/options")
    assert answer.status_code == 200, answer.text
    schema: dict[str, object] = answer.json()
    Draft202012Validator.check_schema(schema)
    return schema


def test_what_the_schema_takes_is_started_and_what_it_refuses_is_refused(person: Person) -> None:
    schema = Draft202012Validator(options(person, person))
    for good in ({}, {"size": "small"}, {"size": "custom", "cpu": 0.5, "memory": "1 GiB"}):
        assert schema.is_valid(good)
        person.started({"user_options": good})
        person.stop()
    for bad in ({"size": "giant"}, {"cpu": 12}, {"size": "small", "cpu": 1}, {"colour": "red"}, {"memory": "1 TiB"}):
        assert not schema.is_valid(bad)
        assert person.start({"user_options": bad}).status_code == 400


def test_it_tells_what_is_left(person: Person) -> None:
    person.started({"user_options": {"size": "small"}}, server="gpu")
    assert {"kind": "cpu", "used": 0.5, "limit": 8.0} in options(person, person)["x-quota"]  # type: ignore[operator]


def test_nobody_else_is_told(hub: Hub, person: Person) -> None:
    stranger = hub.person()
    answer = stranger.api("GET", f"stateroom/users/{person.name}/options")
    assert answer.status_code in {403, 404}
    assert "oneOf" not in answer.text
    stranger.close()


def test_a_user_that_is_not_there_is_a_404(admin: Person) -> None:
    assert admin.api("GET", "stateroom/users/nobody-of-that-name/options").status_code == 404


def test_an_admin_gets_the_allowance_of_whom_a_server_is_started_for(
    hub: Hub, admin: Person, person: Person, research: str
) -> None:
    hub.make_group(admin, research, person)
    assert "huge" in str(options(admin, person)["properties"])
    assert "huge" not in str(options(admin, admin)["properties"])
    refused = admin.api("POST", f"users/{admin.name}/server", json={"user_options": {"size": "huge"}})
    assert (refused.status_code, refused.json()["message"]) == (
        400, 'You asked for the size "huge". Offered to you: small, standard, large, custom.',
    )  # fmt: skip
    answer = admin.api("POST", f"users/{person.name}/server", json={"user_options": {"size": "huge"}})
    assert answer.status_code in {201, 202}, answer.text
    person.wait_until_ready()
    assert hub.servers.limits(person.name).cpu == 8
    assert hub.servers.output(person.name, "printenv", "TEAM").strip() == "research"
    assert "2001" in hub.servers.output(person.name, "id", "-G").split()


def test_a_group_that_is_left_gives_nothing_more(hub: Hub, admin: Person, person: Person, research: str) -> None:
    hub.make_group(admin, research, person)
    person.started({"user_options": {"size": "huge"}})
    person.stop()
    answer = admin.api("DELETE", f"groups/{research}/users", json={"users": [person.name]})
    assert answer.ok, answer.text
    assert "huge" not in str(options(person, person)["properties"])
    person.started()
    assert hub.servers.limits(person.name).cpu == 1
