"""Words for sentences: values as they may stand in one, lists, and what was probably meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

# A longer text is cut: whoever sent it knows the rest.
_LONGEST = 32
_LONGEST_NAME = 64
_LONGEST_SENTENCE = 200
_MOST_LISTED = 12
_MOST_COMPARED = 1000  # words, when the nearest is looked for
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # of a terminal: colours, and moves of the cursor
_MOST_BITS = 512  # of a number that is written out


def quoted(value: object) -> str:
    """`value` as it may stand in a sentence: short, on one line, whatever was sent."""
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "a huge number"
    text = value if isinstance(value, str) else repr(value)
    text = _visible(text[: _LONGEST + 1])
    return f'"{text[:_LONGEST]}…"' if len(text) > _LONGEST else f'"{text}"'


def shown(name: str) -> str:
    """A name as it is, or quoted where it is long or would not show."""
    return name if len(name) <= _LONGEST_NAME and name.isprintable() else quoted(name)


def printable(text: object) -> str:
    """Somebody else's text without a terminal's control sequences, and with a space for what does not show."""
    return _visible(_CONTROL.sub("", str(text)))


def clipped(text: object, most: int = _LONGEST_SENTENCE, *, keep_end: bool = False) -> str:
    """Somebody else's text on one line: printable, with single spaces, and cut where it is longer than `most` letters.

    What is left of a cut text is its beginning, or its end with `keep_end`.
    """
    line = " ".join(printable(text).split())
    if len(line) <= most:
        return line
    return f"…{line[-most:].lstrip()}" if keep_end else f"{line[:most].rstrip()}…"


def listed(words: Sequence[str]) -> str:
    """`a, b, c`; of very many only the first, and how many more there are."""
    more = len(words) - _MOST_LISTED
    return ", ".join(words[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def joined(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def counted(number: int, noun: str) -> str:
    """`1 server`, `2 servers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def nearest(word: object, known: Iterable[str]) -> str:
    """The known word that was probably meant, "" where none is near."""
    if not isinstance(word, str) or len(word) > _LONGEST_NAME:
        return ""
    by_lower = {name.lower(): name for name in islice(known, _MOST_COMPARED) if name.isprintable()}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else ""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`; did you mean "memory"?` where a known word is near, else ""."""
    near = nearest(word, known)
    return f'; did you mean "{near}"?' if near else ""


def no_such_key(word: object, known: Sequence[str]) -> str:
    """That there is none, with the one that was probably meant, or all that there are."""
    return f"there is no such key{did_you_mean(word, known) or f'; there are {joined(known)}'}"


def _visible(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
