"""What the benchmarks have in common as programs: their option, how they end, and that they leave nothing."""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

QUICK = "a small sample; the README stays as it is"


def program(
    arguments: Sequence[str], about: str | None, measure: Callable[[bool], int], troubles: tuple[type[Exception], ...]
) -> int:
    """Measure, a sample only where that is asked for; the exit code. `troubles` are told in a line."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=QUICK)
    quick = parser.parse_args(arguments).quick
    return ended(lambda: measure(quick), troubles)


def ended(measure: Callable[[], int], troubles: tuple[type[Exception], ...]) -> int:
    """The exit code of what is measured, as `program` gives it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return measure()
    except KeyboardInterrupt:
        print("\nInterrupted; what was made is removed.", file=sys.stderr)
        return 130
    except troubles as error:
        print(f"The benchmark could not be run: {error} {getattr(error, 'detail', '')}".rstrip(), file=sys.stderr)
        return 2


@contextmanager
def taken_down() -> Iterator[ExitStack]:
    """A stack for all that is made. A second Ctrl-C must not keep the first from its work."""
    with ExitStack() as stack:
        try:
            yield stack
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)


def say(what: str) -> None:
    """What is measured now."""
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
