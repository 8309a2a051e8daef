"""Whoever floods the login keeps nobody else from logging in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import requests

from harness.hub import Hub, Person, xsrf


def log_in(hub: Hub, name: str, password: str) -> int:
    """The status of a login: 302 leads on to the server."""
    with requests.Session() as web:
        web.get(f"{hub.url}/hub/login", timeout=60).raise_for_status()
        fields = {"username": name, "password": password, "_xsrf": xsrf(web)}
        return web.post(f"{hub.url}/hub/login", data=fields, allow_redirects=False, timeout=120).status_code


@contextmanager
def flood(hub: Hub, *names: str) -> Iterator[None]:
    """Wrong passwords for these names, again and again, a thread for each."""
    over = threading.Event()

    def guess(name: str) -> None:
        while not over.is_set():
            log_in(hub, name, "a wrong password")

    with ThreadPoolExecutor(len(names)) as pool:
        for name in names:
            pool.submit(guess, name)
        try:
            yield
        finally:
            over.set()


@pytest.mark.parametrize("kind", ["their own name", "other names"])
def test_the_right_password_gets_in_while_somebody_guesses(hub: Hub, person: Person, kind: str) -> None:
    names = [person.name] * 20 if kind == "their own name" else [f"nobody{number}" for number in range(60)]
    with flood(hub, *names):
        assert log_in(hub, person.name, person.password) == 302
