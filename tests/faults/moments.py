"""When trouble begins: moments of a start, a stop or of idleness, tied to the requests that pass the proxy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from harness.engine_proxy import EngineProxy
from harness.hub import PATIENCE, Person

from .scene import Scene

# All trials take an hour. Each run of CI has a part of them, and all have their turn (tests/running/suites.py).
TRIALS = 20
DOWN_SECONDS = 30.0

_Result = TypeVar("_Result")


class Moment:
    """Calls `act` once, as that request or answer passes the proxy: the `number`th that holds `part`; 0 only counts."""

    def __init__(self, proxy: EngineProxy, act: Callable[[], object], number: int = 1, part: str = "") -> None:
        self.passed: list[str] = []
        self._act = act
        self._number = number
        self._part = part
        self._begun = threading.Lock()
        self._over = Future[None]()
        proxy.passing = self._pass

    def come(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Begin `work`, and return once it was met. What never passes is done at its end: the moment after the last."""
        asides = ThreadPoolExecutor(1)
        going = asides.submit(work)
        asides.shutdown(wait=False)
        wait([going, self._over], PATIENCE, FIRST_COMPLETED)
        self._do()
        self._over.result(PATIENCE)
        return going

    def _pass(self, what: str) -> None:
        if "/_ping" in what or "/events" in what or self._part not in what:
            return
        self.passed.append(what)
        if len(self.passed) == self._number:
            self._do()

    def _do(self) -> None:
        if not self._begun.acquire(blocking=False):
            return
        try:
            self._act()
        except BaseException as failure:  # noqa: BLE001 - told on the test's thread
            self._over.set_exception(failure)
        else:
            self._over.set_result(None)


def endure(scene: Scene, victim: Person, when: str, begin: Callable[[], object], end: Callable[[], object]) -> None:
    """Let trouble begin at a moment, last, and end. What fails meanwhile says so in a sentence."""
    work, number, part = WHEN[when]
    if work is None:
        begin()
        time.sleep(DOWN_SECONDS)
        end()
        return
    going = Moment(scene.proxy, begin, number, part).come(lambda: work(victim))
    time.sleep(DOWN_SECONDS)
    end()
    if words := going.result(PATIENCE):
        assert_is_sentence(words)


def assert_is_sentence(words: str) -> None:
    """What a person can read."""
    assert words.endswith("."), words
    assert "Traceback" not in words, words
    assert "Error" not in words, words


def start_and_hear(person: Person, body: object = None) -> str:
    """Ask for a server; what the hub says of a failure, "" for a success."""
    answer = person.start(body)
    if answer.status_code == 202:
        last = list(person.progress())[-1]
        return str(last["message"]) if last.get("failed") else ""
    return "" if answer.status_code == 201 else str(answer.json()["message"])


def stop_and_hear(person: Person) -> str:
    """Ask for the end of a server; what the hub says of a failure at once, "" for a success or for patience."""
    answer = person.api("DELETE", f"users/{person.name}/server")
    return "" if answer.status_code in {202, 204} else str(answer.json()["message"])


# What is going on when trouble begins, and at which request.
WHEN: Mapping[str, tuple[Callable[[Person], str] | None, int, str]] = {
    "while idle": (None, 0, ""),
    "as a server is created": (start_and_hear, 1, "POST /containers/create?"),
    "as a server is started": (start_and_hear, 1, "/start"),
    "as a server is stopped": (stop_and_hear, 2, "/containers/"),
}


def spread(trial: int, trials: int, last: int) -> int:
    """The trials' moments, evenly from the first to the one after the last."""
    return 1 + round(trial * last / max(1, trials - 1))
