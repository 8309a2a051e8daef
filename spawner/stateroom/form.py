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
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from stateroom.catalog import CUSTOM, CpuRange, Custom, GpuRange, Image, MemoryRange, Size
from stateroom.choice import AMOUNTS, KEYS, PROFILE, Choice
from stateroom.policy import Allowance
from stateroom.quantity import (
    Machine,
    Resources,
    format_cpu,
    format_free_memory,
    format_memory,
    free_gibibytes,
    gibibytes,
    parse_memory,
    short_gibibytes,
)
from stateroom.quota import Left, server_title
from stateroom.wording import joined, listed, quoted

_HERE = Path(__file__).parent
_OF_THE_HUB = "_xsrf"

_MOST_IN_SIGHT = 12  # cards of one kind; of more, the rest is folded away
_IN_SIGHT = 9  # three rows of three

_LONGEST = 64  # of a text shown in a field

_DECIMAL_COMMA = re.compile(r"([0-9]*),([0-9]+\D*)", re.ASCII)
_BARE_NUMBER = re.compile(r"[0-9.]+", re.ASCII)

_Entry = TypeVar("_Entry", Image, Size)


@dataclass(frozen=True, slots=True)
class FormState:
    """What the form shows as chosen, and what it says.

    `values` are raw texts by field and may hold anything. `errors` are sentences
    by field. Notices are sentences; the admin's are the catalog's faults. `left`
    is what the user may still start, on this machine if there is one.
    """

    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    admin_notices: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()
    machine: Machine | None = None


@dataclass(frozen=True, slots=True)
class _Card:
    """A radio button with what is said about it. `images` are the ids of the only images that it goes with."""

    value: str
    title: str
    description: str
    chosen: bool
    default: bool
    amounts: tuple[str, ...] = ()
    badge: str = ""
    notes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Cards:
    """All cards of one kind: those in sight, and those folded away where there are very many."""

    in_sight: list[_Card]
    folded: list[_Card]


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
    amounts = _amount_fields(allowance.custom, allowance.default_size, state) if allowance.custom else ()
    images, sizes = _image_cards(allowance, state), _size_cards(allowance, state)
    # The fields that have a place of their own for an error, in their order.
    shown = [*(["image"] if len(images) > 1 else []), "size", *(amount.field for amount in amounts)]
    return _template().render(
        images=_folded(images),
        sizes=_folded(sizes),
        custom=CUSTOM,
        custom_chosen=_chosen_size(allowance, state) == CUSTOM,
        custom_description=f"Set {joined([amount.unit.removeprefix('GiB ') for amount in amounts])} yourself",
        amounts=amounts,
        refused=bool(state.errors),
        errors={field: text for field, text in state.errors.items() if field in shown},
        focus=next((field for field in shown if field in state.errors), ""),
        other_errors=[text for field, text in state.errors.items() if field not in shown],
        notices=(*state.notices, *_not_offered(allowance, state)),
        admin_notices=state.admin_notices,
        warnings=_nothing_left(allowance, state) if "quota" not in state.errors else [],
        left=[*_left_lines(state.left), *_left_on_machine(allowance, state.left)],
    )


def options_from_form(form: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """What was posted, as options for `choose`, which refuses what this keeps and does not know.

    The amounts are posted with every size, so they are dropped beside a named one.
    """
    options = {field: _single(field, posted) for field, posted in form.items() if field != _OF_THE_HUB}
    if options.get("size", CUSTOM) != CUSTOM:
        for amount in AMOUNTS:
            options.pop(amount, None)
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


# What is chosen


def _asked_image(allowance: Allowance, state: FormState) -> str:
    return state.values.get("image", allowance.default_image.id)


def _asked_size(allowance: Allowance, state: FormState) -> str:
    """As `choose` understands it: an amount without a size means custom ones."""
    typed = any(amount in state.values for amount in AMOUNTS)
    return state.values.get("size", CUSTOM if typed else allowance.default_size.id)


def _chosen_image(allowance: Allowance, state: FormState) -> Image:
    asked = _asked_image(allowance, state)
    successor = allowance.successors.get(asked)
    return successor or _chosen(asked, allowance.images, allowance.default_image)


def _chosen_size(allowance: Allowance, state: FormState) -> str:
    asked = _asked_size(allowance, state)
    if asked == CUSTOM and allowance.custom:
        return CUSTOM
    return _chosen(asked, _shown_sizes(allowance, state), allowance.default_size).id


def _shown_images(allowance: Allowance, state: FormState) -> list[Image]:
    """A hidden one is shown to whoever chose it."""
    chosen = _chosen_image(allowance, state)
    return [image for image in allowance.images if not image.hidden or image is chosen]


def _shown_sizes(allowance: Allowance, state: FormState) -> list[Size]:
    """Not those that go with none of the images shown."""
    shown = {image.id for image in _shown_images(allowance, state)}
    return [size for size in allowance.sizes if not size.images or shown.intersection(size.images)]


def _chosen(asked: str, entries: Sequence[_Entry], default: _Entry) -> _Entry:
    return next((entry for entry in entries if entry.id == asked), default)


# What is said


def _not_offered(allowance: Allowance, state: FormState) -> list[str]:
    """A sentence for what a link asks for in vain; a refused field has its own."""
    sizes = [entry.id for entry in _shown_sizes(allowance, state)] + ([CUSTOM] if allowance.custom else [])
    image, size = _asked_image(allowance, state), _asked_size(allowance, state)
    instead = _chosen_image(allowance, state)
    gone = "was replaced" if image in allowance.successors else "is not offered to you"
    asked = (
        ("image", image, [entry.id for entry in allowance.images], gone, instead),
        ("size", size, sizes, "is not offered to you", allowance.default_size),
    )
    return [
        f"The {field} {quoted(value)} {reason}; {_isolated(chosen.label)} is chosen instead."
        for field, value, offered, reason, chosen in asked
        if value not in offered and field not in state.errors
    ]


def _image_cards(allowance: Allowance, state: FormState) -> list[_Card]:
    chosen = _chosen_image(allowance, state)
    shown = _shown_images(allowance, state)
    return [
        _Card(
            image.id,
            image.label,
            image.description,
            chosen=image is chosen,
            default=image.default,
            badge="Deprecated" if image.deprecated else "",
            notes=_farewell(image, shown) if image.deprecated else (),
        )
        for image in shown
    ]


def _farewell(image: Image, shown: Sequence[Image]) -> tuple[str, ...]:
    successor = next((other for other in shown if other.id == image.replaced_by), None)
    return (image.deprecated, f"Use {_isolated(successor.label)} instead.") if successor else (image.deprecated,)


def _size_cards(allowance: Allowance, state: FormState) -> list[_Card]:
    chosen = _chosen_size(allowance, state)
    titles = {image.id: _isolated(image.label) for image in _shown_images(allowance, state)}
    cards = []
    for size in _shown_sizes(allowance, state):
        images = [image for image in size.images if image in titles]
        notes = [f"Only with {listed([titles[image] for image in images])}"] if images else []
        notes += _too_large(size.resources, state)
        cards.append(
            _Card(
                size.id,
                size.label,
                size.description,
                chosen=size.id == chosen,
                default=size.default,
                amounts=_amounts_of(size.resources),
                notes=tuple(notes),
                images=tuple(images),
            )
        )
    return cards


def _amounts_of(resources: Resources) -> tuple[str, ...]:
    gpus = (f"{resources.gpu} GPU",) if resources.gpu else ()
    return (f"{format_cpu(resources.cpu)} CPU", f"{format_memory(resources.memory)} memory", *gpus)


def _folded(cards: Sequence[_Card]) -> _Cards:
    """The first cards are in sight; the chosen one and the default always are."""
    if len(cards) <= _MOST_IN_SIGHT:
        return _Cards([*cards], [])
    others = [card.value for card in cards if not card.chosen and not card.default]
    folded = set(others[_IN_SIGHT - (len(cards) - len(others)) :])
    return _Cards(
        [card for card in cards if card.value not in folded], [card for card in cards if card.value in folded]
    )


def _isolated(text: str) -> str:
    """A title as it may stand in a sentence: its direction, when it is another one, ends with it."""
    return text if text.isascii() else f"\u2068{text}\u2069"


def _too_large(resources: Resources, state: FormState) -> list[str]:
    """Of what a server would take too much; that there may be none at all is said on top."""
    notes = []
    if state.machine and 0 < state.machine.cpu < resources.cpu:
        notes.append(f"The machine has {format_cpu(state.machine.cpu)} CPU")
    if any(limit.machine and resources.memory > limit.limit for limit in state.left):
        return [*notes, "More memory than the machine has for servers"]
    exceeds = any(limit.kind.of(resources) > limit.free for limit in state.left if limit.kind.name != "servers")
    return [*notes, "More than is left for you now"] if exceeds else notes


def _nothing_left(allowance: Allowance, state: FormState) -> list[str]:
    least = min(_memory_offered(allowance))
    full = any(limit.machine and limit.free < least for limit in state.left)
    return _no_servers_left(state) + (
        ["The machine has too little memory left for another server. Wait until somebody stops one."] if full else []
    )


def _no_servers_left(state: FormState) -> list[str]:
    return [
        f"Members of {_isolated(limit.of)} run as many servers as they may. Wait until somebody stops one."
        if limit.of
        else "You run as many servers as you may. Stop one on your home page to start another."
        for limit in state.left
        if limit.kind.name == "servers" and not limit.free
    ]


def _left_lines(left: Sequence[Left]) -> list[str]:
    """What may still be started: a line for the user, one for each group whose total leaves less than that."""
    left = [limit for limit in left if not limit.machine]
    own = {limit.kind: limit.free for limit in left if not limit.of}
    lines = []
    for whose in dict.fromkeys(limit.of for limit in left):
        # A limit of none is no news to anybody.
        limits = [limit for limit in left if limit.of == whose and limit.limit]
        if whose:
            limits = [limit for limit in limits if limit.kind not in own or limit.free < own[limit.kind]]
        words = joined([_left_words(limit) for limit in limits])
        running = {_isolated(server_title(ref)) for limit in limits for ref, _ in limit.holders}
        use = f" Running: {listed(sorted(running))}." if running else ""
        if words:
            lines.append(f"Left for {f'all members of {_isolated(whose)} together' if whose else 'you'}: {words}.{use}")
    return lines


def _left_on_machine(allowance: Allowance, left: Sequence[Left]) -> list[str]:
    """What the machine has left, where that may be in the user's way."""
    limits = [limit.free for limit in left if limit.kind.name == "memory" and not limit.machine]
    most = min([*limits, max(_memory_offered(allowance))])
    return [f"Left on the machine: {_left_words(limit)}." for limit in left if limit.machine and limit.free < most]


def _memory_offered(allowance: Allowance) -> list[int]:
    """The ends of what may be chosen."""
    ends = [allowance.custom.memory.min, allowance.custom.memory.max] if allowance.custom else []
    return [*ends, *(size.memory for size in allowance.sizes)]


def _left_words(limit: Left) -> str:
    """`6 of 8 CPU`; `8 CPU` where nothing of it is used."""
    memory = limit.kind.name == "memory"
    # Of a machine's memory, which is no round number, never more than there is.
    total = f"{format_free_memory(limit.limit)} memory" if memory else limit.kind.spelled(limit.limit)
    if not limit.used:
        return total
    free = format_free_memory(limit.free) if memory else limit.kind.spelled(limit.free).partition(" ")[0]
    return f"{free} of {total}"


# The custom card


def _amount_fields(ranges: Custom, default: Size, state: FormState) -> tuple[_AmountField, ...]:
    cpu = format_cpu(_nearest(default.cpu, ranges.cpu))
    memory = f"{gibibytes(_nearest(default.memory, ranges.memory))} GiB"
    fields = (
        _amount_field("CPU", ranges.cpu, format_cpu, _typed("cpu", cpu, state)),
        _amount_field("GiB memory", ranges.memory, gibibytes, _typed("memory", memory, state)),
    )
    if not ranges.gpu or not ranges.gpu.max:
        return fields
    return (*fields, _amount_field("GPU", ranges.gpu, str, _typed("gpu", str(ranges.gpu.min), state)))


@dataclass(frozen=True, slots=True)
class _Typed:
    """What stands in a field, how much of its kind may still be started, if that is limited, and what there is."""

    field: str
    text: str
    free: int | None
    there: int = 0


def _typed(field: str, at_first: str, state: FormState) -> _Typed:
    free = min([limit.free for limit in state.left if limit.kind.name == field], default=None)
    there = state.machine.cpu if state.machine and field == "cpu" else 0
    return _Typed(field, state.values.get(field, at_first), free, there)


def _amount_field(
    unit: str, offered: CpuRange | MemoryRange | GpuRange, spelled: Callable[[int], str], typed: _Typed
) -> _AmountField:
    text = _memory_text(typed.text) if typed.field == "memory" else typed.text
    least, most, step = spelled(offered.min), spelled(offered.max), spelled(offered.step)
    hint = f"{least} to {most}, in steps of {step}" if offered.min < offered.max else f"{least} only"
    free = offered.max if typed.free is None else min(typed.free, offered.max)
    if 0 < typed.there < free:
        hint += f"; the machine has {spelled(typed.there)}"
    elif free < offered.max:
        hint += f"; {free_gibibytes(free) if typed.field == 'memory' else spelled(free)} left for you now"
    return _AmountField(typed.field, unit, text[:_LONGEST], least, most, step, hint)


def _nearest(amount: int, offered: CpuRange | MemoryRange) -> int:
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
