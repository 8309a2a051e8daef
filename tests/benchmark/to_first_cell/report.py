"""What the way to the first cell took, side by side and phase by phase."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loading:
    """What a page did between its HTML and the launcher; seconds, and bytes as they came over the wire."""

    requests: int
    size: int
    waiting: float  # while at least one request waited for its first byte
    receiving: float  # while at least one answer came in
    scripts: float  # the page's thread in JavaScript
    tasks: float  # the page's thread in all


@dataclass(frozen=True, slots=True)
class Journey:
    """One walk: the moments, in seconds of the machine's clock."""

    clicked: float
    container_runs: float
    server_answers: float
    page_goes_on: float
    lab_html: float
    launcher: float
    idle: float
    result: float
    loading: Loading

    @property
    def total(self) -> float:
        """What a person waited."""
        return self.result - self.clicked

    @property
    def phases(self) -> dict[str, float]:
        """The parts of it, in their order."""
        moments = {
            "hub and engine, until the container runs": self.container_runs,
            "server, until it answers": self.server_answers,
            "hub, until the page goes on": self.page_goes_on,
            "redirects and OAuth, until Lab's HTML": self.lab_html,
            "page, until the launcher is there": self.launcher,
            "kernel, from the click on its card until it is idle": self.idle,
            "cell, until its result is there": self.result,
        }
        ends = [self.clicked, *moments.values()]
        return {name: end - begin for name, begin, end in zip(moments, ends, ends[1:], strict=False)}
