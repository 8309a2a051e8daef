"""Parts of a release that go away, or are away for a while: people's work goes on, and the way to it comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from harness import cluster
from harness.figures import Told
from harness.hub import Person, wait_for
from harness.kernels import Kernel
from harness.looker import Looker
from harness.pods import delete_at_once
from harness.postgresql import PostgreSQL, running_postgresql
from harness.recovery import wait_for_the_cluster
from harness.release import SMALL, Release, release_of_its_own
from stateroom.images.sources import HUB_IMAGE

_PAUSE = 0.2  # seconds between two looks
_A_FEW = 5  # questions, which are asked in a second: a machine that is busy answers them late, and answers all
_OUTAGE_SECONDS = 60.0

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
    assert float(kernel.run("print(longest)")) < _OUTAGE_SECONDS / 2, "the kernel stood still"


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


@pytest.mark.parametrize(("part", "most"), [("hub", _A_FEW), ("proxy", 100)])
def test_a_pod_is_deleted(release: Release, ada: Person, kernel: Kernel, told: Told, *, part: str, most: int) -> None:
    with worker(release, ada).looking() as work, visitor(release).looking() as visit:
        replaced(release, part)
        settled(release, ada)
    told(f"The {part} deleted: no login for {visit.gap:.1f} s, no answer from a user's server for {work.gap:.1f} s.")
    assert work.lost <= most, work.trouble
    assert kernel.run("print('on')").strip() == "on"


def test_the_databases_connections_are_cut_and_then_it_is_away(
    release: Release, ada: Person, kernel: Kernel, database: PostgreSQL, told: Told
) -> None:
    with worker(release, ada).looking() as work, visitor(release).looking() as visit:
        database.cut_connections()
        time.sleep(2)
        settled(release, ada)
        cut, cut_questions = visit.gap, visit.lost
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
    assert cut_questions <= 25, visit.trouble
    assert work.lost <= _A_FEW, work.trouble
    assert release.pod("hub").status.container_statuses[0].restart_count == 0
    assert kernel.run("print('on')").strip() == "on"
    assert_somebody_new_can_start(release)


def test_the_clusters_api_is_away_for_a_minute(release: Release, ada: Person, kernel: Kernel, told: Told) -> None:
    if not cluster.components():
        pytest.skip("a cluster of the tests' own is needed, whose API server may be stopped")
    hub = release.pod("hub")
    with worker(release, ada).looking() as work, visitor(release).looking() as visit:
        with cluster.components()["kube-apiserver"].stopped():
            time.sleep(_OUTAGE_SECONDS)
            during = max(work.gap, visit.gap)
        wait_for_the_cluster(HUB_IMAGE)
        settled(release, ada)
    told(
        f"API server away for {_OUTAGE_SECONDS:.0f} s: no answer for {during:.1f} s in that time, "
        f"and {max(work.gap, visit.gap):.1f} s at all.{work.trouble}{visit.trouble}"
    )
    assert max(work.lost, visit.lost) <= _A_FEW, f"{work.trouble}{visit.trouble}\n{release.log()}"
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
