"""Progress in a terminal: of an image build, and of any work whose completed share is known. Elsewhere, plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from stateroom.common.quantity import format_time_left
from stateroom.common.text import printable
from stateroom.operations.report import BuildStep


@contextmanager
def build_progress(console: Console) -> Iterator[Callable[[BuildStep], None]]:
    """Show where an image build stands: on a terminal as a bar, elsewhere as a line for each kind of step."""
    if not console.is_terminal:
        yield _lines(console)
        return
    with _bar(console) as progress:
        yield _follower(progress)


@contextmanager
def share_progress(console: Console, work: str) -> Iterator[Callable[[float], None]]:
    """Show the completed share of some work: on a terminal as a bar, elsewhere as a line."""
    if not console.is_terminal:
        console.print(work, highlight=False)
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(work, total=1.0)
        yield lambda done: progress.update(task, completed=done)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        _TimeLeft(),
        TextColumn("{task.fields[line]}", style="dim", markup=False, table_column=Column(ratio=1, no_wrap=True)),
        console=console,
        transient=True,
        expand=True,
    )


class _TimeLeft(ProgressColumn):
    """About how long is left, counted down since the step began."""

    def render(self, task: Task) -> Text:
        return Text(format_time_left(task.fields["until"] - time.monotonic()))


def _follower(progress: Progress) -> Callable[[BuildStep], None]:
    # The bar appears with the first step: an image that is up to date shows none.
    tasks: list[TaskID] = []

    def report(step: BuildStep) -> None:
        if not tasks:
            tasks.append(progress.add_task("", line="", until=0.0))
        if step.title != progress.tasks[0].description:
            progress.update(tasks[0], description=step.title, until=time.monotonic() + step.left)
        progress.update(tasks[0], completed=max(0, step.number - 1), total=step.total, line=printable(step.line))

    return report


def _lines(console: Console) -> Callable[[BuildStep], None]:
    last = ""

    def report(step: BuildStep) -> None:
        nonlocal last
        if step.title != last:
            last = step.title
            left = f", {format_time_left(step.left)}" if step.left else ""
            console.print(f"[{step.number}/{step.total}] {last}{left}", markup=False, highlight=False)

    return report
