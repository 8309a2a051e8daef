"""What the machine cannot give is refused with what is free, and started once somebody has stopped a server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from harness.hub import ON_ANY_MACHINE, Hub, Person, starts_by_outcome, wait_for

MIB = 1024**2
LEAST = {"user_options": {"cpu": 0.25, "memory": "512 MiB"}}


pytestmark = pytest.mark.usefixtures("original")


def leave(hub: Hub, original: str, memory: int, more: str = "") -> None:
    """Guarantee to all servers together no more than so many bytes, and a few MiB that the share is rounded up by."""
    share = memory / hub.servers.engine.info()["MemTotal"] + 0.0001
    hub.save_catalog(original.replace(ON_ANY_MACHINE, f"docker: {{capacity: {{memory: {share:.6f}}}}}\n{more}"))


@pytest.fixture
def people(hub: Hub) -> Iterator[list[Person]]:
    """Four of them, since one alone may have no more than four servers."""
    with ExitStack() as stack:
        people = [hub.person() for _ in range(4)]
        for person in people:
            stack.callback(person.close)
        yield people
        for person in people:
            for container in hub.servers.of(person.name):
                container.remove(force=True, v=True)
        wait_for(lambda: not any(person.active() for person in people), "the end of the servers")


def test_twenty_starts_at_once_reserve_no_more_than_the_machines_share(
    hub: Hub, people: list[Person], original: str
) -> None:
    leave(hub, original, 3 * 512 * MIB)
    admin = hub.person("--admin")
    before = starts_by_outcome(admin)
    wanted = [(person, f"parallel-{number}") for person in people for number in range(5)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda start: start[0].start(LEAST, start[1]), wanted))

    started = [start for start, answer in zip(wanted, answers, strict=True) if answer.status_code in {201, 202}]
    refused = [answer for answer in answers if answer.status_code == 400]
    assert (len(started), len(refused)) == (3, 17)
    assert all("The machine has " in answer.json()["message"] for answer in refused)
    for person, name in started:
        person.wait_until_ready(name)
    guaranteed = [
        int(found.labels["io.stateroom.memory-guarantee"]) for person in people for found in hub.servers.of(person.name)
    ]
    assert guaranteed == [512 * MIB] * 3
    assert starts_by_outcome(admin)["error"] == before["error"]
    admin.close()


def test_a_refusal_says_what_is_left_in_the_form_and_over_rest_and_a_stop_makes_room(
    hub: Hub, people: list[Person], original: str
) -> None:
    leave(hub, original, 2 * 1024 * MIB, "guarantee: {memory: 0.5}\n")
    first, second, *_ = people
    first.started({"user_options": {"cpu": 0.25, "memory": "2.5 GiB"}})
    answer = second.start({"user_options": {"cpu": 0.25, "memory": "3 GiB"}})
    assert answer.status_code == 400
    told = "choose 1.5 GiB or less, or wait until somebody stops a server."
    assert answer.json()["message"].startswith("You asked for 3 GiB of memory. The machine has 1.5")
    assert answer.json()["message"].endswith(told)
    assert first.name not in answer.text

    form = second.web.get(f"{hub.url}/hub/spawn/{second.name}").text
    assert "Left on the machine: 1.5" in form
    refused = second.submit({"size": "custom", "cpu": "0.25", "memory": "3"})
    assert refused.status_code == 400
    assert told in refused.text
    assert "Left on the machine: 1.5" in refused.text
    assert hub.servers.of(second.name) == []

    hub.kill()
    hub.up()
    assert second.start({"user_options": {"cpu": 0.25, "memory": "3 GiB"}}).status_code == 400
    first.wait_until_ready()
    first.stop()
    second.started({"user_options": {"cpu": 0.25, "memory": "3 GiB"}})
