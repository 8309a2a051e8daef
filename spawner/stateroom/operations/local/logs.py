"""The logs of the programs that `up` runs. They are written to files; messages quote their last lines."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from stateroom.common.errors import SetupError
from stateroom.common.files import open_private
from stateroom.common.quantity import MiB
from stateroom.common.text import clipped

_LARGEST = 10 * MiB
_END = 20_000  # bytes of a log in which its last words are looked for
_LONGEST_LINE = 200
_MARKS = ("npm error", "E:", "ERROR:", "failed to start")


def open_log(path: Path) -> IO[bytes]:
    """Open the log for appending. A large log is renamed first, and one old log is kept."""
    if path.exists() and path.stat().st_size > _LARGEST:
        path.replace(path.with_name(f"{path.name}.1"))
    return open_private(path, "ab")


def run_logged(
    command: Sequence[str], log: Path, *, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program until it exits. Raises SetupError with its last line and the log's path if it fails."""
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
    """Return the most informative line that was written after `began`, in quotes."""
    lines = _lines(log, began)
    full = [line for line in lines if "no space left" in line.lower() or "ENOSPC" in line]
    # These programs write their reason first and what follows from it afterwards.
    marked = [line for line in lines if line.startswith(_MARKS)]
    return f'"{(full + marked + lines[-1:])[0]}".' if lines else "it said nothing."


def excerpt(log: Path, began: int, most: int) -> str:
    """Return the last lines that were written after `began`, indented."""
    return "\n".join(f"    {line}" for line in _lines(log, began)[-most:])


def _lines(log: Path, began: int) -> list[str]:
    if not log.exists():
        return []
    with log.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(began, end - _END))
        text = file.read().decode("utf-8", "replace")
    return [shown for line in text.splitlines() if (shown := clipped(line, _LONGEST_LINE))]
