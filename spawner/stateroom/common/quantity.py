"""Amounts of CPU, memory, GPUs and time: text and numbers in, whole numbers kept, text out.

`KINDS` is the one table of the kinds of resources.

CPU is kept in thousandths of a core and memory in bytes, both whole numbers,
so that limits and steps compare exactly. This is the only unit arithmetic in
the project.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from stateroom.common.text import counted, quoted

MILLI = 1000

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB
TiB = 1024 * GiB

MB = 1000 * 1000
_GB = 1000 * MB

MINUTE = 60
HOUR = 60 * MINUTE
_DAY = 24 * HOUR
_MINUTE_AND_A_HALF = 1.5 * MINUTE

# The short forms are Kubernetes' own, the decimal ones the SI's.
_UNITS = {
    "B": 1,
    "KIB": KiB, "MIB": MiB, "GIB": GiB, "TIB": TiB,
    "KI": KiB, "MI": MiB, "GI": GiB, "TI": TiB,
    "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4,
}  # fmt: skip
_KUBERNETES_SUFFIXES: Mapping[str, Fraction | int] = {
    "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": 1,
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
_BINARY = ((TiB, "TiB"), (GiB, "GiB"), (MiB, "MiB"), (KiB, "KiB"))

# Beyond any machine; an amount above it is a slip of the finger or an attack.
_MOST_CPU = 10**6 * MILLI
_MOST_MEMORY = 1024**2 * TiB

_MOST_SECONDS = 1e9  # which is thirty years

# Longer texts than this are no amounts; it also bounds the work on hostile input.
_LONGEST = 32
_LONGEST_NUMBER = 8  # of GiB, in a field or a sentence
_TWO_DECIMALS = Decimal("0.01")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+", re.ASCII)
_MEMORY = re.compile(r"([0-9.]+)\s*([A-Za-z]+)", re.ASCII)
_KUBERNETES_QUANTITY = re.compile(r"([0-9.]+)(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?[0-9]{1,2}))?", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(s|sec|min|h)", re.ASCII)
_SECONDS = {"s": 1, "sec": 1, "min": MINUTE, "h": HOUR}
_COUNT = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Resources:
    """What one server has: thousandths of a core, bytes, whole GPUs.

    `memory_guarantee` is the part of its memory that it always has, 0 where that is not known.
    `cpu_guarantee` only says what to ask an engine for: no engine is asked for it again.
    """

    cpu: int
    memory: int
    gpu: int = 0
    memory_guarantee: int = 0
    cpu_guarantee: int = field(default=0, compare=False)

    def guaranteed(self, cpu: float, memory: float) -> Resources:
        """Return the resources with these shares of them, from 0 to 1, guaranteed to the server."""
        return replace(self, cpu_guarantee=int(self.cpu * cpu), memory_guarantee=int(self.memory * memory))

    @property
    def servers(self) -> int:
        """The server that has them is one."""
        return 1

    def __str__(self) -> str:
        return ", ".join(kind.short(kind.of(self)) for kind in KINDS if kind.of(self) or not kind.optional)


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


def parse_kubernetes_quantity(text: str) -> Fraction | None:
    """Read a quantity as Kubernetes writes it: "500m", "3Gi", "128M", "129e6"; None for anything else."""
    match = _KUBERNETES_QUANTITY.fullmatch(text) if len(text) <= _LONGEST else None
    number = _number(match[1]) if match else Fraction(-1)
    if match is None or number < 0:
        return None
    return number * (Fraction(10) ** int(match[3]) if match[3] else _KUBERNETES_SUFFIXES[match[2] or ""])


def parse_count(value: object) -> int:
    """Read a whole number, such as one of GPUs: 2 or "2".

    Raises ValueError with a sentence for anything else.
    """
    text = _text(value)
    if text is not None and _COUNT.fullmatch(text):
        return int(text)
    raise ValueError(f"{quoted(value)} is not a whole number; write for example 1")


def parse_duration(value: object) -> float:
    """Read seconds from "90 s", "2 min" or "8 h". Raises ValueError with a sentence for anything else."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{quoted(value)} is not a length of time; write for example 2 min")
    seconds = float(Decimal(match[1]) * _SECONDS[match[2]])
    if seconds >= _MOST_SECONDS:
        raise ValueError(f"{quoted(value)} is too long a time; leave it out for no end")
    return seconds


def format_duration(seconds: float) -> str:
    """`28800.0` -> "8 h", in a form that `parse_duration` reads back exactly."""
    exact = Decimal(repr(seconds))
    for name, length in (("h", HOUR), ("min", MINUTE)):
        if exact >= length and exact % length == 0:
            return f"{_without_zeros(exact / length)} {name}"
    return f"{_without_zeros(exact)} s"


def format_age(seconds: float) -> str:
    """`93784.2` -> "1 d": whole days, hours, minutes or seconds, whichever is the largest that there is one of."""
    for name, length in (("d", _DAY), ("h", HOUR), ("min", MINUTE)):
        if seconds >= length:
            return f"{int(seconds // length)} {name}"
    return f"{int(seconds)} s"


def format_time_left(seconds: float) -> str:
    """`41` -> "about 50 s left", `95` -> "about 2 min left": as roughly as a time that is left is known."""
    if seconds >= _MINUTE_AND_A_HALF:
        return f"about {seconds / MINUTE:.0f} min left"
    return f"about {math.ceil(seconds / 10) * 10} s left" if seconds > 0 else "soon done"


def format_milliseconds(seconds: float) -> str:
    """`0.0123` -> "12 ms"."""
    return f"{seconds * 1000:.0f} ms"


def whole_cores(milli: int) -> int:
    """Return the number of cores that hold this CPU, rounded up."""
    return -(-milli // MILLI)


def milli_from(measure: int, one_core: int) -> int:
    """Return the CPU that an engine's measure stands for, where a whole core is `one_core` in it."""
    return measure * MILLI // one_core


def for_cores(milli: int, one_core: int) -> int:
    """Return what an engine's measure makes of this CPU, where a whole core is `one_core` in it."""
    return milli * one_core // MILLI


def format_kubernetes_bytes(amount: int) -> str:
    """Bytes as Kubernetes itself writes them, which come back in its messages on quotas: 3 GiB -> "3072Mi"."""
    return f"{amount // MiB}Mi" if amount % MiB == 0 else str(amount)


def format_image_size(amount: int) -> str:
    """`795845231` -> "796 MB": powers of ten, as engines and registries count images."""
    return f"{amount / _GB:.2f} GB" if amount >= _GB else f"{amount / MB:.0f} MB"


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
    return _without_zeros(Decimal(amount) / GiB)


def free_gibibytes(amount: int) -> str:
    """`gibibytes` to two decimals, and never more than there is."""
    return _without_zeros((Decimal(amount) / GiB).quantize(_TWO_DECIMALS, ROUND_DOWN))


def short_gibibytes(amount: int) -> str:
    """`gibibytes` where that is short, else "": 500 MB reads better with another unit."""
    number = gibibytes(amount)
    return number if len(number) <= _LONGEST_NUMBER else ""


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
            return f"{_without_zeros((Decimal(amount) / unit).quantize(_TWO_DECIMALS, rounding))} {name}"
    return f"{amount} B"


def _without_zeros(number: Decimal) -> str:
    return format(number.normalize(), "f")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource: its name in catalog, options and labels, and how amounts of it are read and written.

    A server has none of an `optional` kind unless its user asks for it.
    `variable` is the kind's prefix in the names of JupyterHub's variables.
    `unit` is that of `number`, where amounts have one.
    """

    name: str
    noun: str
    variable: str
    parse: Callable[[object], int]
    text: Callable[[int], str]
    optional: bool = False
    unit: str = ""

    def of(self, resources: Resources) -> int:
        """Return how much of this kind there is in `resources`."""
        amount: int = getattr(resources, self.name)
        return amount

    @property
    def title(self) -> str:
        """The noun as it begins a line."""
        return self.noun[:1].upper() + self.noun[1:]

    def named(self, text: str) -> str:
        """Return an amount with its kind, as in a sentence: "1.5" -> "1.5 CPU"."""
        return f"{text} {self.noun}"

    def spelled(self, amount: int) -> str:
        """Return the amount with its kind, as in a sentence."""
        return self.named(self.text(amount))

    def labelled(self, amount: int) -> str:
        """Return the amount with its kind, as on a label."""
        return f"{self.text(amount)} {self.noun}"

    def short(self, amount: int) -> str:
        """Return the amount as in a list of several kinds."""
        return self.labelled(amount)

    def exactly(self, amount: int) -> str:
        """Return the amount as text that is read as the same amount again."""
        return self.text(amount)

    def json(self, amount: int) -> object:
        """Return the amount as a JSON value that is read as the same amount again."""
        return amount

    def in_variable(self, amount: int) -> str:
        """Return the amount as JupyterHub's variables have it."""
        return self.text(amount)

    def number(self, amount: int) -> str:
        """Return the amount as a number of `unit`, for a field."""
        return self.text(amount)

    def free_text(self, amount: int) -> str:
        """Return the amount as `text` does, but never more than there is."""
        return self.text(amount)

    def free_number(self, amount: int) -> str:
        """Return the amount as `number` does, but never more than there is."""
        return self.number(amount)


class _Cpu(Kind):
    def json(self, amount: int) -> object:
        return amount / MILLI


class _Memory(Kind):
    def named(self, text: str) -> str:
        return f"{text} of memory"

    def short(self, amount: int) -> str:
        return self.text(amount)

    def exactly(self, amount: int) -> str:
        return format_memory_exactly(amount)

    def json(self, amount: int) -> object:
        return format_memory_exactly(amount)

    def in_variable(self, amount: int) -> str:
        return str(amount)

    def number(self, amount: int) -> str:
        return gibibytes(amount)

    def free_text(self, amount: int) -> str:
        return format_free_memory(amount)

    def free_number(self, amount: int) -> str:
        return free_gibibytes(amount)


class _Servers(Kind):
    def spelled(self, amount: int) -> str:
        return counted(amount, "server")


CPU = _Cpu("cpu", "CPU", "CPU", parse_cpu, format_cpu)
MEMORY = _Memory("memory", "memory", "MEM", parse_memory, format_memory, unit="GiB")
GPU = Kind("gpu", "GPU", "GPU", parse_count, str, optional=True)

# Every kind of resource. Another one is a row here, a field of `Resources`, and keys of the catalog (`catalog.sizes`).
KINDS: tuple[Kind, ...] = (CPU, MEMORY, GPU)

# Every kind that a quota can limit.
LIMITED: tuple[Kind, ...] = (_Servers("servers", "servers", "", parse_count, str), *KINDS)
