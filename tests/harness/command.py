"""The command line in this very process: its exit status and all that it printed."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass

from stateroom.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What came of a command; a failed assertion shows all of it."""

    words: tuple[str, ...]
    status: int
    out: str
    err: str

    def assert_success(self) -> Outcome:
        assert self.status == 0, self
        return self

    def assert_failure(self, *parts: str) -> Outcome:
        """It ended with an error that says each of `parts`, in one sentence and not a trace."""
        assert self.status != 0, self
        assert "Traceback" not in self.err, self
        for part in parts:
            assert part in self.err, f"{part!r} is not in\n{self}"
        return self

    def __str__(self) -> str:
        return f"$ stateroom {' '.join(self.words)}\nexit status {self.status}\n{self.out}\n--- stderr\n{self.err}"


def run(*words: object, stdin: str = "") -> Outcome:
    """Run `stateroom` with these words; standard input is no terminal."""
    texts = tuple(map(str, words))
    out, err = io.StringIO(), io.StringIO()
    before, sys.stdin = sys.stdin, io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = _status(texts)
    finally:
        sys.stdin = before
    return Outcome(texts, status, out.getvalue(), err.getvalue())


def _status(words: tuple[str, ...]) -> int:
    try:
        return main(words)
    except SystemExit as end:  # argparse: --help, or words that it does not know
        return end.code if isinstance(end.code, int) else 1
