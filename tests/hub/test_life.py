"""Starts, stops and deaths of servers, and what the hub knows of them."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import requests

from harness.hub import PATIENCE, Hub, Person, wait_for
from stateroom.common.labels import HUB

NOTE = "/home/jovyan/notebooks/note"


def test_progress_never_goes_back_and_ends_when_the_server_is_ready(person: Person) -> None:
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(person.start, {"user_options": {"size": "small"}})
        wait_for(person.server, "the start", pause=0.02)
        events = list(person.progress())
        assert start.result(PATIENCE).status_code in {201, 202}
    bar = [event["progress"] for event in events]
    assert bar == sorted(bar)
    assert bar[-1] == 100
    assert events[-1]["ready"] is True
    assert not any(event.get("failed") for event in events)
    assert "Starting your server" in [event["message"] for event in events]


def test_a_killed_container_is_seen_before_the_hub_asks_for_it(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    hub.servers.container(person.name).kill()
    wait_for(lambda: not person.active(), "the end", seconds=20, pause=0.05)  # the hub asks every 30 s
    wait_for(lambda: hub.servers.of(person.name) == [], "the clean-up")


def test_after_a_death_the_next_start_works_and_the_form_tells_of_it(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    hub.servers.container(person.name).kill()
    wait_for(lambda: not person.active(), "the end")
    form = person.web.get(f"{hub.url}/hub/spawn/{person.name}").text
    assert "Your server ended by itself." in form
    person.started()
    assert person.active()


def test_a_server_that_ran_out_of_memory_is_told_as_such_with_more_of_it_chosen(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"cpu": 0.5, "memory": "512 MiB"}})
    # The kernel takes the server itself for its victim, and not the process that asks for too much.
    victim = "for it in /proc/[0-9]*; do echo 1000 > $it/oom_score_adj; done 2>/dev/null; true"
    hub.servers.output(person.name, "sh", "-c", victim)
    with suppress(Exception):  # the command ends with its container
        hub.servers.output(person.name, "python3", "-c", "bytearray(10**9)")
    wait_for(lambda: not person.active(), "the end")
    form = person.web.get(f"{hub.url}/hub/spawn/{person.name}").text
    assert "Your server ran out of its 512 MiB of memory, and ended." in form
    assert re.search(r'name="memory"[^>]* value="1"', form)
    person.started()
    # A start without a choice is the last accepted one; more is only offered.
    assert hub.servers.limits(person.name).memory == 512 * 1024**2


def test_a_kernel_that_ran_out_of_memory_is_told_on_the_next_form(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"cpu": 1, "memory": "512 MiB"}})
    # The kernel takes the process that asks for too much for its victim, and the server lives on.
    greedy = "echo 1000 > /proc/self/oom_score_adj; python3 -c 'bytearray(10**9)'; true"
    hub.servers.output(person.name, "sh", "-c", greedy)
    wait_for(lambda: f"A program in {person.name}" in hub.log(), "the hub's word of it")
    assert person.active()
    person.stop()
    form = person.web.get(f"{hub.url}/hub/spawn/{person.name}").text
    assert "A program in your last server ran out of memory, and was ended." in form
    assert re.search(r'name="memory"[^>]* value="1"', form)
    person.started()
    person.stop()
    assert "ran out of memory" not in person.web.get(f"{hub.url}/hub/spawn/{person.name}").text


def test_a_server_that_comes_back_on_another_address_is_reached_there(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    container = hub.servers.container(person.name)
    address = server_address(hub, person)
    (pid,) = hub.processes()
    os.kill(pid, signal.SIGSTOP)  # so that it sees the server come back, and not go
    try:
        container.stop()
        network = hub.servers.inspected(person.name)["HostConfig"]["NetworkMode"]
        # Takes the address that is free now.
        other = hub.servers.engine.containers.run(
            container.image, ["sleep", "600"], entrypoint=[], labels={HUB: hub.id}, network=network, detach=True
        )
        container.start()
        other.remove(force=True)
        assert server_address(hub, person) != address
    finally:
        os.kill(pid, signal.SIGCONT)

    def answers() -> bool:
        headers = {"Authorization": f"token {person.token}"}
        answer = requests.get(f"{hub.url}/user/{person.name}/api/status", headers=headers, timeout=10)
        return answer.status_code == 200

    wait_for(answers, "the server at its new address")
    assert person.active()
    person.stop()
    assert hub.servers.of(person.name) == []


def server_address(hub: Hub, person: Person) -> str:
    (network,) = hub.servers.inspected(person.name)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def test_a_home_outlives_its_containers(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    first = hub.servers.container(person.name).id
    hub.servers.output(person.name, "sh", "-c", f"echo kept > {NOTE}; echo gone > /home/jovyan/elsewhere")
    person.stop()
    assert hub.servers.of(person.name) == []
    person.started()
    assert hub.servers.container(person.name).id != first
    assert hub.servers.output(person.name, "cat", NOTE) == "kept\n"
    assert "elsewhere" not in hub.servers.output(person.name, "ls", "/home/jovyan")


def test_a_named_server_shares_the_home_which_outlives_its_deletion(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}}, server="gpu")
    person.started({"user_options": {"size": "small"}})
    assert len(hub.servers.of(person.name)) == 2
    hub.servers.output(person.name, "sh", "-c", f"echo kept > {NOTE}", server="gpu")
    person.stop("gpu", remove=True)
    wait_for(lambda: len(hub.servers.of(person.name)) == 1, "the removal of one of two containers")
    assert hub.servers.has_home(person.name)
    assert hub.servers.output(person.name, "cat", NOTE) == "kept\n"
    person.stop()
    assert hub.servers.has_home(person.name)


def test_a_stop_during_a_start_leaves_nothing_and_the_next_start_works(hub: Hub, person: Person) -> None:
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(person.start, {"user_options": {"size": "small"}})
        wait_for(lambda: hub.servers.of(person.name), "the container", pause=0.02)
        person.stop()
        start.result(PATIENCE)
    wait_for(lambda: hub.servers.of(person.name) == [], "the clean-up", seconds=20)
    person.started({"user_options": {"size": "small"}})
    assert len(hub.servers.of(person.name)) == 1


def test_a_stop_of_what_does_not_run_is_no_error(person: Person) -> None:
    person.stop()
    person.started({"user_options": {"size": "small"}})
    person.stop()
    person.stop()


def test_a_second_start_is_refused_while_the_server_runs(hub: Hub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    before = hub.servers.container(person.name).id
    assert person.start({"user_options": {"size": "large"}}).status_code == 400
    assert hub.servers.container(person.name).id == before
    assert hub.servers.limits(person.name).cpu == 0.5
