"""What one user, and one group, may run at once; checked before anything is made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import jupyterhub
import pytest

from harness.hub import Hub, Person, starts_by_outcome, wait_for

SMALL = {"user_options": {"size": "small"}}
LEAST = {"user_options": {"cpu": 0.25, "memory": "512 MiB"}}


pytestmark = pytest.mark.usefixtures("original")


def test_twenty_starts_at_once_against_a_quota_of_five_end_with_five(hub: Hub, person: Person, original: str) -> None:
    hub.save_catalog(original.replace("quota: {servers: 4, cpu: 8,", "quota: {servers: 5, cpu: 8,"))
    admin = hub.person("--admin")
    before = starts_by_outcome(admin)
    names = [f"parallel-{number}" for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda name: person.start(LEAST, name), names))

    refused = [answer.json()["message"] for answer in answers if answer.status_code == 400]
    assert sorted(answer.status_code for answer in answers)[5:] == [400] * 15
    assert all(message.startswith("You may run 5 servers at once, and these run: ") for message in refused)
    started = [name for name, answer in zip(names, answers, strict=True) if answer.status_code in {201, 202}]
    assert len(started) == 5
    for name in started:
        person.wait_until_ready(name)
    assert len(hub.servers.of(person.name)) == 5
    assert {found.labels["io.stateroom.server"] for found in hub.servers.of(person.name)} == set(started)
    after = starts_by_outcome(admin)
    admin.close()
    assert after["error"] == before["error"]
    if jupyterhub.version_info >= (6,):  # an earlier one counts them as failures, which the README says
        assert after["quota"] - before["quota"] == 15
    for name in started:
        person.stop(name)


def test_a_refused_start_says_what_is_used_and_by_which_servers(hub: Hub, person: Person, original: str) -> None:
    hub.save_catalog(original.replace("quota: {servers: 4, cpu: 8,", "quota: {servers: 4, cpu: 2,"))
    person.started({"user_options": {"cpu": 1.5, "memory": "1 GiB"}}, server="gpu")
    answer = person.start({"user_options": {"cpu": 1, "memory": "1 GiB"}})
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        "You asked for 1 CPU. Of the 2 CPU that you may have at once, 1.5 CPU is used by gpu (1.5 CPU); "
        "choose 0.5 CPU or less, or stop one of them."
    )
    assert len(hub.servers.of(person.name)) == 1
    person.started(SMALL)


def test_the_form_shows_what_is_left_and_comes_back_with_the_refusal(hub: Hub, person: Person, original: str) -> None:
    hub.save_catalog(original.replace("quota: {servers: 4, cpu: 8,", "quota: {servers: 1, cpu: 8,"))
    person.started(SMALL, server="gpu")
    form = person.web.get(f"{hub.url}/hub/spawn/{person.name}").text
    assert "Left for you: 0 of 1 server, 7.5 of 8 CPU and 31 GiB of 32 GiB memory. Running: gpu." in form
    answer = person.submit({"size": "small"})
    assert answer.status_code == 400
    assert "You may run 1 server at once, and these run: gpu. Stop one of them first." in answer.text
    assert "Traceback" not in answer.text


def test_a_refusal_for_a_named_server_tells_what_is_left_for_that_one(hub: Hub, person: Person, original: str) -> None:
    """The hub has the default server render the form again, and that one's own use would not count for itself."""
    hub.save_catalog(original.replace("quota: {servers: 4, cpu: 8,", "quota: {servers: 1, cpu: 8,"))
    person.started(SMALL)
    answer = person.submit({"size": "small"}, server="gpu")
    assert answer.status_code == 400
    assert "Left for you: 0 of 1 server" in answer.text
    assert "Running: your default server." in answer.text


def test_a_refusal_for_a_quota_leaves_the_accepted_choice_remembered(hub: Hub, person: Person, original: str) -> None:
    person.started(SMALL)
    person.stop()
    hub.save_catalog(original.replace("quota: {servers: 4, cpu: 8,", "quota: {servers: 1, cpu: 8,"))
    person.started(LEAST, server="gpu")
    assert person.start({"user_options": {"size": "large"}}).status_code == 400
    person.stop("gpu")
    person.started()
    assert hub.servers.limits(person.name).cpu == 0.5


def test_servers_of_an_earlier_process_of_the_hub_count(hub: Hub, person: Person, original: str) -> None:
    hub.save_catalog(original.replace("quota: {servers: 4, cpu: 8,", "quota: {servers: 1, cpu: 8,"))
    person.started(SMALL, server="gpu")
    hub.kill()
    hub.up()
    assert person.start(SMALL).status_code == 400
    person.wait_until_ready("gpu")
    person.stop("gpu")
    person.started(SMALL)


def test_the_members_of_a_group_share_its_total(hub: Hub, original: str) -> None:
    hub.save_catalog(f"{original}groups:\n  class: {{total: {{servers: 1}}}}\n")
    admin, first, second, other = hub.person("--admin"), hub.person(), hub.person(), hub.person()
    try:
        hub.make_group(admin, "class", first, second)
        first.started(LEAST)
        answer = second.start(LEAST)
        assert answer.status_code == 400
        assert answer.json()["message"] == (
            "You asked for 1 server. All members of class together may have 1 server at once, and 1 server runs; "
            "wait until somebody stops a server."
        )
        assert first.name not in answer.text
        assert other.start(LEAST).status_code in {201, 202}
        other.wait_until_ready()
        first.stop()
        second.started(LEAST)
    finally:
        for person in (admin, first, second, other):
            for container in hub.servers.of(person.name):
                container.remove(force=True, v=True)
            person.close()
        wait_for(lambda: not first.active() and not second.active(), "the end of the servers")
