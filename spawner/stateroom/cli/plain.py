"""Text for a terminal, of which a part may be anybody's: an image's labels, a name, an engine's words."""

from __future__ import annotations

import sys

from stateroom.common.text import printable


def plain(text: str) -> str:
    """Return the lines of a text without what a terminal would obey."""
    return "\n".join(map(printable, text.split("\n")))


def print_plain(text: str, *, error: bool = False) -> None:
    """Print a text as it is, for a person or a program to read."""
    print(plain(text), file=sys.stderr if error else sys.stdout, flush=True)
