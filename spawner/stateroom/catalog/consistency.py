"""What parts of a catalog say about each other and cannot both be meant.

The models check each part alone. Here are the checks between parts. They run
on what holds by itself, so that an admin sees these faults together with the
others; a part that is broken is None and nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.images import Image
from stateroom.catalog.people import Group, User
from stateroom.catalog.sizes import Custom, CustomLimits, Quota, Range, Size
from stateroom.common.quantity import KINDS, LIMITED, Kind
from stateroom.common.text import did_you_mean, listed, quoted, shown

Path = tuple[str | int, ...]


class Fault(NamedTuple):
    """Where it is, as keys and indexes from the top, and a sentence."""

    path: Path
    sentence: str


@dataclass(frozen=True, slots=True)
class Parts:
    """A catalog as far as it holds: None stands where a part is broken."""

    images: Sequence[Image | None]
    sizes: Sequence[Size | None]
    custom: Custom | None
    quota: Quota | None
    groups: Mapping[str, Group | None]
    users: Mapping[str, User | None]
    broken: frozenset[str] = field(default=frozenset())  # sections of which something is missing

    @property
    def default_size(self) -> Size | None:
        """The one default size, if there is exactly one."""
        defaults = [size for size in self.sizes if size and size.default]
        return defaults[0] if len(defaults) == 1 else None


def parts_of(catalog: Catalog) -> Parts:
    """A whole catalog."""
    return Parts(catalog.images, catalog.sizes, catalog.custom, catalog.quota, catalog.groups, catalog.users)


def contradictions(parts: Parts) -> Iterator[Fault]:
    """Every contradiction, in the order of the sections."""
    yield from _entries("images", parts.images, broken="images" in parts.broken)
    yield from _defaults_are_for_everyone(parts)
    yield from _successors(parts.images)
    yield from _entries("sizes", parts.sizes, broken="sizes" in parts.broken)
    yield from _ties(parts)
    yield from _audiences(parts)
    yield from _limits_of_groups(parts)
    yield from _limits_of_users(parts)
    yield from _quotas_hold_the_default(parts)


def _entries(section: str, entries: Sequence[Image | Size | None], *, broken: bool) -> Iterator[Fault]:
    """Ids are unique and one entry is the default."""
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if entry is None:
            continue
        if entry.id in first:
            sentence = f'"{entry.id}" is the id of {section}[{first[entry.id]}] too; give each entry an id of its own'
            yield Fault((section, index, "id"), sentence)
        first.setdefault(entry.id, index)
    defaults = [entry.id for entry in entries if entry and entry.default]
    if len(defaults) > 1 or (not defaults and not broken):
        found = listed([f'"{name}"' for name in defaults]) or "none"
        yield Fault((section,), f"exactly one entry is the default, found {found}; write default: true at one")


def _defaults_are_for_everyone(parts: Parts) -> Iterator[Fault]:
    narrowing = {
        "images": ("groups", "users", "hidden", "replaced_by"),
        "sizes": ("groups", "users", "images"),
    }
    sections: tuple[tuple[str, Sequence[Image | Size | None]], ...] = (("images", parts.images), ("sizes", parts.sizes))
    for section, entries in sections:
        for index, entry in enumerate(entries):
            for key in narrowing[section] if entry and entry.default else ():
                if getattr(entry, key):
                    sentence = "the default must be there for everyone; remove this, or make another entry the default"
                    yield Fault((section, index, key), sentence)


def _successors(images: Sequence[Image | None]) -> Iterator[Fault]:
    known = {image.id: image for image in images if image}
    circles = _circles(known)
    for index, image in enumerate(images):
        if image is None or image.replaced_by is None:
            continue
        path: Path = ("images", index, "replaced_by")
        if image.replaced_by not in known:
            if None not in images:
                yield Fault(path, _not_listed("image", image.replaced_by, known))
        elif image.id in circles:
            way = listed(_way_round(image.replaced_by, known))
            yield Fault(path, f'"{image.id}" comes to be replaced by itself, by way of {way}')


def _circles(known: Mapping[str, Image]) -> set[str]:
    """The ids that replacement leads back to. Looks at each image once, however long the lines of successors."""
    passed: dict[str, str] = {}  # by the walk that began where
    circles: set[str] = set()
    for start in known:
        step = start
        while step in known and step not in passed:
            passed[step] = start
            step = known[step].replaced_by or ""
        while passed.get(step) == start and step not in circles:
            circles.add(step)
            step = known[step].replaced_by or ""
    return circles


def _way_round(start: str, known: Mapping[str, Image]) -> list[str]:
    """The ids on the way from one of a circle round to the one before it."""
    way: dict[str, None] = {}
    step = start
    while step not in way:
        way[step] = None
        step = known[step].replaced_by or ""
    return list(way)


def _ties(parts: Parts) -> Iterator[Fault]:
    """Sizes that are for some images name images that there are."""
    if "images" in parts.broken:
        return
    known = {image.id: image for image in parts.images if image}
    for index, size in enumerate(parts.sizes):
        for place, name in enumerate(size.images if size else ()):
            if name not in known:
                yield Fault(("sizes", index, "images", place), _not_listed("image", name, known))


def _audiences(parts: Parts) -> Iterator[Fault]:
    """Every group that is named is listed."""
    if "groups" in parts.broken:
        return
    named: list[tuple[Path, Image | Size | Custom | None]] = [
        *((("images", index), image) for index, image in enumerate(parts.images)),
        *((("sizes", index), size) for index, size in enumerate(parts.sizes)),
        (("custom",), parts.custom),
    ]
    for path, offer in named:
        for place, name in enumerate(offer.groups if offer else ()):
            if name not in parts.groups:
                yield Fault((*path, "groups", place), _not_listed("group", name, parts.groups))


def _limits_of_groups(parts: Parts) -> Iterator[Fault]:
    """What a group has is at least what everyone has, or it would change nothing."""
    for name, group in parts.groups.items():
        if group is None:
            continue
        yield from _group_quota(("groups", name, "quota"), group.quota, parts.quota)
        for end in _ends(("groups", name, "custom"), group.custom, parts):
            if fault := _unreachable(end):
                yield fault
            elif end.beyond(end.everyones) < 0:
                sentence = f"everyone may choose that already ({end.key} is {end.spelled(end.everyones)}), so that it"
                yield Fault(
                    end.path, f"{end.spelled(end.amount)}: {sentence} changes nothing; a group's range is wider"
                )


def _group_quota(path: Path, quota: Quota, of_all: Quota | None) -> Iterator[Fault]:
    for kind in LIMITED:
        amount, everyone = quota.of(kind), of_all.of(kind) if of_all else None
        if amount is None or of_all is None:
            continue
        if everyone is None:
            sentence = f"everyone may run any amount of {kind.name}, so that a group's limit changes nothing"
            yield Fault((*path, kind.name), f"{sentence}; write quota.{kind.name} for everyone first")
        elif amount < everyone:
            sentence = (
                f"{kind.text(amount)} is less than everyone has ({kind.text(everyone)}), and members have the widest"
            )
            yield Fault((*path, kind.name), f"{sentence}; lower quota.{kind.name}, or write the limit below users")


def _limits_of_users(parts: Parts) -> Iterator[Fault]:
    """A user's own ends still make a range."""
    for name, user in parts.users.items():
        ends = list(_ends(("users", name, "custom"), user.custom, parts)) if user else []
        own = {(end.kind, end.key): end.amount for end in ends}
        for end in ends:
            facing = own.get((end.kind, end.other))
            if fault := _unreachable(end):
                yield fault
            elif facing is not None and end.key == "max" and end.amount < facing:
                yield Fault(end.path, f"max ({end.spelled(end.amount)}) is below min ({end.spelled(facing)})")
            elif facing is None and end.beyond(getattr(end.range, end.other)) < 0:
                far = end.spelled(getattr(end.range, end.other))
                sentence = f"{end.key} ({end.spelled(end.amount)}) is beyond everyone's {end.other} ({far})"
                yield Fault(end.path, f"{sentence}; write {end.other} for this user as well")


class _End(NamedTuple):
    """One end of a range that somebody has instead of everyone's."""

    path: Path
    kind: Kind
    key: str
    amount: int
    range: Range | None  # everyone's

    @property
    def other(self) -> str:
        return "min" if self.key == "max" else "max"

    @property
    def everyones(self) -> int:
        return int(getattr(self.range, self.key))

    def spelled(self, amount: int) -> str:
        return self.kind.text(amount)

    def beyond(self, amount: int) -> int:
        """How much further out this end is than `amount`, negative if it is further in."""
        return self.amount - amount if self.key == "max" else amount - self.amount


def _ends(path: Path, limits: CustomLimits, parts: Parts) -> Iterator[_End]:
    """The ends that are set; none where everyone's ranges are broken."""
    for kind in KINDS if "custom" not in parts.broken else ():
        for key in ("min", "max"):
            amount = getattr(getattr(limits, kind.name), key)
            if amount is not None:
                everyones = parts.custom.of(kind) if parts.custom else None
                yield _End((*path, kind.name, key), kind, key, amount, everyones)


def _unreachable(end: _End) -> Fault | None:
    """An end that no step of everyone's range comes to."""
    if end.range is None:
        return Fault(
            end.path, f"there is no custom.{end.kind.name} for everyone that this could change; write it first"
        )
    off = (end.amount - end.range.min) % end.range.step
    if not off:
        return None
    near = [amount for amount in (end.amount - off, end.amount - off + end.range.step) if amount > 0]
    away = f"whole steps of {end.spelled(end.range.step)} away from custom.{end.kind.name}.min"
    return Fault(
        end.path,
        f"{end.spelled(end.amount)} is not {away}; write {' or '.join(end.spelled(amount) for amount in near)}",
    )


def _quotas_hold_the_default(parts: Parts) -> Iterator[Fault]:
    size = parts.default_size
    if size is None:
        return
    limits: list[tuple[Path, Quota]] = [(("quota",), parts.quota)] if parts.quota else []
    limits += [(("groups", name, "total"), group.total) for name, group in parts.groups.items() if group]
    limits += [(("users", name, "quota"), user.quota) for name, user in parts.users.items() if user]
    for path, quota in limits:
        for kind in KINDS:
            limit, needed = quota.of(kind), kind.of(size.resources)
            if limit is not None and limit < needed:
                takes, lets = kind.text(needed), kind.text(limit)
                sentence = f'the default size "{size.id}" takes {takes}, so that {lets} lets nobody start it'
                yield Fault((*path, kind.name), f"{sentence}; write at least {takes}")


def _not_listed(kind: str, name: str, known: Iterable[str]) -> str:
    listing = [shown(word) for word in known]
    there = f"there are {listed(listing)}" if listing else f"there are no {kind}s"
    return f"there is no {kind} {quoted(name)}{did_you_mean(name, known) or f'; {there}'}"
