"""An engine that takes its time in the middle of a start."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.engine_proxy import EngineProxy, Mood
from harness.hub import PATIENCE, Hub, running_hub, wait_for
from harness.skips import skip_without_image


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[EngineProxy]:
    proxy = EngineProxy(tmp_path / "engine.sock")
    yield proxy
    proxy.close()


@pytest.fixture
def hub(tmp_path: Path, proxy: EngineProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of its own, which reaches the engine through the proxy."""
    skip_without_image()
    monkeypatch.setenv("DOCKER_HOST", proxy.host)
    with running_hub(tmp_path) as hub:
        yield hub
        proxy.mood = Mood.WELL


def test_a_start_that_the_engine_holds_up_can_be_stopped(hub: Hub, proxy: EngineProxy) -> None:
    person = hub.person()
    person.started()
    person.stop()
    proxy.mood = Mood.HANGS
    before = len(proxy.requests)
    with ThreadPoolExecutor(1) as hand:
        start = hand.submit(person.start)
        wait_for(lambda: any("/images/" in request for request in proxy.requests[before:]), "the start's first call")
        answer = person.api("DELETE", f"users/{person.name}/server")
        proxy.mood = Mood.WELL
        start.result(PATIENCE)
    assert answer.status_code in {202, 204}, answer.text
    wait_for(lambda: not person.active(), "the server's end")
    wait_for(lambda: hub.servers.of(person.name) == [], "the clean-up")
    person.started()
