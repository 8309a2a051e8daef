"""The form on the hub's start page: an allowance in, HTML out; what was posted in, options out.

The result of `render_form` goes into the hub's own `<form>`. It brings its
style and its script along, so it needs no address to fetch them from. Nothing
here decides what is allowed; `choose` does, with what `options_from_form` hands
it. The browser checks nothing either: it would hold up a named size for the
sake of a field that does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from stateroom.catalog import CUSTOM, CpuRange, Custom, Image, MemoryRange, Size
from stateroom.choice import KEYS, PROFILE, Choice
from stateroom.policy import Allowance
from stateroom.quantity import format_cpu, format_memory, gibibytes, parse_memory, quoted

_HERE = Path(__file__).parent
_OF_THE_HUB = "_xsrf"

_LONGEST = 64  # of a text shown in a field
_LONGEST_NUMBER = 8  # a longer one, such as 500 MB in GiB, reads better with another unit

_DECIMAL_COMMA = re.compile(r"([0-9]*),([0-9]+\D*)", re.ASCII)
_BARE_NUMBER = re.compile(r"[0-9.]+", re.ASCII)

_Entry = TypeVar("_Entry", Image, Size)


@dataclass(frozen=True, slots=True)
class FormState:
    """What the form shows as chosen, and what it says.

    `values` are raw texts by field and may hold anything. `errors` are sentences
    by field. Notices are sentences; the admin's are the catalog's faults.
    """

    values: Mapping[str, str]
    errors: Mapping[str, str]
    notices: tuple[str, ...]
    admin_notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _AmountField:
    """One number of the custom card, with the slider that follows it. All texts are plain numbers but `text`."""

    field: str
    unit: str
    text: str
    min: str
    max: str
    step: str
    hint: str


def render_form(allowance: Allowance, state: FormState) -> str:
    """The form's fields as HTML. Whatever the values, one image and one size are chosen."""
    shown = _shown_fields(allowance)
    return _template().render(
        images=allowance.images,
        image=_chosen(_asked_image(allowance, state), allowance.images, allowance.default_image),
        sizes=allowance.sizes,
        size=_chosen_size(allowance, state),
        custom=CUSTOM,
        amounts=_amount_fields(allowance.custom, allowance.default_size, state.values) if allowance.custom else (),
        refused=bool(state.errors),
        errors={field: text for field, text in state.errors.items() if field in shown},
        other_errors=[text for field, text in state.errors.items() if field not in shown],
        notices=(*state.notices, *_not_offered(allowance, state)),
        admin_notices=state.admin_notices,
        amounts_of=_amounts_of,
    )


def options_from_form(form: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """What was posted, as options for `choose`, which refuses what this keeps and does not know.

    CPU and memory are posted with every size, so they are dropped beside a named one.
    """
    options = {field: _single(field, posted) for field, posted in form.items() if field != _OF_THE_HUB}
    if options.get("size", CUSTOM) != CUSTOM:
        options.pop("cpu", None)
        options.pop("memory", None)
    return options


def values_from_query(query: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What a link fills in, its keys with or without the hub's `opt-`."""
    named = {key.removeprefix("opt-"): texts for key, texts in query.items() if texts}
    return {key: named[key][0].strip()[:_LONGEST] for key in KEYS if key in named}


def values_from_choice(choice: Choice) -> dict[str, str]:
    """A remembered choice, as the form shows it."""
    return {key: value for key, value in choice.as_options().items() if key != PROFILE}


def _single(field: str, posted: Sequence[Any]) -> Any:
    """The one text of a field; a list, for `choose` to refuse, where it is not one text."""
    if len(posted) != 1 or not isinstance(posted[0], str):
        return list(posted)
    text = posted[0].strip()
    if field in {"cpu", "memory"}:
        text = _with_decimal_point(text)
    return f"{text} GiB" if field == "memory" and _BARE_NUMBER.fullmatch(text) else text


def _with_decimal_point(text: str) -> str:
    comma = _DECIMAL_COMMA.fullmatch(text)
    return f"{comma[1] or '0'}.{comma[2]}" if comma else text


def _shown_fields(allowance: Allowance) -> set[str]:
    """The fields that have a place of their own for an error."""
    shown = {"size"}
    if len(allowance.images) > 1:
        shown.add("image")
    if allowance.custom:
        shown |= {"cpu", "memory"}
    return shown


def _asked_image(allowance: Allowance, state: FormState) -> str:
    return state.values.get("image", allowance.default_image.id)


def _asked_size(allowance: Allowance, state: FormState) -> str:
    """As `choose` understands it: CPU or memory without a size mean custom ones."""
    typed = "cpu" in state.values or "memory" in state.values
    return state.values.get("size", CUSTOM if typed else allowance.default_size.id)


def _chosen_size(allowance: Allowance, state: FormState) -> str:
    asked = _asked_size(allowance, state)
    if asked == CUSTOM and allowance.custom:
        return CUSTOM
    return _chosen(asked, allowance.sizes, allowance.default_size).id


def _chosen(asked: str, entries: Sequence[_Entry], default: _Entry) -> _Entry:
    return next((entry for entry in entries if entry.id == asked), default)


def _not_offered(allowance: Allowance, state: FormState) -> list[str]:
    """A sentence for what a link asks for in vain; a refused field has its own."""
    image, size = _asked_image(allowance, state), _asked_size(allowance, state)
    sizes = [entry.id for entry in allowance.sizes] + ([CUSTOM] if allowance.custom else [])
    asked = (
        ("image", image, [entry.id for entry in allowance.images], allowance.default_image),
        ("size", size, sizes, allowance.default_size),
    )
    return [
        f"The {field} {quoted(value)} is not offered to you; {default.label} is chosen instead."
        for field, value, offered, default in asked
        if value not in offered and field not in state.errors
    ]


def _amounts_of(size: Size) -> tuple[str, str]:
    return f"{format_cpu(size.cpu)} CPU", f"{format_memory(size.memory)} memory"


def _amount_fields(ranges: Custom, default: Size, values: Mapping[str, str]) -> tuple[_AmountField, _AmountField]:
    cpu = values.get("cpu", format_cpu(_nearest(default.cpu, ranges.cpu)))
    memory = values.get("memory", f"{gibibytes(_nearest(default.memory, ranges.memory))} GiB")
    return (
        _amount_field("cpu", "CPU", cpu, ranges.cpu, format_cpu),
        _amount_field("memory", "GiB memory", _memory_text(memory), ranges.memory, gibibytes),
    )


def _amount_field(
    field: str, unit: str, text: str, offered: CpuRange | MemoryRange, spelled: Callable[[int], str]
) -> _AmountField:
    least, most, step = spelled(offered.min), spelled(offered.max), spelled(offered.step)
    hint = f"{least} to {most}, in steps of {step}" if offered.min < offered.max else f"{least} only"
    return _AmountField(field, unit, text[:_LONGEST], least, most, step, hint)


def _nearest(amount: int, offered: CpuRange | MemoryRange) -> int:
    """The offered amount at or next below `amount`, else the least."""
    within = min(max(amount, offered.min), offered.max)
    return within - (within - offered.min) % offered.step


def _memory_text(text: str) -> str:
    """An amount as a number of GiB where that is short; anything else as it was typed."""
    try:
        number = gibibytes(parse_memory(text))
    except ValueError:
        return text
    return number if len(number) <= _LONGEST_NUMBER else text


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for kind in ("css", "js"):
        environment.globals[f"form_{kind}"] = (_HERE / "static" / f"form.{kind}").read_text("utf-8")
    return environment.get_template("form.html.jinja")
