"""`stateroom explain`: what one user would be offered, and whom each part of it comes from."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stateroom.catalog import Catalog, Image, Size
from stateroom.cli.arguments import add_catalog_argument
from stateroom.loading import load_catalog
from stateroom.policy import (
    Allowance,
    Person,
    allowance_for,
    identities_of,
    quota_of,
    ranges_of,
    why_offered,
)
from stateroom.quantity import SPELLED
from stateroom.quota import KINDS
from stateroom.schema import schema_from_allowance
from stateroom.wording import did_you_mean, joined, quoted

_UNITS = {"cpu": "CPU", "memory": "memory", "gpu": "GPU"}

_WIDE = 200  # columns of what is no terminal, so that a line stays a line

_Row = tuple[str, str, str]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `explain`."""
    parser = commands.add_parser(
        "explain",
        help="show what a user would be offered, and why",
        description="Show what a user would be offered by a catalog, and whom each part of it comes from: "
        "everyone, a group, or the user's own entry.",
        epilog="example: stateroom explain catalog.yaml --user ada --groups research,teachers",
    )
    add_catalog_argument(parser)
    parser.add_argument("--user", required=True, metavar="NAME", help="the user's name")
    parser.add_argument("--groups", default="", metavar="A,B", help="the groups that the user is in (none)")
    parser.add_argument("--json", action="store_true", help="print what the user may choose as JSON Schema")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Explain, in tables."""
    catalog = load_catalog(arguments.file)
    groups = [name for name in map(str.strip, arguments.groups.split(",")) if name]
    person = Person(arguments.user, frozenset(groups))
    allowance = allowance_for(catalog, person)
    if arguments.json:
        print(json.dumps(schema_from_allowance(allowance), indent=2))
        return 0
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _WIDE
    membership = f"in the {'group' if len(groups) == 1 else 'groups'} {joined(groups)}" if groups else "in no group"
    console.print(Text.assemble((person.name, "bold"), f", {membership}"))
    for sentence in _unknown(catalog, groups):
        console.print(Text(sentence, style="yellow"))
    for title, rows in _tables(catalog, person, allowance):
        if rows:
            console.print(_table(title, rows))
    return 0


def _unknown(catalog: Catalog, groups: Iterable[str]) -> Iterator[str]:
    for name in groups:
        if name not in catalog.groups:
            yield f"The catalog has no group {quoted(name)}{did_you_mean(name, catalog.groups)}"


def _tables(catalog: Catalog, person: Person, allowance: Allowance) -> Iterator[tuple[str, list[_Row]]]:
    yield "Images", [_offer_row(image, _life(image), person) for image in catalog.images]
    yield "Sizes", [_size_row(size, person, allowance) for size in catalog.sizes]
    yield "Custom", list(_custom_rows(catalog, person))
    yield "Quota", list(_quota_rows(catalog, person))
    yield "Totals", list(_total_rows(allowance))
    yield "Servers get", list(_identity_rows(catalog, person))


def _offer_row(offer: Image | Size, about: str, person: Person) -> _Row:
    why = why_offered(offer, person)
    if isinstance(offer, Image) and offer.retired:
        return offer.id, about, "offered to nobody"
    if not why:
        return offer.id, about, f"not offered; for {_audience(offer)}"
    return offer.id, about, f"{why}, the default" if offer.default else why


def _size_row(size: Size, person: Person, allowance: Allowance) -> _Row:
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


def _custom_rows(catalog: Catalog, person: Person) -> Iterator[_Row]:
    for kind, (least, most) in ranges_of(catalog, person).items():
        spelled, step = SPELLED[kind], getattr(catalog.custom, kind).step
        ends = f"{spelled(least.value or 0)} to {spelled(most.value or 0)}, in steps of {spelled(step)}"
        why = least.source if least.source == most.source else f"least: {least.source}, most: {most.source}"
        yield _UNITS[kind], ends, why


def _quota_rows(catalog: Catalog, person: Person) -> Iterator[_Row]:
    limits = quota_of(catalog, person)
    for kind in KINDS:
        limit = limits[kind.name]
        if limit.value is not None:
            yield kind.name, kind.spelled(limit.value), limit.source


def _total_rows(allowance: Allowance) -> Iterator[_Row]:
    for group, total in allowance.totals.items():
        limits = [(kind, getattr(total, kind.name)) for kind in KINDS]
        words = [kind.spelled(limit) for kind, limit in limits if limit is not None]
        if words:
            yield group, joined(words), "all members together"


def _identity_rows(catalog: Catalog, person: Person) -> Iterator[_Row]:
    variables: dict[str, _Row] = {}
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


def _table(title: str, rows: list[_Row]) -> Table:
    table = Table(
        title=Text(title, style="bold"), title_justify="left", box=None, show_header=False, padding=(0, 2, 0, 2)
    )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
