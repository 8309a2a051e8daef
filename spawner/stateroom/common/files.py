"""Files that hold what others must not read, and that must never be seen half written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


def replace_file(path: Path, text: str) -> None:
    """Put a new file in place of `path`, whole or not at all, for its owner alone."""
    with _written(path, text) as whole:
        whole.replace(path)


def make_file(path: Path, text: str) -> None:
    """Make a file, whole or not at all, for its owner alone. Raises FileExistsError if it is there."""
    with _written(path, text) as whole:
        try:
            path.hardlink_to(whole)
        except FileExistsError:
            raise
        except OSError:  # a disk without links
            if path.exists():
                raise FileExistsError from None
            whole.replace(path)


@contextmanager
def _written(path: Path, text: str) -> Iterator[Path]:
    """A temporary file beside `path` with the text, which is safe on the disk."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def open_private(path: Path, mode: str) -> IO[Any]:
    """`open` for a file that, if it is made now, is made for its owner alone. Follows no symlink."""
    return open(path, mode, opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def file_signature(path: Path) -> tuple[int, int, int] | None:
    """Return what differs once a file has been written, replaced, or its symlink moved. Costs one `stat`.

    None for a file that is missing or cannot be looked at; who reads it learns why.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
