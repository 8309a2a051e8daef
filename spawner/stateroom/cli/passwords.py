"""How a password comes in and goes out: never through a log, never shown twice."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from stateroom.accounts import LONGEST_PASSWORD, check_password
from stateroom.errors import SetupError
from stateroom.files import open_private


def on_terminal() -> bool:
    """Whether a person reads what is printed. Not rich's word, which a variable may force."""
    return sys.stdout.isatty()


def read_password() -> str:
    """The password in the first line of standard input. Raises SetupError for one that will not do."""
    line = sys.stdin.readline(LONGEST_PASSWORD + 2).rstrip("\r\n")
    check_password(line)
    return line


def ask_password() -> str:
    """A password typed twice, or "" if one shall be made. Raises SetupError for one that will not do."""
    password = getpass.getpass("Password (empty to have one made): ")
    if password:
        check_password(password)
        if getpass.getpass("Once more: ") != password:
            raise SetupError("The two passwords differ. Run the command again.")
    return password


def text_of(passwords: Mapping[str, str]) -> str:
    """Names and passwords in two columns."""
    width = max(map(len, passwords))
    return "".join(f"{name:{width}}  {password}\n" for name, password in passwords.items())


def write_passwords(passwords: Mapping[str, str], path: Path) -> None:
    """Write the file for its owner alone; it must not be there yet."""
    with open_private(path, "x") as file:
        file.write(text_of(passwords))


def write_password(name: str, password: str, folder: Path) -> Path:
    """Write a new file in `folder` for its owner alone; its path."""
    descriptor, path = tempfile.mkstemp(prefix="password-", suffix=".txt", dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text_of({name: password}))
    return Path(path)
