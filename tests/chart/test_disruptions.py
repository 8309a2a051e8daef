"""Parts of a release that go away, or are away for a while: people's work goes on, and the way to it comes back."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import pytest
import requests

from harness import cluster
from harness.figures import Told
from harness.hub import Person, wait_for
from harness.kernels import Kernel
from harness.pods import delete_at_once
from harness.postgresql import PostgreSQL, running_postgresql
from harness.recovery import wait_for_the_cluster
from harness.release import SMALL, Release, release_of_its_own
from stateroom.recipes import HUB_IMAGE

_PAUSE = 0.2  # seconds between two looks
_PATIENCE = 5.0  # seconds until a look is given up
_AT_ONCE = 1.0  # seconds
_OUTAGE = 60.0 if "STATEROOM_FAULT_TRIALS" in os.environ else 20.0  # seconds; with that the whole trial runs

# Counts on by itself, and keeps the longest time between two counts.
COUNT = """
import threading, time
longest, last = 0.0, time.monotonic()
def count():
    global longest, last
    while True:
        time.sleep(0.05)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
threading.Thread(target=count, daemon=True).start()
print("counts")
"""


@pytest.fixture(scope="module")
def database(images: None) -> Iterator[PostgreSQL]:  # noqa: ARG001 - skips where there is no cluster
    """A database beside the cluster."""
    with running_postgresql(cluster.HOST) as database:
        yield database


@pytest.fixture(scope="module")
def release(database: PostgreSQL) -> Iterator[Release]:
    """A release whose hub is on PostgreSQL."""
    with release_of_its_own() as release:
        release.apply({"hub": {"database_url": database.url}})
        yield release


@pytest.fixture(scope="module")
def ada(release: Release) -> Iterator[Person]:
    """Somebody with a running server."""
    ada = release.person()
    ada.started(SMALL)
    yield ada
    ada.stop()
    ada.close()


@pytest.fixture
def kernel(ada: Person) -> Iterator[Kernel]:
    """A kernel that counts."""
    kernel = Kernel(ada)
    kernel.run(COUNT)
    yield kernel
    assert float(kernel.run("print(longest)")) < 3, "the kernel stood still"


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
            thread.join()

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


def worker(release: Release, ada: Person) -> Looker:
    """Somebody at work: asks the own server, through the proxy."""
    return Looker(f"{release.url}/user/{ada.name}/api/status", ada.token)


def visitor(release: Release) -> Looker:
    """Somebody who wants to log in."""
    return Looker(f"{release.url}/hub/login")


def replaced(release: Release, part: str) -> None:
    """Delete a pod, and wait until another is ready."""
    pod = release.pod(part)
    delete_at_once(release.namespace, pod.metadata.name)

    def is_ready() -> bool:
        new = release.pod(part)
        if new is None or new.metadata.uid == pod.metadata.uid:
            return False
        return any(one.type == "Ready" and one.status == "True" for one in new.status.conditions or [])

    wait_for(is_ready, f"another pod of the {part}", pause=_PAUSE)


def settled(release: Release, ada: Person) -> None:
    """Everything works again."""
    release.wait_until_answers()
    # A hub whose database is away knows nobody.
    wait_for(lambda: ada.api("GET", f"users/{ada.name}").ok, "the hub's word on the user")
    assert ada.active()
    url = f"{release.url}/user/{ada.name}/api/status"
    wait_for(lambda: requests.get(url, headers={"Authorization": f"token {ada.token}"}, timeout=5).ok, "the server")


@pytest.mark.parametrize(("part", "most"), [("hub", 1), ("proxy", 20)])
def test_a_pod_is_deleted(release: Release, ada: Person, kernel: Kernel, told: Told, *, part: str, most: float) -> None:
    with worker(release, ada).looking() as work, visitor(release).looking() as visit:
        replaced(release, part)
        settled(release, ada)
    told(f"The {part} deleted: no login for {visit.gap:.1f} s, no answer from a user's server for {work.gap:.1f} s.")
    assert work.gap < most, work.trouble
    assert kernel.run("print('on')").strip() == "on"


def test_the_databases_connections_are_cut_and_then_it_is_away(
    release: Release, ada: Person, kernel: Kernel, database: PostgreSQL, told: Told
) -> None:
    with worker(release, ada).looking() as work, visitor(release).looking() as visit:
        database.cut_connections()
        time.sleep(2)
        settled(release, ada)
        cut = visit.gap
        database.stop()
        time.sleep(10)
        database.start()
        began = time.monotonic()
        settled(release, ada)
        back = time.monotonic() - began
    told(
        f"Database's connections cut: no login for {cut:.1f} s. Database away for 10 s: all well {back:.1f} s "
        f"after its return, no answer from a user's server for {work.gap:.1f} s."
    )
    assert cut < 5, visit.trouble
    assert work.gap < _AT_ONCE, work.trouble
    assert release.pod("hub").status.container_statuses[0].restart_count == 0
    assert kernel.run("print('on')").strip() == "on"
    assert_somebody_new_can_start(release)


def test_the_clusters_api_is_away_for_a_minute(release: Release, ada: Person, kernel: Kernel, told: Told) -> None:
    if not cluster.components():
        pytest.skip("a cluster of the tests' own is needed, whose API server may be stopped")
    hub = release.pod("hub")
    with worker(release, ada).looking() as work, visitor(release).looking() as visit:
        with cluster.components()["kube-apiserver"].stopped():
            time.sleep(_OUTAGE)
            during = max(work.gap, visit.gap)
        wait_for_the_cluster(HUB_IMAGE)
        settled(release, ada)
    told(
        f"API server away for {_OUTAGE:.0f} s: no answer for {during:.1f} s in that time, "
        f"and {max(work.gap, visit.gap):.1f} s at all.{work.trouble}{visit.trouble}"
    )
    assert during < _AT_ONCE
    assert max(work.gap, visit.gap) < _AT_ONCE, f"{work.trouble}{visit.trouble}\n{release.log()}"
    after = release.pod("hub")
    assert (after.metadata.uid, after.status.container_statuses[0].restart_count) == (
        hub.metadata.uid,
        hub.status.container_statuses[0].restart_count,
    )
    assert kernel.run("print('on')").strip() == "on"
    assert_somebody_new_can_start(release)


def assert_somebody_new_can_start(release: Release) -> None:
    """A cluster whose API was away takes its node for lost for a minute, and a start then is refused: try later."""
    ben = release.person()

    def starts() -> bool:
        assert ben.start(SMALL).ok
        wait_for(lambda: (ben.server() or {"ready": True})["ready"], "the end of a start")
        return ben.active()

    wait_for(starts, "a start that succeeds", seconds=180, pause=3)
    ben.stop()
    ben.close()
