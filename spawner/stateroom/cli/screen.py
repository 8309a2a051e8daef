"""How commands print: a line for each step with the time it took, findings, and tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stateroom.cli.plain import plain
from stateroom.cli.progress import build_progress, share_progress
from stateroom.operations.checks.findings import Finding, Verdict
from stateroom.operations.report import BuildStep, Step

_WIDTH = 10
_SHORTEST_SHOWN = 0.1  # seconds
_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red", Verdict.SKIPPED: "dim"}
_WIDE = 300  # columns where there is no terminal, so that each row stays on one line


class Screen:
    """A terminal, or a plain stream of lines. Implements the operations' Report."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(soft_wrap=True, highlight=False)

    @contextmanager
    def step(self, name: str, doing: str) -> Iterator[Step]:
        """Show `doing` while the body runs (on a terminal), then a line with the step's result."""
        step, began = Step(), time.monotonic()
        with self._console.status(Text(f"{doing} …")):
            yield step
        self.line(name, step.result, time.monotonic() - began)

    def line(self, name: str, text: str, seconds: float = 0.0) -> None:
        """Print a finished step."""
        took = f" ({seconds:.1f} s)" if seconds >= _SHORTEST_SHOWN else ""
        self._console.print(Text.assemble((f"{name:{_WIDTH}} ", "bold"), plain(text), (took, "dim")))

    def more(self, text: str) -> None:
        """Print a line that belongs to the one above."""
        self._console.print(Text(" " * (_WIDTH + 1) + plain(text)))

    def image_build(self) -> AbstractContextManager[Callable[[BuildStep], None]]:
        """Show where an image build stands."""
        return build_progress(self._console)

    def share(self, doing: str) -> AbstractContextManager[Callable[[float], None]]:
        """Show the completed share of some work."""
        return share_progress(self._console, doing)

    @contextmanager
    def status(self, doing: str) -> Iterator[Callable[[str], None]]:
        """Show `doing` while the body runs, which may replace it; on a terminal only."""
        with self._console.status(f"{doing} …") as status:
            yield lambda text: status.update(f"{text} …")

    def heading(self, text: str) -> None:
        """Print the subject of the lines that follow."""
        self._console.print(Text(plain(text), style="bold"))

    def finding(self, name: str, finding: Finding) -> None:
        """Print what a check found, and how to fix it."""
        remedy = f" {finding.remedy}" if finding.remedy else ""
        fact = finding.fact.rstrip(".") + "." if finding.remedy else finding.fact
        verdict = (f"{finding.verdict:<5}", _COLOURS[finding.verdict])
        self._console.print(Text.assemble(verdict, (f"{name:<{_WIDTH}}", "bold"), plain(f"{fact}{remedy}")))

    def text(self, *parts: str | tuple[str, str]) -> None:
        """Print a line of plain or styled parts."""
        cleaned = (plain(part) if isinstance(part, str) else (plain(part[0]), part[1]) for part in parts)
        self._console.print(Text.assemble(*cleaned))

    def table(self, rows: Iterable[Sequence[str]], *, title: str = "", header: Sequence[str] = ()) -> None:
        """Print rows in columns."""
        if not self._console.is_terminal:
            self._console.width = _WIDE
        left = 2 if title else 0
        table = Table(
            title=Text(title, style="bold") if title else None,
            title_justify="left",
            box=None,
            show_header=bool(header),
            header_style="bold",
            padding=(0, 2, 0, left),
        )
        for name in header:
            table.add_column(name)
        for row in rows:
            table.add_row(*(Text(plain(cell)) for cell in row))
        # The cells of a table with a header are wrapped within their columns where the terminal is narrow.
        self._console.print(table, soft_wrap=not header)

    def gap(self) -> None:
        """Print an empty line."""
        self._console.print()


def print_failure(sentence: str) -> None:
    """Print on standard error why a command failed."""
    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("stateroom: ", "bold red"), plain(sentence)), highlight=False)
