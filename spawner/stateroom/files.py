"""Files that hold what others must not read, and that must never be seen half written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import IO, Any


def replace_file(path: Path, text: str) -> None:
    """Put a new file in place of `path`, whole or not at all, for its owner alone."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def open_private(path: Path, mode: str) -> IO[Any]:
    """`open` for a file that, if it is made now, is made for its owner alone. Follows no symlink."""
    return open(path, mode, opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def file_signature(path: Path) -> tuple[int, int, int]:
    """What differs once a file has been written, replaced, or its symlink moved. Costs one `stat`. Raises OSError."""
    status = path.stat()
    return status.st_mtime_ns, status.st_ino, status.st_size
