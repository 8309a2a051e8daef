"""Somebody who asks for a page all the time, and knows how long there was no answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import requests

_PAUSE = 0.2  # seconds between two looks
_PATIENCE = 5.0  # seconds until a look is given up
_AT_ONCE = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Look:
    """One question, and what came of it."""

    began: float
    ended: float
    result: str  # "200" is an answer

    @property
    def seconds(self) -> float:
        return self.ended - self.began


class Looker:
    """Somebody who asks for something all the time; how long there was no answer at most.

    Who waits in vain asks again, as people do: a question that hangs does not keep back the next.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url
        self._headers = {"Authorization": f"token {token}"} if token else {}
        self._began = time.monotonic()
        self._ended: float | None = None
        self._looks: list[Look] = []
        self._over = threading.Event()

    @property
    def lost(self) -> int:
        """The longest row of questions that were not answered, however long those took that were."""
        looks = sorted(self._looks, key=lambda look: look.began)
        assert looks, "nothing was asked"
        rows = ("".join("." if look.result == "200" else "x" for look in looks)).split(".")
        return max(map(len, rows))

    @property
    def gap(self) -> float:
        """The longest time without an answer, in seconds, as far as it is known."""
        answers = sorted(look.ended for look in self._looks if look.result == "200")
        end = time.monotonic() if self._ended is None else self._ended
        times = [self._began, *(answer for answer in answers if answer < end), end]
        return max(later - earlier for earlier, later in pairwise(times)) - _PAUSE

    @property
    def trouble(self) -> str:
        """Each question that was not answered, or not at once: a line for each, which a newline begins."""
        looks = [look for look in self._looks if look.result != "200" or look.seconds > _AT_ONCE]
        return "".join(
            f"\n{self._url}, {look.began - self._began:.1f} s after the first: {look.result} after {look.seconds:.1f} s"
            for look in sorted(looks, key=lambda look: look.began)
        )

    @contextmanager
    def looking(self) -> Iterator[Looker]:
        thread = threading.Thread(target=self._look)
        thread.start()
        try:
            yield self
        finally:
            self._ended = time.monotonic()
            self._over.set()
            thread.join(2 * _PATIENCE)

    def _look(self) -> None:
        with ThreadPoolExecutor(int(_PATIENCE / _PAUSE) + 1) as askers:
            while not self._over.wait(_PAUSE):
                askers.submit(self._ask)

    def _ask(self) -> None:
        began = time.monotonic()
        try:
            answer = requests.get(self._url, headers=self._headers, timeout=_PATIENCE, allow_redirects=False)
            result = str(answer.status_code)
        except requests.RequestException as error:
            result = type(error).__name__
        self._looks.append(Look(began, time.monotonic(), result))
