"""What a client of the REST API may send, as JSON Schema: an allowance in, a document out.

What the schema takes, `choose` accepts. It is the stricter of the two: each
amount is listed, in the one way to write it. For sliders, the ends and the step
of a range, which JSON Schema has no words for, stand in `x-` keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stateroom.catalog.images import Image
from stateroom.catalog.reference import DIALECT
from stateroom.catalog.sizes import CUSTOM, Custom, Range, Size
from stateroom.common.quantity import KINDS, Kind, Resources
from stateroom.offers.allowance import Allowance
from stateroom.offers.quota import Left

_MOST_STEPS = 1000  # of more, only each second, third, ... is listed


def schema_from_allowance(allowance: Allowance, left: Sequence[Left] = ()) -> dict[str, Any]:
    """The schema of `user_options` for one user; `x-quota` tells what is left of each limit."""
    properties: dict[str, Any] = {"image": _images(allowance), "size": _sizes(allowance)}
    document: dict[str, Any] = {
        "$schema": DIALECT,
        "title": "What you may choose for a server",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "default": {},
    }
    rules = [_tie(size, allowance) for size in allowance.sizes if size.images]
    if allowance.custom:
        amounts = _amounts(allowance.custom, allowance.default_size)
        properties |= amounts
        # An amount is for custom servers: beside a named size it is refused.
        document["dependentSchemas"] = {key: {"properties": {"size": {"const": CUSTOM}}} for key in amounts}
        rules += _needed(amounts)
    if rules:  # JSON Schema allows no empty list
        document["allOf"] = rules
    if left:
        document["x-quota"] = [_told(limit) for limit in left]
    return document


def _images(allowance: Allowance) -> dict[str, Any]:
    images = [
        _entry(image.id, image.label, image.description, **({"deprecated": True} if image.deprecated else {}))
        for image in _shown(allowance)
    ]
    return {"title": "Image", "oneOf": images, "default": allowance.default_image.id}


def _shown(allowance: Allowance) -> list[Image]:
    """Without the hidden ones, as on the form."""
    return [image for image in allowance.images if not image.hidden]


def _sizes(allowance: Allowance) -> dict[str, Any]:
    sizes = [
        _entry(size.id, size.label, size.description, **{"x-amounts": _plain(size.resources)})
        for size in allowance.sizes
    ]
    custom = [_entry(CUSTOM, "Custom", "Set the amounts yourself")] if allowance.custom else []
    return {"title": "Size", "oneOf": sizes + custom, "default": allowance.default_size.id}


def _plain(resources: Resources) -> dict[str, Any]:
    return {kind.name: kind.json(kind.of(resources)) for kind in KINDS}


def _entry(name: str, title: str, description: str, **more: object) -> dict[str, Any]:
    return {"const": name, "title": title} | ({"description": description} if description else {}) | more


def _amounts(ranges: Custom, default: Size) -> dict[str, Any]:
    offered = {kind: ranges.of(kind) for kind in KINDS}
    return {kind.name: _amount(kind, of_kind, default) for kind, of_kind in offered.items() if of_kind}


def _amount(kind: Kind, offered: Range, size: Size) -> dict[str, Any]:
    default = offered.min if kind.optional else kind.of(size.resources)
    steps = range(offered.min, offered.max + 1, offered.step)
    thinned = dict.fromkeys([*steps[:: 1 + len(steps) // _MOST_STEPS], offered.max])
    told: dict[str, Any] = {"title": kind.title, "enum": [kind.json(amount) for amount in thinned]}
    ends = {"x-minimum": offered.min, "x-maximum": offered.max, "x-step": offered.step}
    told |= {key: kind.json(amount) for key, amount in ends.items()}
    return told | ({"default": kind.json(default)} if default in steps else {})


def _tie(size: Size, allowance: Allowance) -> dict[str, Any]:
    """The size asks for one of its images; without an image in the options the default one counts."""
    images = [image.id for image in _shown(allowance) if image.id in size.images]
    needed = [] if allowance.default_image.id in images else ["image"]
    then: Any = {"properties": {"image": {"enum": images}}, "required": needed} if images else False
    return {"if": {"properties": {"size": {"const": size.id}}, "required": ["size"]}, "then": then}


def _needed(amounts: dict[str, Any]) -> list[dict[str, Any]]:
    """What a custom server must name, since the default size's is not among the steps."""
    missing = [key for key, amount in amounts.items() if "default" not in amount]
    if not missing:
        return []
    custom: list[dict[str, Any]] = [{"properties": {"size": {"const": CUSTOM}}, "required": ["size"]}]
    custom += [{"required": [key]} for key in amounts]
    return [{"if": {"anyOf": custom}, "then": {"required": missing}}]


def _told(left: Left) -> dict[str, Any]:
    whose: dict[str, Any] = {"group": left.of} if left.of else {"machine": True} if left.machine else {}
    return {"kind": left.kind.name, "used": left.kind.json(left.used), "limit": left.kind.json(left.limit)} | whose
