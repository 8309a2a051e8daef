"""Who logs in when many do: nobody keeps others out, and guessing is slow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from stateroom.hub.accounts import login_queue
from stateroom.hub.accounts.login_queue import LoginQueue, TooManyLogins, source_of
from stateroom.operations.accounts import Account

RIGHT = "correct horse battery"
ADA = Account("ada", "hash", admin=False)
ATTACKER, HOME = "203.0.113.9", "198.51.100.7"


class Checks:
    """Knows one password of each name, and keeps what it was asked, and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str, str]] = []

    def __call__(self, name: str, password: str) -> Account | None:
        self.asked.append((time.monotonic(), name, password))
        return Account(name, "hash", admin=False) if password == RIGHT else None


@pytest.fixture
def checks() -> Checks:
    return Checks()


@pytest.fixture
def queue(checks: Checks) -> Iterator[LoginQueue]:
    queue = LoginQueue(checks)
    yield queue
    queue._threads.shutdown()


def guesses(queue: LoginQueue, number: int, name: str = "ada", source: str = ATTACKER) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(queue.verified(source, name, f"guess {n}")) for n in range(number)]


async def test_the_right_password_gives_the_account_and_any_other_none(queue: LoginQueue) -> None:
    assert await queue.verified(HOME, "ada", RIGHT) == ADA
    assert await queue.verified(HOME, "ada", "wrong") is None


@pytest.mark.usefixtures("loop_clock")
async def test_guesses_at_one_name_come_one_by_one_with_a_pause_after_some(queue: LoginQueue, checks: Checks) -> None:
    await asyncio.gather(*guesses(queue, 30))
    times = [moment for moment, _, _ in checks.asked]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(pause >= login_queue.PAUSE_SECONDS * 0.99 for pause in pauses[login_queue.FREE_FAILURES :])


@pytest.mark.usefixtures("loop_clock")
async def test_the_right_password_among_guesses_from_the_same_source_is_late_and_not_refused(queue: LoginQueue) -> None:
    flood = guesses(queue, 100)
    await asyncio.sleep(0)
    assert await queue.verified(ATTACKER, "ada", RIGHT) == ADA
    await asyncio.gather(*flood)


@pytest.mark.usefixtures("loop_clock")
async def test_who_guesses_slows_down_nobody_elsewhere_and_no_other_name(queue: LoginQueue, checks: Checks) -> None:
    flood = guesses(queue, 150)
    await asyncio.sleep(0.1)
    asked = len(checks.asked)
    assert await queue.verified(HOME, "ada", RIGHT) == ADA
    assert await queue.verified(ATTACKER, "bob", RIGHT) is not None
    assert len(checks.asked) <= asked + 2 + 2 * login_queue.CHECKS_AT_ONCE
    for task in flood:
        task.cancel()


async def test_sources_take_turns(checks: Checks) -> None:
    def slow(name: str, password: str) -> Account | None:
        time.sleep(0.005)
        return checks(name, password)

    queue = LoginQueue(slow)
    flood = [task for n in range(60) for task in guesses(queue, 1, f"name{n}")]
    others = [asyncio.create_task(queue.verified(f"198.51.100.{n}", "ada", RIGHT)) for n in range(10)]
    await asyncio.gather(*others)
    assert sum(name != "ada" for _, name, _ in checks.asked) < 30
    await asyncio.gather(*flood)


async def test_of_one_source_and_of_all_only_so_many_wait(queue: LoginQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_queue, "MOST_OF_A_SOURCE", 5)
    monkeypatch.setattr(login_queue, "MOST", 8)
    tasks = [*guesses(queue, 20), *guesses(queue, 20, source=HOME)]
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [end for end in ended if isinstance(end, TooManyLogins)]
    assert {one.everywhere for one in refused} == {False, True}


async def test_what_fails_in_a_check_reaches_who_asked_and_the_next_is_checked() -> None:
    outcomes = iter([OSError("the file is gone"), ADA])

    def check(*_: str) -> Account:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    queue = LoginQueue(check)
    with pytest.raises(OSError, match="the file is gone"):
        await queue.verified(HOME, "ada", RIGHT)
    assert await queue.verified(HOME, "ada", RIGHT) == ADA


async def test_who_goes_away_leaves_nothing(queue: LoginQueue) -> None:
    flood = guesses(queue, 50)
    await asyncio.sleep(0)
    for task in flood:
        task.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    assert await queue.verified(HOME, "bob", RIGHT) is not None
    assert not queue._waiting
    assert queue._at_work.total() == 0


async def test_memory_is_bounded(queue: LoginQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_queue, "MOST_REMEMBERED", 20)
    for number in range(50):
        await queue.verified(HOME, f"name{number}", "wrong")
    assert len(queue._failures) == 20


async def test_a_login_starts_anew(queue: LoginQueue) -> None:
    for _ in range(3):
        await queue.verified(HOME, "ada", "wrong")
    await queue.verified(HOME, "ada", RIGHT)
    assert not queue._failures


class TestSource:
    @pytest.mark.parametrize(
        ("peer", "said", "source"),
        [
            ("127.0.0.1", [], "127.0.0.1"),
            ("127.0.0.1", [HOME], HOME),
            ("172.18.0.1", [HOME], HOME),  # the hub's own address, from which its proxy comes
            ("127.0.0.1", [f"192.0.2.1, {HOME}"], HOME),
            ("127.0.0.1", [f"{HOME}, 127.0.0.1"], HOME),  # of a proxy before the hub's own
            ("127.0.0.1", ["192.0.2.1", HOME], HOME),
            ("::1", ["2001:db8::1"], "2001:db8::1"),
            ("127.0.0.1", [f"{HOME}, <script>"], "127.0.0.1"),
            ("172.18.0.7", [HOME], "172.18.0.7"),  # a server, which may say what it wants
        ],
    )
    def test_only_a_proxy_on_this_machine_is_believed(self, peer: str, said: list[str], source: str) -> None:
        headers = HTTPHeaders()
        for text in said:
            headers.add("X-Forwarded-For", text)
        socket = SimpleNamespace(getsockname=lambda: ("172.18.0.1", 8081))
        connection = SimpleNamespace(context=SimpleNamespace(address=(peer, 1)), stream=SimpleNamespace(socket=socket))
        handler = SimpleNamespace(request=SimpleNamespace(connection=connection, headers=headers))
        assert source_of(handler) == source
