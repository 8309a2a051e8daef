"""Amounts of CPU, memory and GPUs: text and numbers in, whole numbers kept, text out.

CPU is kept in thousandths of a core and memory in bytes, both whole numbers,
so that limits and steps compare exactly. This is the only unit arithmetic in
the project.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from stateroom.wording import quoted

MILLI = 1000

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
TiB = 1024 * GiB

# The short forms are Kubernetes' own, the decimal ones the SI's.
_UNITS = {
    "B": 1,
    "KIB": KiB, "MIB": MiB, "GIB": GiB, "TIB": TiB,
    "KI": KiB, "MI": MiB, "GI": GiB, "TI": TiB,
    "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
}  # fmt: skip
_BINARY = ((TiB, "TiB"), (GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB"))

# Beyond any machine; an amount above it is a slip of the finger or an attack.
_MOST_CPU = 10**6 * MILLI
_MOST_MEMORY = 1024**2 * TiB

# Longer texts than this are no amounts; it also bounds the work on hostile input.
_LONGEST = 32
_LONGEST_NUMBER = 8  # of GiB, in a field or a sentence
_TWO_DECIMALS = Decimal("0.01")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+", re.ASCII)
_MEMORY = re.compile(r"([0-9.]+)\s*([A-Za-z]+)", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Resources:
    """What one server has: thousandths of a core, bytes, whole GPUs.

    `reserved_memory` is what of its memory is kept free for it, 0 where that is not known.
    """

    cpu: int
    memory: int
    gpu: int = 0
    reserved_memory: int = 0

    def __str__(self) -> str:
        words = [f"{format_cpu(self.cpu)} CPU", format_memory(self.memory)]
        return ", ".join([*words, f"{self.gpu} GPU"] if self.gpu else words)


@dataclass(frozen=True, slots=True)
class Machine:
    """What all servers share: thousandths of a core, and bytes; 0 for what is not known."""

    cpu: int
    memory: int


def parse_cpu(value: object) -> int:
    """Read cores: 1.5, "1.5" or "1500m" are 1500 thousandths.

    Raises ValueError with a sentence for anything else: negative numbers, NaN,
    infinities, booleans, more than three decimals.
    """
    text = _text(value)
    if text is not None:
        scale = MILLI
        if text.endswith("m"):
            text, scale = text[:-1], 1
        number = _number(text) * scale
        if number.denominator == 1 and 0 <= number <= _MOST_CPU:
            return int(number)
    raise ValueError(f"{quoted(value)} is not an amount of CPU; write for example 1.5")


def parse_memory(value: object) -> int:
    """Read bytes, rounded down, from an amount with its unit: "2 GiB", "512MiB", "8Gi", "2 GB".

    Raises ValueError with a sentence for anything else, a bare number included,
    since 2 could mean bytes or GiB.
    """
    match = _MEMORY.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= _LONGEST else None
    if match:
        amount = _number(match[1]) * _UNITS.get(match[2].upper(), -1)
        if 0 <= amount <= _MOST_MEMORY:
            return int(amount)
    raise ValueError(f"{quoted(value)} is not an amount of memory; write for example 2 GiB")


def parse_count(value: object) -> int:
    """Read a whole number, such as one of GPUs: 2 or "2".

    Raises ValueError with a sentence for anything else.
    """
    text = _text(value)
    if text is not None and _COUNT.fullmatch(text):
        return int(text)
    raise ValueError(f"{quoted(value)} is not a whole number; write for example 1")


def format_cpu(milli: int) -> str:
    """`1500` -> "1.5"."""
    return format((Decimal(milli) / MILLI).normalize(), "f")


def format_memory(amount: int) -> str:
    """`3221225472` -> "3 GiB", to two decimals, for people."""
    return _memory_text(amount, ROUND_HALF_EVEN)


def format_free_memory(amount: int) -> str:
    """As `format_memory`, but never more than there is, so that what it names may be asked for."""
    return _memory_text(amount, ROUND_DOWN)


def format_memory_exactly(amount: int) -> str:
    """Memory as text that parses to the same bytes, for what is stored."""
    text = format_memory(amount)
    return text if parse_memory(text) == amount else f"{amount} B"


def gibibytes(amount: int) -> str:
    """Bytes as a plain number of GiB, for a number field: `536870912` -> "0.5"."""
    return _plain(Decimal(amount) / GiB)


def free_gibibytes(amount: int) -> str:
    """`gibibytes` to two decimals, and never more than there is."""
    return _plain((Decimal(amount) / GiB).quantize(_TWO_DECIMALS, ROUND_DOWN))


def short_gibibytes(amount: int) -> str:
    """`gibibytes` where that is short, else "": 500 MB reads better with another unit."""
    number = gibibytes(amount)
    return number if len(number) <= _LONGEST_NUMBER else ""


# How each kind of what is limited is written.
SPELLED: Mapping[str, Callable[[int], str]] = {"servers": str, "cpu": format_cpu, "memory": format_memory, "gpu": str}


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    text = value.strip() if isinstance(value, str) else str(value) if abs(value) < TiB else ""
    return text if 0 < len(text) <= _LONGEST else None


def _number(text: str) -> Fraction:
    """The number exactly, a negative one for what is none."""
    return Fraction(text) if _NUMBER.fullmatch(text) else Fraction(-1)


def _memory_text(amount: int, rounding: str) -> str:
    for unit, name in _BINARY:
        if amount >= unit:
            return f"{_plain((Decimal(amount) / unit).quantize(_TWO_DECIMALS, rounding))} {name}"
    return f"{amount} B"


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
