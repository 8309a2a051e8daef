"""Explains what one user would be offered, and where each part of it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.images import Image
from stateroom.catalog.load import load_catalog
from stateroom.catalog.sizes import Size
from stateroom.common.quantity import KINDS, LIMITED
from stateroom.common.text import did_you_mean, joined, quoted
from stateroom.offers.allowance import (
    Allowance,
    Person,
    allowance_for,
    identities_of,
    quota_of,
    ranges_of,
    why_offered,
)
from stateroom.offers.schema import schema_from_allowance

Row = tuple[str, str, str]  # what it is, what is offered, and why


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a user would be offered, in tables, and as JSON Schema of what the user may choose."""

    user: str
    membership: str
    problems: Sequence[str]
    tables: Mapping[str, Sequence[Row]]  # by title; none is empty
    schema: Mapping[str, Any]


def explain(catalog_file: Path, user: str, groups: Sequence[str]) -> Explanation:
    """Explain what the catalog offers to a user who is in these groups. Raises CatalogError."""
    catalog = load_catalog(catalog_file)
    person = Person(user, frozenset(groups))
    allowance = allowance_for(catalog, person)
    return Explanation(
        user=user,
        membership=f"in the {'group' if len(groups) == 1 else 'groups'} {joined(groups)}" if groups else "in no group",
        problems=list(_unknown(catalog, groups)),
        tables={title: rows for title, rows in _tables(catalog, person, allowance) if rows},
        schema=schema_from_allowance(allowance),
    )


def _unknown(catalog: Catalog, groups: Iterable[str]) -> Iterator[str]:
    for name in groups:
        if name not in catalog.groups:
            yield f"The catalog has no group {quoted(name)}{did_you_mean(name, catalog.groups)}"


def _tables(catalog: Catalog, person: Person, allowance: Allowance) -> Iterator[tuple[str, list[Row]]]:
    yield "Images", [_offer_row(image, _life(image), person) for image in catalog.images]
    yield "Sizes", [_size_row(size, person, allowance) for size in catalog.sizes]
    yield "Custom", list(_custom_rows(catalog, person))
    yield "Quota", list(_quota_rows(catalog, person))
    yield "Totals", list(_total_rows(allowance))
    yield "Servers get", list(_identity_rows(catalog, person))


def _offer_row(offer: Image | Size, about: str, person: Person) -> Row:
    why = why_offered(offer, person)
    if isinstance(offer, Image) and offer.retired:
        return offer.id, about, "offered to nobody"
    if not why:
        return offer.id, about, f"not offered; for {_audience(offer)}"
    return offer.id, about, f"{why}, the default" if offer.default else why


def _size_row(size: Size, person: Person, allowance: Allowance) -> Row:
    row = _offer_row(size, str(size.resources), person)
    if size not in allowance.sizes and why_offered(size, person):
        return *row[:2], f"not offered; only with {joined(size.images)}"
    return row


def _audience(offer: Image | Size) -> str:
    kinds = (("group", offer.groups), ("user", offer.users))
    return joined([f"{kind if len(names) == 1 else kind + 's'} {joined(names)}" for kind, names in kinds if names])


def _life(image: Image) -> str:
    words = ["hidden"] if image.hidden else []
    words += [f"deprecated ({image.deprecated})"] if image.deprecated else []
    words += [f"replaced by {image.replaced_by}"] if image.replaced_by else []
    return "; ".join([image.label, *words])


def _custom_rows(catalog: Catalog, person: Person) -> Iterator[Row]:
    kinds = {kind.name: kind for kind in KINDS}
    for name, (least, most) in ranges_of(catalog, person).items():
        kind, step = kinds[name], getattr(catalog.custom, name).step
        ends = f"{kind.text(least.value or 0)} to {kind.text(most.value or 0)}, in steps of {kind.text(step)}"
        why = least.source if least.source == most.source else f"least: {least.source}, most: {most.source}"
        yield kind.noun, ends, why


def _quota_rows(catalog: Catalog, person: Person) -> Iterator[Row]:
    limits = quota_of(catalog, person)
    for kind in LIMITED:
        limit = limits[kind.name]
        if limit.value is not None:
            yield kind.name, kind.spelled(limit.value), limit.source


def _total_rows(allowance: Allowance) -> Iterator[Row]:
    for group, total in allowance.totals.items():
        limits = [(kind, total.of(kind)) for kind in LIMITED]
        words = [kind.spelled(limit) for kind, limit in limits if limit is not None]
        if words:
            yield group, joined(words), "all members together"


def _identity_rows(catalog: Catalog, person: Person) -> Iterator[Row]:
    variables: dict[str, Row] = {}
    for source, identity in identities_of(catalog, person).items():
        variables |= {name: (name, value, source) for name, value in identity.environment.items()}
    yield from variables.values()
    for source, identity in identities_of(catalog, person).items():
        if identity.supplemental_groups:
            yield "groups", joined([str(number) for number in identity.supplemental_groups]), source
        if identity.service_account:
            yield "service account", identity.service_account, source
        if identity.network:
            yield "network", identity.network, source
