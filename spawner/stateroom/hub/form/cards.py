"""The cards of images and sizes: which are shown, which is chosen, and what is said about each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from stateroom.catalog.images import Image
from stateroom.catalog.sizes import CUSTOM, Size
from stateroom.common.quantity import CPU, KINDS, Resources
from stateroom.common.text import listed, quoted
from stateroom.hub.form.state import FormState
from stateroom.offers.allowance import Allowance
from stateroom.offers.choice import AMOUNTS

_MOST_IN_SIGHT = 12  # cards of one kind; of more, the rest is folded away
_IN_SIGHT = 9  # three rows of three

_Entry = TypeVar("_Entry", Image, Size)


@dataclass(frozen=True, slots=True)
class Card:
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
class Cards:
    """All cards of one kind: those in sight, and those folded away where there are very many."""

    in_sight: list[Card]
    folded: list[Card]


def image_cards(allowance: Allowance, state: FormState) -> list[Card]:
    """Return a card for each image that is shown."""
    chosen = _chosen_image(allowance, state)
    shown = _shown_images(allowance, state)
    return [
        Card(
            image.id,
            image.label,
            image.description,
            chosen=image is chosen,
            default=image.default,
            badge="Deprecated" if image.deprecated else "",
            notes=_deprecation_notes(image, shown) if image.deprecated else (),
        )
        for image in shown
    ]


def size_cards(allowance: Allowance, state: FormState) -> list[Card]:
    """Return a card for each size that goes with one of the images shown."""
    chosen = chosen_size(allowance, state)
    titles = {image.id: isolated(image.label) for image in _shown_images(allowance, state)}
    cards = []
    for size in _shown_sizes(allowance, state):
        images = [image for image in size.images if image in titles]
        notes = [f"Only with {listed([titles[image] for image in images])}"] if images else []
        notes += _too_large(size.resources, state)
        cards.append(
            Card(
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


def folded(cards: Sequence[Card]) -> Cards:
    """Keep the first cards in sight, and the chosen one and the default always."""
    if len(cards) <= _MOST_IN_SIGHT:
        return Cards([*cards], [])
    others = [card.value for card in cards if not card.chosen and not card.default]
    folded = set(others[_IN_SIGHT - (len(cards) - len(others)) :])
    return Cards([card for card in cards if card.value not in folded], [card for card in cards if card.value in folded])


def chosen_size(allowance: Allowance, state: FormState) -> str:
    """Return the id of the chosen size, or CUSTOM. Whatever was asked for, one is chosen."""
    asked = _asked_size(allowance, state)
    if asked == CUSTOM and allowance.custom:
        return CUSTOM
    return _chosen(asked, _shown_sizes(allowance, state), allowance.default_size).id


def not_offered(allowance: Allowance, state: FormState) -> list[str]:
    """Return a sentence for each part of a link that is not offered; a refused field has a sentence of its own."""
    sizes = [entry.id for entry in _shown_sizes(allowance, state)] + ([CUSTOM] if allowance.custom else [])
    image, size = _asked_image(allowance, state), _asked_size(allowance, state)
    instead = _chosen_image(allowance, state)
    gone = "was replaced" if image in allowance.successors else "is not offered to you"
    asked = (
        ("image", image, [entry.id for entry in allowance.images], gone, instead),
        ("size", size, sizes, "is not offered to you", allowance.default_size),
    )
    return [
        f"The {field} {quoted(value)} {reason}; {isolated(chosen.label)} is chosen instead."
        for field, value, offered, reason, chosen in asked
        if value not in offered and field not in state.errors
    ]


def isolated(text: str) -> str:
    """Return a title as it may stand in a sentence: its direction, when it is another one, ends with it."""
    return text if text.isascii() else f"\u2068{text}\u2069"


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


def _deprecation_notes(image: Image, shown: Sequence[Image]) -> tuple[str, ...]:
    successor = next((other for other in shown if other.id == image.replaced_by), None)
    return (image.deprecated, f"Use {isolated(successor.label)} instead.") if successor else (image.deprecated,)


def _amounts_of(resources: Resources) -> tuple[str, ...]:
    amounts = ((kind, kind.of(resources)) for kind in KINDS)
    return tuple(kind.labelled(amount) for kind, amount in amounts if amount or not kind.optional)


def _too_large(resources: Resources, state: FormState) -> list[str]:
    """Say which resources a size takes too much of. That no server may be started at all is said above the cards."""
    notes = []
    if state.machine and 0 < state.machine.cpu < resources.cpu:
        notes.append(f"The machine has {CPU.spelled(state.machine.cpu)}")
    if any(limit.machine and resources.memory > limit.limit for limit in state.left):
        return [*notes, "More memory than the machine has for servers"]
    exceeds = any(limit.kind.of(resources) > limit.free for limit in state.left if limit.kind.name != "servers")
    return [*notes, "More than is left for you now"] if exceeds else notes
