"""One server does all at once that keeps others from working, and the disk of the hub's data is full."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import pytest
import requests

from harness.figures import Told
from harness.full_disk import no_space_left, small_disk
from harness.hub import Hub, Person, running_hub
from harness.kernels import KernelAt
from harness.skips import skip_without_image

SECONDS = 40.0
# Run in the attacker's container against the hub's inner port, which is all that it reaches.
ATTACK = r"""
import http.client, json, os, socket, threading, time, urllib.parse

hub = urllib.parse.urlsplit(os.environ["JUPYTERHUB_API_URL"])
until = time.monotonic() + float(os.environ["SECONDS"])
counted = {"pages": 0, "guesses": 0, "connections": 0}


def report():
    while time.monotonic() < until:
        time.sleep(1)
        with open("/tmp/counted", "w") as file:
            json.dump(counted, file)


def half_open():
    held = []
    while time.monotonic() < until:
        try:
            one = socket.create_connection((hub.hostname, hub.port), timeout=2)
            one.sendall(b"GET /hub/login HTTP/1.1\r\nHost: hub\r\n")
            held.append(one)
            counted["connections"] += 1
        except OSError:
            time.sleep(0.05)
        if len(held) > 2000:
            held.pop(0).close()


def ask(guess):
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection(hub.hostname, hub.port, timeout=10)
            while time.monotonic() < until:
                connection.request("GET", "/hub/login")
                answer = connection.getresponse()
                answer.read()
                counted["pages"] += answer.status == 200
                if guess:
                    cookies = [text.split(";")[0] for text in answer.headers.get_all("Set-Cookie") or []]
                    token = next(text.split("=", 1)[1] for text in cookies if text.startswith("_xsrf="))
                    fields = {"username": os.environ["VICTIM"], "password": "a wrong password", "_xsrf": token}
                    sent = {"Cookie": "; ".join(cookies), "Content-Type": "application/x-www-form-urlencoded"}
                    connection.request("POST", "/hub/login", urllib.parse.urlencode(fields), sent)
                    counted["guesses"] += 1
                    connection.getresponse().read()  # comes late: guesses wait for their turn
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)


work = [report, half_open, *[lambda: ask(True)] * 20, *[lambda: ask(False)] * 8]
threads = [threading.Thread(target=one) for one in work]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A hub whose disk can be filled."""
    skip_without_image()
    with small_disk(tmp_path / "small") as disk, running_hub(disk) as hub:
        yield hub


def test_others_work_on_while_a_server_floods_all_it_reaches(hub: Hub, told: Told) -> None:
    victim, mallory, newcomer = hub.person(), hub.person(), hub.person()
    victim.started()
    mallory.started({"user_options": {"size": "standard"}})
    kernel = KernelAt(f"{hub.url}/user/{victim.name}", victim.token, "python3")
    assert newcomer.token, "who has logged in before"
    with no_space_left(hub.data):
        began = time.monotonic()
        attack(hub, mallory.name, victim.name)
        times: list[float] = []
        while time.monotonic() < began + SECONDS / 2:
            pages = (f"{hub.url}/hub/home", f"{hub.url}/user/{victim.name}/api")
            times += [seconds_of_a_page(victim, page) for page in pages]
            time.sleep(0.2)
        counted = json.loads(hub.servers.output(mallory.name, "cat", "/tmp/counted"))
        assert counted["pages"] > 50, "it floods"
        assert counted["guesses"] > 20, "it guesses"
        assert counted["connections"] > 20, "it opens connections"
        assert kernel.run("print(6 * 7)") == "42\n"
        logged_in = time.monotonic()
        assert Person(hub, victim.name, victim.password).web, "the right password, among the guesses"
        logged_in = time.monotonic() - logged_in
        newcomer.started()
        told(
            f"Under attack, with a full disk, {counted}: p95 of {len(times)} pages "
            f"{quantiles(times, n=20)[-1]:.2f} s, the longest {max(times):.2f} s, "
            f"a login with the right password {logged_in:.1f} s."
        )
        assert requests.get(f"{hub.url}/hub/health", timeout=30).ok
    for person in (victim, mallory, newcomer):
        person.stop()
        person.close()


def attack(hub: Hub, attacker: str, victim: str) -> None:
    """Begin all of it inside the attacker's server."""
    container = hub.servers.container(attacker)
    address = hub.servers.variable(attacker, "JUPYTERHUB_API_URL")
    environment = {"JUPYTERHUB_API_URL": address, "SECONDS": str(SECONDS), "VICTIM": victim}
    container.exec_run(["python3", "-c", ATTACK], environment=environment, detach=True)
    container.exec_run(["sh", "-c", f"timeout {SECONDS:.0f} yes 'an endless line' > /proc/1/fd/1"], detach=True)


def seconds_of_a_page(person: Person, url: str) -> float:
    """Return how long somebody waits for a page."""
    asked = time.monotonic()
    answer = person.web.get(url, timeout=60)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - asked
