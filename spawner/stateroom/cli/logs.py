"""The logs of the programs that `up` runs: written in full to a file, told in their last words."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from stateroom.errors import SetupError
from stateroom.files import open_private

_LARGEST = 10 * 1024 * 1024
_END = 20_000  # bytes of a log in which its last words are looked for
_LONGEST_LINE = 200
_MARKS = ("npm error", "E:", "ERROR:", "failed to start")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def open_log(path: Path) -> IO[bytes]:
    """Open the log to write at its end; one that has grown large makes room and is kept once."""
    if path.exists() and path.stat().st_size > _LARGEST:
        path.replace(path.with_name(f"{path.name}.1"))
    return open_private(path, "ab")


def run_logged(
    command: Sequence[str], log: Path, *, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program to its end. Raises SetupError with its last words and the log's place if it fails."""
    with open_log(log) as file:
        began = file.tell()
        ended = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        raise SetupError(f"{Path(command[0]).name} failed: {reason(log, began)} The whole log is in {log}.")


def reason(log: Path, began: int) -> str:
    """The line that tells most of what was written after `began`, in quotes."""
    lines = _lines(log, began)
    full = [line for line in lines if "no space left" in line.lower() or "ENOSPC" in line]
    # These programs write their reason first and what follows from it afterwards.
    marked = [line for line in lines if line.startswith(_MARKS)]
    return f'"{(full + marked + lines[-1:])[0]}".' if lines else "it said nothing."


def excerpt(log: Path, began: int, most: int) -> str:
    """The last lines that were written after `began`, each on a line of its own and indented."""
    return "\n".join(f"    {line}" for line in _lines(log, began)[-most:])


def _lines(log: Path, began: int) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(began, end - _END))
        text = file.read().decode("utf-8", "replace")
    return [shown for line in text.splitlines() if (shown := _shown(line))]


def _shown(line: str) -> str:
    line = _COLOUR.sub("", line)
    text = "".join(letter for letter in line if letter.isprintable()).strip()
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}…"
