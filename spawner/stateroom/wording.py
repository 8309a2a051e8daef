"""Words for sentences: values as they may stand in one, lists, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

# A longer text is cut: whoever sent it knows the rest.
_LONGEST = 32
_MOST_LISTED = 12


def quoted(value: object) -> str:
    """`value` as it may stand in a sentence: short, on one line, whatever was sent."""
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Mapping):
        return "an object"
    text = value if isinstance(value, str) else repr(value)
    text = "".join(letter if letter.isprintable() else " " for letter in text[: _LONGEST + 1])
    return f'"{text[:_LONGEST]}…"' if len(text) > _LONGEST else f'"{text}"'


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
    if not isinstance(word, str) or len(word) > 2 * _LONGEST:
        return ""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else ""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """`; did you mean "memory"?` where a known word is near, else ""."""
    near = nearest(word, known)
    return f'; did you mean "{near}"?' if near else ""
