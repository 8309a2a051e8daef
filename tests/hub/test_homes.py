"""Whose home is whose after a deletion, a reused name and a rename, on a real hub and engine."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from harness.command import Outcome, run
from harness.hub import Hub, Person, wait_for
from stateroom.storage.homes import HomeRef

FILES = """
cd ~/notebooks
echo kept > file; chmod 640 file
mkdir .hidden; echo deep > '.hidden/with blank'; ln -s file link; chmod 700 .hidden
"""
LOOK = "cd ~/notebooks && stat -c '%n %a %u %g' file .hidden '.hidden/with blank' && cat link '.hidden/with blank'"
SEEN = "file 640 1000 100\n.hidden 700 1000 100\n.hidden/with blank 644 1000 100\nkept\ndeep\n"


@pytest.fixture
def admin(hub: Hub) -> Iterator[Person]:
    """Somebody whom the hub knows before anybody that a test makes later."""
    person = hub.person("--admin")
    assert person.web
    yield person
    person.close()


@pytest.fixture
def people() -> Iterator[list[Person]]:
    """Whoever a test puts here is logged out, and has no server at the end."""
    people: list[Person] = []
    yield people
    for person in people:
        for container in person.hub.servers.of(person.name):
            container.remove(force=True, v=True)
        person.close()


@pytest.fixture
def owner(hub: Hub, people: list[Person]) -> Person:
    """Somebody who has a home with files, and no server."""
    person = hub.person()
    people.append(person)
    person.started()
    hub.servers.output(person.name, "sh", "-c", FILES)
    person.stop()
    return person


def delete(admin: Person, person: Person) -> None:
    answer = admin.api("DELETE", f"users/{person.name}")
    assert answer.status_code == 204, answer.text


def number(person: Person) -> int:
    """The hub's number of a user, as its home says it."""
    found = re.search(rf"of {person.name} \(number (\d+)\)", person.hub.command("homes", "list"))
    assert found, person.name
    return int(found[1])


def refusal(person: Person) -> str:
    """Why the person's start fails, as the hub tells it."""
    answer = person.start()
    if answer.status_code == 500:
        return str(answer.json()["message"])
    assert answer.status_code == 202, answer.text
    return str(list(person.progress())[-1]["message"])


def assign(hub: Hub, home: str, to: str, *more: str) -> Outcome:
    return run("homes", "assign", home, "--to", to, "--data", hub.data, *more)


def test_a_number_is_never_given_twice(hub: Hub, admin: Person, owner: Person, people: list[Person]) -> None:
    # SQLite's own way is to give the number of a last user that was deleted to the next.
    before = number(owner)
    delete(admin, owner)
    again = hub.person(name=owner.name)
    people.append(again)
    assert f"not to {again.name} (number {before})" not in refusal(again)
    assert f"(number {before}), who is gone" in hub.command("homes", "list")


def test_a_reused_name_gets_the_old_files_only_once_they_are_assigned(
    hub: Hub, admin: Person, owner: Person, people: list[Person]
) -> None:
    delete(admin, owner)
    again = hub.person(name=owner.name)
    people.append(again)
    told = refusal(again)
    assert "belongs to the hub's user number" in told
    assert f"`stateroom homes assign {owner.name} --to {owner.name}`" in told

    assign(hub, owner.name, owner.name, "--yes").assert_success()
    again.started()
    assert hub.servers.output(again.name, "sh", "-c", LOOK) == SEEN
    hub.servers.output(again.name, "sh", "-c", "echo new > ~/notebooks/new")
    again.stop()
    again.started()
    assert hub.servers.output(again.name, "cat", "/home/jovyan/notebooks/new") == "new\n"


def test_a_home_follows_its_renamed_user_once_it_is_assigned(
    hub: Hub, admin: Person, owner: Person, people: list[Person]
) -> None:
    renamed = Person(hub, f"{owner.name}-renamed", owner.password)
    people.append(renamed)
    assert admin.api("PATCH", f"users/{owner.name}", json={"name": renamed.name}).ok
    wait_for(lambda: renamed.name in hub.command("user", "list"), "the account's new name")
    # A start meanwhile makes an empty home.
    renamed.started()
    assert "file" not in hub.servers.output(renamed.name, "ls", "/home/jovyan/notebooks")
    assign(hub, owner.name, renamed.name, "--yes").assert_failure(f"A server of {renamed.name} runs. Stop it first.")
    renamed.stop()

    assert f"that number is now called {renamed.name}" in hub.command("homes", "list")
    assign(hub, owner.name, renamed.name, "--yes").assert_success()
    renamed.started()
    assert hub.servers.output(renamed.name, "sh", "-c", LOOK) == SEEN
    renamed.stop()

    listed = hub.command("homes", "list")
    assert re.search(rf"^{HomeRef(hub.id, owner.name, 0).name}: .*to whom it was handed$", listed, re.MULTILINE)
    assert re.search(rf"^{HomeRef(hub.id, renamed.name, 0).name}: .*set aside$", listed, re.MULTILINE)
    # Somebody new with the old name has nothing of it.
    newcomer = hub.person(name=f"{owner.name}x")
    people.append(newcomer)
    assert newcomer.web
    assert admin.api("PATCH", f"users/{newcomer.name}", json={"name": owner.name}).ok
    assert admin.api("POST", f"users/{owner.name}/server").status_code == 500
    assert f"was handed to {renamed.name}" in hub.log()


def test_somebody_new_with_an_old_name_gets_an_empty_home_on_request(
    hub: Hub, admin: Person, owner: Person, people: list[Person]
) -> None:
    assert "has a home already" in run("homes", "new", owner.name, "--data", hub.data).assert_failure().err
    delete(admin, owner)
    again = hub.person(name=owner.name)
    people.append(again)
    assert f"`stateroom homes new {owner.name}`" in refusal(again)
    hub.command("homes", "new", owner.name)
    again.started()
    assert hub.servers.output(again.name, "ls", "-A", "/home/jovyan/notebooks") == ""
    hub.servers.output(again.name, "touch", "/home/jovyan/notebooks/own")
    assert hub.servers.has_home(owner.name)
    assert "who is gone" in hub.command("homes", "list")


def test_a_home_that_was_removed_by_hand_is_forgotten(
    hub: Hub, admin: Person, owner: Person, people: list[Person]
) -> None:
    heir = hub.person()
    people.append(heir)
    assert heir.web
    delete(admin, owner)
    assign(hub, owner.name, heir.name, "--yes").assert_success()
    hub.servers.engine.volumes.get(HomeRef(hub.id, owner.name, 0).name).remove()
    again = hub.person(name=owner.name)
    people.append(again)
    assert f"was handed to {heir.name}" in refusal(again)
    assert "is forgotten" in assign(hub, owner.name, again.name).assert_success().out
    again.started()


def test_the_home_of_somebody_who_is_there_is_not_given_away(hub: Hub, owner: Person, people: list[Person]) -> None:
    other = hub.person()
    people.append(other)
    assert other.web
    before = hub.command("homes", "list")
    assign(hub, owner.name, other.name, "--yes").assert_failure("who is still a user of the hub")
    assert "belongs to" in assign(hub, owner.name, owner.name).assert_success().out
    assert hub.command("homes", "list") == before


def test_an_assignment_that_cannot_be_meant_is_refused(
    hub: Hub, admin: Person, owner: Person, people: list[Person]
) -> None:
    other = hub.person()
    people.append(other)
    assert other.web
    delete(admin, owner)
    assign(hub, owner.name, "nobody", "--yes").assert_failure('knows no user "nobody"')
    assign(hub, "nobody", other.name, "--yes").assert_failure('no home of "nobody"')
    assign(hub, owner.name, other.name).assert_failure("Add --yes")
    assert not (hub.data / "homes.json").exists() or owner.name not in (hub.data / "homes.json").read_text()


def test_a_policy_that_deletes_homes_deletes_the_assigned_one(
    hub: Hub, admin: Person, owner: Person, people: list[Person]
) -> None:
    heir = hub.person()
    people.append(heir)
    assert heir.web
    delete(admin, owner)
    assign(hub, owner.name, heir.name, "--yes").assert_success()
    heir.started()
    heir.stop()
    text = hub.catalog.read_text()
    hub.save_catalog(text.replace("when_user_is_deleted: keep", "when_user_is_deleted: delete"))
    try:
        delete(admin, heir)
        assert not hub.servers.has_home(owner.name)
        assert owner.name not in (hub.data / "homes.json").read_text()
    finally:
        hub.save_catalog(text)
