"""Time that passes at once, for tests that wait.

looptime does the same and more; but it makes an event loop for each test that has
none (`policy.get_event_loop()`), which nobody closes, and warnings are errors here.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

_IDLE_SECONDS = 5.0  # of waiting for something outside of the loop, such as a thread


@pytest.fixture
async def loop_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop jump to the next moment that it waits for; `time.monotonic` is its clock."""
    selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
    select, now = selector.select, time.monotonic()

    def jump(timeout: float | None = None) -> list[tuple[Any, Any]]:
        nonlocal now
        if ready := select(0):
            return list(ready)
        if timeout is None:
            return list(select(_IDLE_SECONDS))
        now += max(0.0, timeout)
        return []

    monkeypatch.setattr(selector, "select", jump)
    monkeypatch.setattr(time, "monotonic", lambda: now)  # on which the loop's own time is
