"""What happens during a start, told in phases; the bar they make never goes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """The phases of a start in their order, each with its stretch of the bar in percent."""

    PREPARING = (0, 10)
    PULLING = (10, 60)
    CREATING = (60, 70)
    STARTING = (70, 80)
    ANSWERING = (80, 95)


@dataclass(frozen=True, slots=True)
class Progress:
    """A phase, how much of it is done (0 to 1), and a sentence for the user."""

    phase: Phase
    message: str
    done: float = 0.0

    @property
    def percent(self) -> int:
        """Where the bar stands."""
        first, last = self.phase.value
        return int(first + (last - first) * min(1.0, max(0.0, self.done)))


class ProgressLog:
    """Collects one start's progress; any number of readers follow it from its beginning."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, str]] = []
        self._changed = asyncio.Event()
        self._closed = False

    def report(self, progress: Progress) -> None:
        """Add an entry; a repetition is dropped and a step back keeps the bar where it is."""
        last_percent, last_message = self._entries[-1] if self._entries else (0, "")
        entry = (max(last_percent, progress.percent), progress.message)
        if entry != (last_percent, last_message):
            self._entries.append(entry)
            self._wake()

    def close(self) -> None:
        """No entry follows; readers come to their end."""
        self._closed = True
        self._wake()

    async def follow(self) -> AsyncIterator[tuple[int, str]]:
        """Percent and sentence of every entry, from the first, until closed."""
        position = 0
        while True:
            changed = self._changed
            for entry in self._entries[position:]:
                position += 1
                yield entry
            if position == len(self._entries):
                if self._closed:
                    return
                await changed.wait()

    def _wake(self) -> None:
        self._changed, changed = asyncio.Event(), self._changed
        changed.set()
