"""Pulls of images: one for each image however many wait for it, and how far it has come.

The engine tells of each layer in lines of JSON. They are hostile until read:
a registry wrote some of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stateroom.backends.base import Report
from stateroom.backends.docker.engine import Engine
from stateroom.common.deadline import Deadline
from stateroom.common.quantity import format_memory
from stateroom.workloads.progress import Phase, Progress

_TELL_SECONDS = 0.5
_RATE_SECONDS = 3.0  # of downloading, before a time left is more than a guess
_MOST_LAYERS = 1000
_DOWNLOAD_SHARE = 0.7  # of a layer's work; the rest is unpacking

_AT_FIRST = "Fetching the image; this happens once for each machine"


@dataclass(slots=True)
class _Layer:
    """One layer: bytes of it, as far as they are known, and what share of its work is done."""

    size: int = 0
    fetched: int = 0
    done: float = 0.0

    def take(self, status: str, detail: Mapping[str, Any]) -> None:
        current, total = (_count(detail.get(key)) for key in ("current", "total"))
        if status in {"Pull complete", "Already exists"}:
            self.fetched, self.done = self.size, 1.0
        elif status == "Downloading" and total:
            self.size, self.fetched = total, min(current, total)
            self.done = _DOWNLOAD_SHARE * self.fetched / total
        elif status in {"Verifying Checksum", "Download complete"}:
            self.fetched, self.done = self.size, _DOWNLOAD_SHARE
        elif status == "Extracting" and total:
            self.fetched = self.size
            self.done = _DOWNLOAD_SHARE + (1 - _DOWNLOAD_SHARE) * min(current, total) / total


class PullMeter:
    """How far one pull has come."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._layers: dict[str, _Layer] = {}
        self._began: float | None = None  # the first byte

    def take(self, line: Mapping[str, Any]) -> None:
        """Read one line of the engine's."""
        name, status, detail = line.get("id"), line.get("status"), line.get("progressDetail")
        if not isinstance(name, str) or not isinstance(status, str) or status.startswith("Pulling from"):
            return
        if name not in self._layers and len(self._layers) >= _MOST_LAYERS:
            return
        self._layers.setdefault(name, _Layer()).take(status, detail if isinstance(detail, dict) else {})
        if self._began is None and self._fetched:
            self._began = self._now()

    def progress(self) -> Progress:
        """Where it stands, with a time left once that can be told."""
        layers = list(self._layers.values())
        done = sum(layer.done for layer in layers) / len(layers) if layers else 0.0
        return Progress(Phase.PULLING, self._words(layers), done)

    @property
    def _fetched(self) -> int:
        return sum(layer.fetched for layer in self._layers.values())

    def _words(self, layers: list[_Layer]) -> str:
        size, finished = sum(layer.size for layer in layers), sum(layer.done == 1.0 for layer in layers)
        if not size:
            return _AT_FIRST
        if all(layer.done >= _DOWNLOAD_SHARE for layer in layers):
            return f"Unpacking the image: {finished} of {len(layers)} layers"
        known = all(layer.size or layer.done for layer in layers)
        fetched = f"{format_memory(self._fetched)} of {format_memory(size)}{'' if known else ' or more'}"
        return f"Fetching the image: {fetched}{self._left(size) if known else ''}"

    def _left(self, size: int) -> str:
        took = self._now() - self._began if self._began is not None else 0.0
        if took < _RATE_SECONDS or not self._fetched:
            return ""
        seconds = (size - self._fetched) * took / self._fetched
        minute = 60
        if seconds < minute:
            return f", about {max(1, round(seconds / 5)) * 5} s left"
        return f", about {round(seconds / minute)} min left"


class Pulls:
    """The pulls under way."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._under_way: dict[str, _Pull] = {}

    async def pull(self, image: str, seconds: float, report: Report) -> None:
        """Pull the image, or wait for the pull of it that is under way. Raises as `Engine.pull`, and DeadlineExceeded.

        Whoever gives up does not end it for the others.
        """
        pull = self._under_way.get(image)
        if pull is None:
            pull = self._under_way[image] = _Pull(self._engine, image)
            pull.task.add_done_callback(lambda _: self._under_way.pop(image, None))
        report(pull.meter.progress())
        pull.listeners.append(report)
        try:
            async with Deadline.after(seconds, f"pulling the image {image}").enforced():
                await asyncio.shield(pull.task)
        finally:
            pull.listeners.remove(report)


class _Pull:
    """One pull, and those who hear of it."""

    def __init__(self, engine: Engine, image: str) -> None:
        self.meter = PullMeter()
        self.listeners: list[Report] = []
        self._loop = asyncio.get_running_loop()
        self._told = 0.0
        self.task = asyncio.create_task(self._run(engine, image))

    async def _run(self, engine: Engine, image: str) -> None:
        await engine.pull(image, self._take)
        # A quick pull is over before a line of it was told.
        self._tell(self.meter.progress())

    def _take(self, line: Mapping[str, Any]) -> None:
        """On the pull's thread; those who listen are told on the loop, and not of every line."""
        self.meter.take(line)
        if time.monotonic() - self._told >= _TELL_SECONDS and not self._loop.is_closed():
            self._told = time.monotonic()
            self._loop.call_soon_threadsafe(self._tell, self.meter.progress())

    def _tell(self, progress: Progress) -> None:
        for report in self.listeners:
            report(progress)


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
