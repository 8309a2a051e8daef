"""How Helm reads a scalar: its YAML is that of version 1.1, without times and dates."""

from __future__ import annotations

import re

_BOOLEANS = {
    word: meaning
    for meaning, words in ((True, ("y", "yes", "true", "on")), (False, ("n", "no", "false", "off")))
    for plain in words
    for word in (plain, plain.capitalize(), plain.upper())
}
_WHOLE = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WHOLE_RANGE = range(-(2**63), 2**64)  # what Helm keeps as whole numbers
_LONGEST = 64  # digits of a number that may be one of them


def as_helm_reads(text: str) -> bool | int | float | str:
    """Return the value that Helm reads from a scalar without quotes."""
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    digits = text.replace("_", "")
    if text.startswith("_"):
        return text
    if _WHOLE.fullmatch(digits) and len(digits) <= _LONGEST:
        number = _whole(digits.lower())
        return number if number in _WHOLE_RANGE else float(number)
    return float(digits.replace(".", "", 1) if digits[-1:].isalpha() else digits) if _FLOAT.fullmatch(digits) else text


def _whole(digits: str) -> int:
    octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
    return int(f"{octal[1]}0o{octal[2]}" if octal else digits, 0)
