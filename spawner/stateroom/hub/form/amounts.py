"""The number fields of the custom card."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stateroom.catalog.sizes import Custom, Range, Size
from stateroom.common.quantity import CPU, KINDS, MEMORY, Kind, parse_memory, short_gibibytes
from stateroom.hub.form.state import LONGEST_TEXT, FormState

_BARE_NUMBER = re.compile(r"[0-9.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class AmountField:
    """One number of the custom card, with the slider that follows it. All texts are plain numbers but `text`."""

    field: str
    unit: str
    text: str
    min: str
    max: str
    step: str
    hint: str


def amount_fields(ranges: Custom, default: Size, state: FormState) -> tuple[AmountField, ...]:
    """Return a field for each kind of resource that has a range; what was typed stands in it, else the default."""
    offered = ((kind, ranges.of(kind)) for kind in KINDS)
    return tuple(_amount_field(kind, of_kind, default, state) for kind, of_kind in offered if of_kind and of_kind.max)


def _amount_field(kind: Kind, offered: Range, default: Size, state: FormState) -> AmountField:
    at_first = offered.min if kind.optional else _nearest(kind.of(default.resources), offered)
    text = state.values.get(kind.name, kind.number(at_first))
    text = _memory_text(text) if kind is MEMORY else text
    least, most, step = kind.number(offered.min), kind.number(offered.max), kind.number(offered.step)
    hint = f"{least} to {most}, in steps of {step}" if offered.min < offered.max else f"{least} only"
    free = min([offered.max, *(limit.free for limit in state.left if limit.kind is kind)])
    there = state.machine.cpu if state.machine and kind is CPU else 0
    if 0 < there < free:
        hint += f"; the machine has {kind.number(there)}"
    elif free < offered.max:
        hint += f"; {kind.free_number(free)} left for you now"
    return AmountField(kind.name, f"{kind.unit} {kind.noun}".strip(), text[:LONGEST_TEXT], least, most, step, hint)


def _nearest(amount: int, offered: Range) -> int:
    """The offered amount at or next below `amount`, else the least."""
    within = min(max(amount, offered.min), offered.max)
    return within - (within - offered.min) % offered.step


def _memory_text(text: str) -> str:
    """An amount as a number of GiB where that is short; anything else as it was typed."""
    number = text.removesuffix("GiB").rstrip()
    if _BARE_NUMBER.fullmatch(number):
        return number
    try:
        return short_gibibytes(parse_memory(text)) or text
    except ValueError:
        return text
