"""People who start and stop servers all at once, and what goes wrong for them meanwhile."""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import docker
import requests
from docker.errors import APIError

from harness.engine_proxy import EngineProxy, Mood
from harness.hub import Hub, call_api
from stateroom.workloads.names import ServerRef

WORKERS = 8
GIVING_UP = 180.0  # seconds for a server to come to rest, engine troubles included
# The hub finds the engine again within this time of a trouble's end.
AFTERMATH = 20.0
REFUSED = 400


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a token."""

    name: str
    token: str


@dataclass
class Tally:
    """What was done and what came of it."""

    acts: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    scratch: set[str] = field(default_factory=set)  # names of nameless volumes that servers had
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def began(self, act: str) -> None:
        with self._lock:
            self.acts[act] += 1

    def started(self, outcome: str) -> int:
        with self._lock:
            self.starts += 1
            self.outcomes[outcome] += 1
            return self.starts

    def surprise(self, words: str) -> None:
        with self._lock:
            self.surprises.append(words)
        print(f"  surprise: {words}", flush=True)


class Weather:
    """The troubles of engine and hub: one at a time, and remembered, since they excuse what fails in them."""

    def __init__(self, hub: Hub, proxy: EngineProxy) -> None:
        self._hub = hub
        self._proxy = proxy
        self._trouble = threading.Lock()
        self._last = float("-inf")

    @contextmanager
    def _troubled(self) -> Iterator[bool]:
        if not self._trouble.acquire(blocking=False):
            yield False  # one is enough
            return
        try:
            self._last = float("inf")
            yield True
        finally:
            self._last = time.monotonic()
            self._trouble.release()

    def calm_since(self, moment: float) -> bool:
        """Whether no trouble was in the air from a moment to now."""
        return self._last + AFTERMATH < moment

    def mood(self, mood: Mood, seconds: float) -> None:
        """The engine fails for a while."""
        with self._troubled() as ours:
            if ours:
                self._proxy.mood = mood
                time.sleep(seconds)
                self._proxy.mood = Mood.WELL

    def cut(self) -> None:
        """All connections to the engine end at once."""
        with self._troubled() as ours:
            if ours:
                self._proxy.cut()

    def kill_the_hub(self) -> None:
        """The hub is gone in the middle of everything, and comes back."""
        with self._troubled() as ours:
            if ours:
                self._hub.kill()
                self._hub.up()


class Load:
    """The people, and a number of hands that act for them in random order."""

    def __init__(self, hub: Hub, weather: Weather, users: list[User], engine: docker.APIClient, seed: int) -> None:
        self.hub = hub
        self.weather = weather
        self.users = users
        self.engine = engine
        self.tally = Tally()
        self._random = random.Random(seed)
        self._free = list(users)
        self._choosing = threading.Lock()
        self._until = 0
        self._told = 0

    def run(self, starts: int, told: Callable[[], None] = lambda: None) -> None:
        """Act until this many more starts were asked for. `told` is called after each hundred of them."""
        self._until = self.tally.starts + starts
        with ThreadPoolExecutor(WORKERS) as hands:
            for hand in [hands.submit(self._act_on, told) for _ in range(WORKERS)]:
                hand.result()

    def stop_everything(self) -> None:
        """Nobody's server runs any more."""
        with ThreadPoolExecutor(WORKERS) as hands:
            list(hands.map(lambda user: Visit(self, user, random.Random(0)).stopped(), self.users))

    def running(self) -> dict[str, list[str]]:
        """The names of each user's active servers, as the hub sees them."""
        seen = {user.name: Visit(self, user, random.Random(0)).active() for user in self.users}
        return {name: servers for name, servers in seen.items() if servers}

    def _act_on(self, told: Callable[[], None]) -> None:
        while self.tally.starts < self._until:
            with self._choosing:
                user = self._free.pop(self._random.randrange(len(self._free)))
                (act,) = self._random.choices(list(ACTS), list(ACTS.values()))
                chance = random.Random(self._random.random())
            self.tally.began(act.__name__)
            try:
                act(Visit(self, user, chance))
            finally:
                with self._choosing:
                    self._free.append(user)
                    reached, self._told = self.tally.starts // 100 > self._told, self.tally.starts // 100
            if reached:
                told()


@dataclass(slots=True)
class Visit:
    """One user's stay with the hub during one act."""

    load: Load
    user: User
    chance: random.Random
    began: float = field(default_factory=time.monotonic)

    def start(self, server: str = "", expected: tuple[int, ...] = (201,), **options: Any) -> bool:
        """Ask for a server and wait for what comes of it; whether it runs."""
        answer = self._call("POST", server, json={"user_options": options})
        status, words = (answer.status_code, told_by(answer)) if answer is not None else (0, "the hub was away")
        if status == 202:
            status, words = self._awaited(server)
        self.load.tally.started("started" if status == 201 else f"{status} {words}")
        if status not in expected:
            self.unexpected(f"a start of {self.user.name}/{server} with {options}: {status} {words}")
        return status == 201

    def stop(self, server: str = "", *, remove: bool = False) -> None:
        """Ask for a server's end."""
        self._call("DELETE", server, json={"remove": remove})

    def stopped(self) -> None:
        """End whatever runs, and wait until nothing does."""
        until = time.monotonic() + GIVING_UP
        while active := self.active():
            if time.monotonic() > until:
                self.load.tally.surprise(f"{active} of {self.user.name} do not stop")
                return
            for server in active:
                self.stop(server)
            time.sleep(0.2)

    def active(self) -> list[str]:
        """The servers that the hub knows as running, starting or stopping."""
        until = time.monotonic() + GIVING_UP
        while time.monotonic() < until:
            answer = self._call("GET", None)
            if answer is not None and answer.ok:
                servers = answer.json()["servers"]
                return [name for name, server in servers.items() if server["ready"] or server["pending"]]
            time.sleep(0.5)
        raise TimeoutError(f"the hub did not answer for {GIVING_UP:.0f} s")

    def noticed(self, server: str = "") -> None:
        """Wait until the hub has seen that a server is no more."""
        until = time.monotonic() + GIVING_UP
        while server in self.active():
            if time.monotonic() > until:
                self.load.tally.surprise(f"the end of {self.user.name}/{server} is not noticed")
                return
            time.sleep(0.1)

    def container(self, server: str = "") -> str:
        """The name of a server's container."""
        return ServerRef(self.load.hub.id, self.user.name, server).name

    def look(self, server: str = "") -> None:
        """Remember the nameless volumes of a server's container, which must go with it."""
        with contextlib.suppress(APIError):
            mounts = self.load.engine.inspect_container(self.container(server))["Mounts"]
            self.load.tally.scratch |= {mount["Name"] for mount in mounts if mount["Destination"] == "/scratch"}

    def unexpected(self, words: str) -> None:
        """What should not be, unless there was trouble."""
        if self.load.weather.calm_since(self.began):
            self.load.tally.surprise(words)

    def _awaited(self, server: str) -> tuple[int, str]:
        until = time.monotonic() + GIVING_UP
        while time.monotonic() < until:
            answer = self._call("GET", None)
            if answer is not None and answer.ok:
                found = answer.json()["servers"].get(server)
                if found is None or not found["pending"]:
                    return (201, "") if found and found["ready"] else (500, "a start that took long failed")
            time.sleep(0.2)
        return 0, "the start took too long"

    def _call(self, method: str, server: str | None, **settings: Any) -> requests.Response | None:
        """Call the REST API for the user (server None) or a server; None if the hub is away."""
        path = f"users/{self.user.name}" + ("" if server is None else f"/servers/{server}" if server else "/server")
        try:
            answer = call_api(self.load.hub, self.user.token, method, path, **settings)
        except requests.RequestException as error:
            self.unexpected(f"{method} {path}: {error}")
            return None
        return answer


def told_by(answer: requests.Response) -> str:
    """The hub's sentence, without what differs each time."""
    if answer.ok:
        return ""
    with contextlib.suppress(ValueError):
        return str(answer.json().get("message", ""))[:90]
    return answer.text[:90]


# What people do, and what happens to them


def start_and_stop(visit: Visit) -> None:
    visit.stopped()
    if visit.start():
        if visit.chance.random() < 0.2:
            visit.look()
        visit.stop()
    visit.stopped()


def start_and_leave(visit: Visit) -> None:
    visit.stopped()
    visit.start()


def start_a_named_server(visit: Visit) -> None:
    visit.stopped()
    server = visit.chance.choice(["a", "b"])
    if visit.start(server):
        visit.stop(server, remove=visit.chance.random() < 0.5)
    visit.stopped()


def start_more_than_the_quota(visit: Visit) -> None:
    visit.stopped()
    if all([visit.start(), visit.start("a")]):
        visit.start("b", expected=(REFUSED,))
    visit.stopped()


def lose_a_server_to_a_kill(visit: Visit) -> None:
    visit.stopped()
    if visit.start():
        visit.look()
        with contextlib.suppress(APIError):
            visit.load.engine.kill(visit.container())
        visit.noticed()
    visit.stopped()


def lose_a_server_to_a_removal(visit: Visit) -> None:
    visit.stopped()
    if visit.start():
        visit.look()
        with contextlib.suppress(APIError):
            visit.load.engine.remove_container(visit.container(), force=True, v=True)
        visit.noticed()
    visit.stopped()


def stop_in_mid_start(visit: Visit) -> None:
    visit.stopped()
    with ThreadPoolExecutor(1) as hand:
        start = hand.submit(visit.start, expected=(201, 400, 500))
        time.sleep(visit.chance.random() * 1.5)
        visit.stop()
        start.result()
    visit.stopped()


def start_what_crashes(visit: Visit) -> None:
    visit.stopped()
    visit.start(image="crashes", expected=(500,))
    visit.stopped()


def start_an_image_that_is_missing(visit: Visit) -> None:
    visit.stopped()
    visit.start(image="missing", expected=(500,))
    visit.stopped()


def ask_for_what_is_not_offered(visit: Visit) -> None:
    visit.stopped()
    visit.start(size="endless", expected=(REFUSED,))


def the_engine_refuses(visit: Visit) -> None:
    visit.load.weather.mood(Mood.REFUSES, 1 + visit.chance.random())


def the_engine_is_away(visit: Visit) -> None:
    visit.load.weather.mood(Mood.AWAY, 1 + visit.chance.random())


def the_engine_hangs(visit: Visit) -> None:
    visit.load.weather.mood(Mood.HANGS, 1 + visit.chance.random())


def connections_are_cut(visit: Visit) -> None:
    visit.load.weather.cut()


# In a hundred.
ACTS: dict[Callable[[Visit], None], float] = {
    start_and_stop: 42,
    start_and_leave: 12,
    start_a_named_server: 8,
    start_more_than_the_quota: 3,
    lose_a_server_to_a_kill: 7,
    lose_a_server_to_a_removal: 5,
    stop_in_mid_start: 9,
    start_what_crashes: 4,
    start_an_image_that_is_missing: 3,
    ask_for_what_is_not_offered: 3,
    the_engine_refuses: 1,
    the_engine_is_away: 1,
    the_engine_hangs: 1,
    connections_are_cut: 1,
}
