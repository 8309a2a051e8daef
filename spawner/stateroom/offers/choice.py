"""What the user asked for, valid under the allowance.

The one gate for every way in: the form, the REST API, a remembered choice at a
later start. Values are hostile until `choose` has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from stateroom.catalog.images import Image
from stateroom.catalog.sizes import CUSTOM, Custom, GpuRange, Range, Size
from stateroom.common.errors import ChoiceRefused
from stateroom.common.quantity import KINDS, MEMORY, Kind, Resources, short_gibibytes
from stateroom.common.text import listed, nearest, quoted
from stateroom.offers.allowance import Allowance

AMOUNTS = tuple(kind.name for kind in KINDS)
KEYS = ("image", "size", *AMOUNTS)
_MOST_UNKNOWN = 5  # keys that a refusal names; whoever sent more knows what is wrong
_RESOURCES = {"size", *AMOUNTS}  # one without the others means something else
PROFILE = "profile"  # written for the hub's admin page, ignored on input

_Entry = TypeVar("_Entry", Image, Size)


@dataclass(frozen=True, slots=True)
class Choice:
    """An image, and what the server will have; `size` is None for custom amounts."""

    image: Image
    size: Size | None
    resources: Resources

    @property
    def profile(self) -> str:
        """The choice in a few words, for people."""
        return f"{self.size.label if self.size else 'Custom'}: {self.resources}, {self.image.label}"

    def as_options(self) -> dict[str, Any]:
        """JSON-ready options that `choose` turns into this choice again."""
        options: dict[str, Any] = {"image": self.image.id, "size": self.size.id if self.size else CUSTOM}
        if self.size is None:
            amounts = {kind: kind.of(self.resources) for kind in KINDS}
            options |= {kind.name: kind.exactly(amount) for kind, amount in amounts.items() if amount}
        return options | {PROFILE: self.profile}


@dataclass(frozen=True, slots=True)
class Recalled:
    """A remembered choice seen through today's catalog; `notice` says what had to change, if anything."""

    choice: Choice
    notice: str = ""


def choose(options: Mapping[str, Any], allowance: Allowance) -> Choice:
    """Check `options` and fill in the defaults; an empty mapping means the defaults exactly.

    Custom CPU or memory left out is the default size's; GPUs left out are the
    fewest. Raises ChoiceRefused with one sentence for each field at fault.
    """
    faults = _unknown_keys(options)
    image = _unless_refused(lambda: _image(options, allowance), faults)
    sized = _unless_refused(lambda: _resources(options, allowance), faults)
    if image and sized and (size := sized[0]) and size.images and image.id not in size.images:
        faults["size"] = _only_with(size, allowance)
    if faults or image is None or sized is None:
        raise ChoiceRefused(faults)
    return Choice(image, *sized)


def recall(options: Mapping[str, Any], allowance: Allowance) -> Recalled:
    """A choice accepted earlier, checked again.

    A replaced image gives way to its successor, what else is no longer offered
    to the default.
    """
    kept = dict(options)
    notices: list[str] = []
    successor = allowance.successors.get(str(kept.get("image")))
    if successor:
        notices.append(f"The image {quoted(kept['image'])} was replaced; {successor.label} is used instead.")
        kept["image"] = successor.id
    while True:
        try:
            return Recalled(choose(kept, allowance), " ".join(notices))
        except ChoiceRefused as refused:
            notices += _given_up(kept, refused, allowance)
            gone = set(refused.fields)
            if gone & _RESOURCES:
                gone |= _RESOURCES
            kept = {key: value for key, value in kept.items() if key not in gone}


def larger(choice: Choice, allowance: Allowance) -> Choice | None:
    """What has more memory and not less of anything else: the next size, or for custom amounts twice the memory."""
    has = choice.resources
    if choice.size is None and allowance.custom:
        offered = allowance.custom.memory
        most = min(2 * has.memory, offered.max)
        memory = most - (most - offered.min) % offered.step
        return replace(choice, resources=replace(has, memory=memory)) if memory > has.memory else None
    fitting = [
        size
        for size in allowance.sizes
        if size.resources.memory > has.memory
        and all(kind.of(size.resources) >= kind.of(has) for kind in KINDS)
        and (not size.images or choice.image.id in size.images)
    ]
    size = min(fitting, key=_amounts_memory_first, default=None)
    return Choice(choice.image, size, size.resources) if size else None


def _amounts_memory_first(size: Size) -> tuple[int, ...]:
    return size.resources.memory, *(kind.of(size.resources) for kind in reversed(KINDS))


def _given_up(kept: Mapping[str, Any], refused: ChoiceRefused, allowance: Allowance) -> Iterator[str]:
    """What gives way to the default, in words for whoever chose it."""
    yield from (sentence for key, sentence in refused.fields.items() if key not in KEYS)
    if "image" in refused.fields:
        image = f"The image {quoted(kept['image'])} that you chose last is no longer offered"
        yield f"{image}; {allowance.default_image.label} is used instead."
    instead = f"{allowance.default_size.label} is used instead."
    size, amounts = kept.get("size", CUSTOM), [refused.fields[key] for key in AMOUNTS if key in refused.fields]
    if "size" in refused.fields and size != CUSTOM:
        yield f"The size {quoted(size)} that you chose last is no longer offered; {instead}"
    elif "size" in refused.fields:
        yield f"Amounts of your own are no longer offered; {instead}"
    elif amounts:
        yield f"The amounts that you chose last are no longer offered. {' '.join(amounts)} {instead}"


def _unknown_keys(options: Mapping[str, Any]) -> dict[str, str]:
    unknown = (key for key in options if key not in KEYS and key != PROFILE)
    return {
        str(key): f"There is no option {quoted(key)}. The options are {listed(KEYS)}."
        for key in islice(unknown, _MOST_UNKNOWN)
    }


def _image(options: Mapping[str, Any], allowance: Allowance) -> Image:
    if "image" not in options:
        return allowance.default_image
    asked = options["image"]
    if isinstance(asked, str) and (successor := allowance.successors.get(asked)):
        sentence = (
            f"The image {quoted(asked)} was replaced and can no longer be started. Ask for {quoted(successor.id)}."
        )
        raise ChoiceRefused({"image": sentence})
    return _offered("image", asked, allowance.images, extra=())


def _resources(options: Mapping[str, Any], allowance: Allowance) -> tuple[Size | None, Resources]:
    typed = [key for key in AMOUNTS if key in options]
    asked = options.get("size", CUSTOM if typed else allowance.default_size.id)
    if asked == CUSTOM and allowance.custom:
        return None, _custom(options, allowance.custom, allowance.default_size)
    if "size" not in options and typed:
        refusal = f"Only named sizes are offered to you: {listed([size.id for size in allowance.sizes])}."
        raise ChoiceRefused(dict.fromkeys(typed, refusal))
    size = _offered("size", asked, allowance.sizes, extra=(CUSTOM,) if allowance.custom else ())
    if typed:
        refusal = f'The size {quoted(size.id)} has its own CPU and memory. Ask for "{CUSTOM}" to set them yourself.'
        raise ChoiceRefused(dict.fromkeys(typed, refusal))
    return size, size.resources


def _custom(options: Mapping[str, Any], ranges: Custom, default: Size) -> Resources:
    faults: dict[str, str] = {}
    amounts: dict[str, int] = {}
    for kind in KINDS:
        offered = ranges.of(kind) or _NOTHING
        at_first = offered.min if kind.optional else kind.of(default.resources)
        asked = options.get(kind.name, kind.exactly(at_first))
        amount = _unless_refused(partial(_in_range, asked, kind, offered), faults)
        amounts |= {} if amount is None else {kind.name: amount}
    if faults:
        raise ChoiceRefused(faults)
    return Resources(**amounts)


def _only_with(size: Size, allowance: Allowance) -> str:
    images = [image.id for image in allowance.images if image.id in size.images and not image.hidden]
    with_these = f"with the images {listed(images)}" if images else "with images that are not offered to you"
    return f"The size {quoted(size.id)} is only offered {with_these}."


def _offered(field: str, asked: Any, entries: Sequence[_Entry], extra: Sequence[str]) -> _Entry:
    for entry in entries:
        if asked == entry.id:
            return entry
    known = [*(entry.id for entry in entries if not getattr(entry, "hidden", False)), *extra]
    near = f' Perhaps you mean "{found}".' if (found := nearest(asked, known)) else ""
    raise ChoiceRefused({field: f"You asked for the {field} {quoted(asked)}. Offered to you: {listed(known)}.{near}"})


_NOTHING = GpuRange(min=0, max=0)  # the range of a kind that has none


def _in_gibibytes(memory: int) -> str:
    """For whoever asked in GiB, as the form does; in another unit where the number would be long."""
    number = short_gibibytes(memory)
    return f"{number} GiB" if number else MEMORY.exactly(memory)


def _in_range(asked: Any, kind: Kind, offered: Range) -> int:
    try:
        value = kind.parse(asked)
    except ValueError as error:
        raise ChoiceRefused({kind.name: f"{error}."}) from error
    spelled = _in_gibibytes if kind is MEMORY and "gib" in str(asked).lower() else kind.exactly
    most, least = spelled(offered.max), spelled(offered.min)
    beyond = (value - offered.min) % offered.step
    if value > offered.max:
        limit = f"The most offered to you is {most}."
    elif value < offered.min:
        limit = f"The least offered to you is {least}."
    elif beyond:
        below, above = value - beyond, value - beyond + offered.step
        limit = f"The nearest offered are {spelled(below)} and {spelled(above)}."
    else:
        return value
    # A text as it was typed: 0.3 GiB is no whole number of any smaller unit.
    told = " ".join(asked.split()) if isinstance(asked, str) else kind.exactly(value)
    raise ChoiceRefused({kind.name: f"You asked for {kind.named(told)}. {limit}"})


_Value = TypeVar("_Value")


def _unless_refused(check: Callable[[], _Value], faults: dict[str, str]) -> _Value | None:
    """The value, or None with the refusal's sentences added to `faults`."""
    try:
        return check()
    except ChoiceRefused as refused:
        faults.update(refused.fields)
        return None
