"""Finds names that people take for another one, since letters of several alphabets look the same.

After Unicode's report 39: a name is of one script, and none looks like another as
a whole. The letters are those small ones of the Greek, Cyrillic and Armenian
scripts that common fonts draw as Latin ones.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_LATIN = {
    **dict(zip("аеорсухѕіјһԁԛԝѵгпкмтн", "aeopcyxsijhdqwvrnkmth", strict=True)),
    **dict(zip("ανορυικτχγ", "avopuiktxy", strict=True)),
    **dict(zip("օսոհցզıɑɡ", "ounhgqiag", strict=True)),  # noqa: RUF001 - the point of it
}
# Scripts whose letters are not taken for those of others, and which one name may mix as languages do.
_TOGETHER = {"HIRAGANA": "HAN", "KATAKANA": "HAN", "CJK": "HAN", "HANGUL": "HAN", "BOPOMOFO": "HAN"}
_OFTEN_CONFUSED = frozenset({"LATIN", "GREEK", "CYRILLIC", "ARMENIAN"})


def scripts(name: str) -> list[str]:
    """Return the scripts of the letters of a name, as Unicode calls them, in order."""
    found = {unicodedata.name(letter, "?").split()[0] for letter in name if letter.isalpha()}
    return sorted({_TOGETHER.get(script, script) for script in found})


def is_mixed(name: str) -> bool:
    """Return whether a name has letters of scripts that are taken for one another."""
    return len(_OFTEN_CONFUSED.intersection(scripts(name))) > 1


def look_alike(name: str, others: Iterable[str]) -> str | None:
    """Return the other name that looks like this one, and is not the same; None if there is none."""
    looks = _skeleton(name)
    return next((other for other in others if other != name and _skeleton(other) == looks), None)


def _skeleton(name: str) -> str:
    return "".join(_LATIN.get(letter, letter) for letter in unicodedata.normalize("NFKC", name))
