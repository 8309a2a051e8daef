"""Access ends when it is taken: a removed account, a new password, an admin's right, on a real hub and engine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from uuid import uuid4

import pytest
import requests
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from harness.figures import Told
from harness.hub import Hub, Person, call_api, wait_for, xsrf
from harness.kernels import KernelAt

AT_ONCE = 30.0  # seconds in which a machine that is busy does what takes 5


@contextmanager
def open_socket(person: Person) -> Iterator[Event]:
    """An open WebSocket to the person's server, as a browser's tab has one; an event that is set once it is closed."""
    url = f"{person.hub.url}/user/{person.name}/api/events/subscribe".replace("http", "ws", 1)
    opened, closed, over = Event(), Event(), Event()

    async def listen() -> None:
        request = HTTPRequest(url, headers={"Authorization": f"token {person.token}"})
        socket = await websocket_connect(request)
        opened.set()
        message = asyncio.ensure_future(_next(socket))
        while not over.is_set() and not closed.is_set():
            await asyncio.wait([message], timeout=1)
            if message.done():
                if message.result() is None:
                    closed.set()
                message = asyncio.ensure_future(_next(socket))
        message.cancel()
        socket.close()
        await asyncio.sleep(0.1)

    thread = Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    try:
        assert opened.wait(30)
        yield closed
    finally:
        over.set()
        thread.join(30)


async def _next(socket: WebSocketClientConnection) -> object:
    return await socket.read_message()


def works(person: Person) -> dict[str, bool]:
    """What of a person's access works."""
    hub = person.hub.url
    return {
        "cookie at the hub": person.web.get(f"{hub}/hub/home", allow_redirects=False, timeout=30).status_code == 200,
        "token at the hub": person.api("GET", "user").status_code == 200,
        "cookie at the server": person.web.get(
            f"{hub}/user/{person.name}/api/status", allow_redirects=False, timeout=30
        ).status_code
        == 200,
    }


def nothing_works(person: Person) -> bool:
    return not any(works(person).values())


def reports(hub: Hub, person: Person, token: str) -> bool:
    """Whether a server with this token can report its use to the hub."""
    answer = call_api(
        hub, token, "POST", f"users/{person.name}/activity", json={"last_activity": "2026-01-01T00:00:00Z"}
    )
    return answer.ok


def change_password(person: Person, current: str, new: str, again: str = "") -> requests.Response:
    page = f"{person.hub.url}/hub/password"
    person.web.get(page, timeout=30).raise_for_status()
    fields = {"_xsrf": xsrf(person.web), "current": current, "new": new, "again": again or new}
    return person.web.post(page, data=fields, timeout=60)


def test_a_removed_account_leaves_nothing_that_works(hub: Hub, told: Told) -> None:
    person = hub.person()
    person.started()
    assert person.web.get(f"{hub.url}/user/{person.name}/lab", timeout=60).ok
    assert all(works(person).values())
    with open_socket(person) as closed:
        hub.command("user", "remove", person.name)
        began = time.monotonic()
        wait_for(lambda: nothing_works(person), "the end of the access", AT_ONCE)
        assert closed.wait(AT_ONCE)
        wait_for(lambda: not hub.servers.of(person.name), "the end of the server", AT_ONCE)
    told(f"After a removal, {time.monotonic() - began:.1f} s until nothing worked and the server was gone.")

    again = hub.person(name=person.name)
    assert nothing_works(person), "the old password, cookie and token are not the new account's"
    answer = again.start()
    assert answer.status_code in {202, 500}, answer.text
    words = str(answer.json()["message"]) if answer.status_code == 500 else str(list(again.progress())[-1]["message"])
    assert "belongs to the hub's user number" in words
    again.close()


def test_an_account_that_was_removed_while_the_hub_was_away_leaves_nothing_that_works(hub: Hub) -> None:
    person = hub.person()
    person.started()
    assert person.web.get(f"{hub.url}/user/{person.name}/lab", timeout=60).ok
    hub.interrupt()
    hub.command("user", "remove", person.name)
    hub.command("user", "add", person.name, "--stdin", stdin=f"{uuid4().hex}\n")
    hub.up()
    wait_for(lambda: nothing_works(person), "the end of the access", AT_ONCE)
    wait_for(lambda: not hub.servers.of(person.name), "the end of the server", AT_ONCE)


def test_a_new_password_ends_all_other_sessions_and_no_work(hub: Hub) -> None:
    person = hub.person()
    person.started()
    elsewhere = Person(hub, person.name, person.password)
    assert elsewhere.web.get(f"{hub.url}/user/{person.name}/lab", timeout=60).ok
    assert elsewhere.token != person.token
    kernel = KernelAt(f"{hub.url}/user/{person.name}", person.token, "python3")
    assert kernel.run("kept = 1; print(kept)") == "1\n"

    own = hub.servers.variable(person.name, "JUPYTERHUB_API_TOKEN")
    assert reports(hub, person, own)

    new = uuid4().hex
    assert "not your current password" in change_password(person, "a wrong guess", new).text
    assert "at least 10 are needed" in change_password(person, person.password, "short").text
    assert "two new passwords differ" in change_password(person, person.password, new, new + "x").text
    assert all(works(elsewhere).values())
    answer = change_password(person, person.password, new)
    assert "Your password is changed" in answer.text

    assert works(elsewhere) == {"cookie at the hub": False, "token at the hub": False, "cookie at the server": True}
    assert person.web.get(f"{hub.url}/hub/home", allow_redirects=False, timeout=30).status_code == 200
    assert person.api("GET", "user").status_code == 403, "a token of before"
    renewed = Person(hub, person.name, new)
    assert renewed.active()
    kernel._headers = {"Authorization": f"token {renewed.token}"}
    assert kernel.run("print(kept)") == "1\n"
    assert reports(hub, person, own), "the server's own token is no session of its user's"
    # What the server itself has cached of a sign-in lasts a minute.
    wait_for(lambda: not works(elsewhere)["cookie at the server"], "the end of the server's cache", 90)
    renewed.stop()
    for one in (person, elsewhere, renewed):
        one.close()


def test_a_withdrawn_admin_right_ends_with_its_sessions(hub: Hub) -> None:
    admin = hub.person("--admin")
    token = admin.token
    assert admin.api("GET", "users").status_code == 200
    hub.command("user", "admin", admin.name, "--withdraw")
    wait_for(lambda: admin.api("GET", "users").status_code == 403, "the end of the right", AT_ONCE)
    plain = Person(hub, admin.name, admin.password)
    assert plain.token != token
    assert plain.api("GET", "users").status_code == 403


def test_the_admin_page_and_the_accounts_agree(hub: Hub) -> None:
    admin = hub.person("--admin")
    name = f"added-{uuid4().hex[:6]}"
    assert admin.api("POST", f"users/{name}").status_code == 201
    assert f"{name} (no password yet)" in hub.command("user", "list")
    password = uuid4().hex
    hub.command("user", "password", name, "--stdin", stdin=f"{password}\n")
    person = Person(hub, name, password)
    assert person.web

    assert admin.api("PATCH", f"users/{name}", json={"name": f"{name}-b", "admin": True}).ok
    wait_for(lambda: f"{name}-b (admin)" in hub.command("user", "list"), "the account's new name")
    assert Person(hub, f"{name}-b", password).api("GET", "users").status_code == 200

    assert admin.api("DELETE", f"users/{name}-b").status_code == 204
    assert name not in hub.command("user", "list")
    refused = admin.api("POST", "users/a%20b")
    assert refused.status_code in {400, 500}
    admin.close()


@pytest.fixture(autouse=True)
def _no_servers_left(hub: Hub) -> Iterator[None]:
    yield
    for container in hub.servers.engine.containers.list(filters={"label": f"io.stateroom.hub={hub.id}"}):
        container.remove(force=True, v=True)
