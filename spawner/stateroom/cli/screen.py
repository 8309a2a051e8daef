"""What a command that takes several steps shows: a line for each, with the time it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from stateroom.cli.findings import Finding, Verdict

_WIDTH = 10
_WORTH_TELLING = 0.1  # seconds
_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.UNSEEN: "dim"}


class Step:
    """A step under way; `result` becomes its line."""

    def __init__(self) -> None:
        self.result = ""


class Screen:
    """A terminal, or a plain stream of lines."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(soft_wrap=True, highlight=False)

    @contextmanager
    def step(self, name: str, doing: str) -> Iterator[Step]:
        """Show `doing` while the body runs (on a terminal), then a line with the step's result."""
        step, began = Step(), time.monotonic()
        with self.console.status(Text(f"{doing} …")):
            yield step
        self.line(name, step.result, time.monotonic() - began)

    def line(self, name: str, text: str, seconds: float = 0.0) -> None:
        """A finished step."""
        took = f" ({seconds:.1f} s)" if seconds >= _WORTH_TELLING else ""
        self.console.print(Text.assemble((f"{name:{_WIDTH}} ", "bold"), text, (took, "dim")))

    def heading(self, text: str) -> None:
        """What the lines after it are about."""
        self.console.print(Text(text, style="bold"))

    def finding(self, name: str, finding: Finding) -> None:
        """What was found, with what to do about it."""
        remedy = f" {finding.remedy}" if finding.remedy else ""
        fact = finding.fact.rstrip(".") + "." if finding.remedy else finding.fact
        verdict = (f"{finding.verdict:<5}", _COLOURS[finding.verdict])
        self.console.print(Text.assemble(verdict, (f"{name:<{_WIDTH}}", "bold"), f"{fact}{remedy}"))

    def more(self, text: str) -> None:
        """A line that belongs to the one above."""
        self.console.print(Text(" " * (_WIDTH + 1) + text))

    def gap(self) -> None:
        """An empty line."""
        self.console.print()
