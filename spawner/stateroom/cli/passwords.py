"""Reads passwords: never through a log, never shown."""

from __future__ import annotations

import getpass
import sys

from stateroom.common.errors import SetupError
from stateroom.operations.accounts import LONGEST_PASSWORD, check_password


def on_terminal() -> bool:
    """Return whether a person reads the output. rich's own answer can be overridden by a variable."""
    return sys.stdout.isatty()


def read_password() -> str:
    """Read a password from the first line of standard input. Raises SetupError if it is invalid."""
    line = sys.stdin.readline(LONGEST_PASSWORD + 2).rstrip("\r\n")
    check_password(line)
    return line


def ask_password() -> str:
    """Ask for a password twice. Returns "" if one is to be generated. Raises SetupError if it is invalid."""
    password = getpass.getpass("Password (empty to have one made): ")
    if password:
        check_password(password)
        if getpass.getpass("Once more: ") != password:
            raise SetupError("The two passwords differ. Run the command again.")
    return password
