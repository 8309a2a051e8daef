"""A small disk, and one on which nothing is left."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str = "150M") -> Iterator[Path]:
    """Mount a disk of its own at a folder, which only root may."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", folder], check=True, timeout=60)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=60)


@contextmanager
def no_space_left(folder: Path) -> Iterator[None]:
    """Write on a disk until it is full, and again where something was removed; clear it at the end."""
    filling = folder / "filling"
    fill(filling)
    try:
        yield
    finally:
        filling.unlink()


def fill(file: Path) -> None:
    """Lengthen a file until its disk is full."""
    with file.open("ab", buffering=0) as opened, pytest.raises(OSError, match="No space left"):
        while opened.write(b"\0" * 65536) == 65536 or opened.write(b"\0"):
            pass
