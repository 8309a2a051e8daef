"""Files with new passwords, where there is no terminal to show them on. A password goes at the first login with it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stateroom.common.files import open_private, replace_file

FIRST = "first-passwords.txt"
_LATER = "password-"


def text_of(passwords: Mapping[str, str]) -> str:
    """Format names and passwords in two columns."""
    width = max(map(len, passwords))
    return "".join(f"{name:{width}}  {password}\n" for name, password in passwords.items())


def write_passwords(passwords: Mapping[str, str], path: Path) -> None:
    """Write a file that only its owner can read. It must not exist yet."""
    with open_private(path, "x") as file:
        file.write(text_of(passwords))


def write_password(name: str, password: str, folder: Path) -> Path:
    """Write a new file in `folder` that only its owner can read. Returns its path."""
    descriptor, path = tempfile.mkstemp(prefix=_LATER, suffix=".txt", dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text_of({name: password}))
    return Path(path)


def remove_password(name: str, folder: Path) -> None:
    """Remove somebody's password from the files in `folder`, and a file with the last one in it. Raises OSError."""
    for path in (folder / FIRST, *folder.glob(f"{_LATER}*.txt")):
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            continue
        left = [line for line in lines if line.split()[:1] != [name]]
        if not left:
            path.unlink(missing_ok=True)
        elif left != lines:
            replace_file(path, "".join(left))
