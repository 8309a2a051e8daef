"""What one user may choose: the catalog seen through the user and the user's groups.

The rules, in full:

- An image, a size or the custom ranges are offered to everyone, or, where they
  name groups or users, to members of any of these groups and to these users.
  Offers are united: no group takes anything away. A size that goes with some
  images only is offered to whoever may start one of them.
- Of a limit (an end of a range, a quota), the widest counts among everyone's
  and those of the user's groups. No limit at all is the widest.
- What `users` says of this user beats both, whether wider or narrower.
- Variables: the catalog's, then those of the user's groups in the catalog's
  order, then the user's; the later wins. Numbers of supplemental groups are
  united. Of service accounts and of networks the last one counts, in the same
  order.
- The totals of all the user's groups hold at once.

Form, REST and every start ask for the same Allowance, so what is shown is what
is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.docker import Capacity
from stateroom.catalog.images import Image
from stateroom.catalog.people import Identity
from stateroom.catalog.sizes import Custom, CustomLimits, Guarantee, Quota, Size
from stateroom.common.quantity import KINDS

EVERYONE = "everyone"

_Entry = TypeVar("_Entry", bound="_Offer")


@dataclass(frozen=True, slots=True)
class Person:
    """A user by name, with the names of the hub's groups the user is in."""

    name: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is offered to one user, and what the user's servers are given.

    `images` holds what may be started, hidden ones included. `successors` leads
    from the id of a retired image to what is offered in its place. `totals` are
    those of the user's groups that the catalog knows; `groups` are all that the
    hub knows. `guarantee` is the share of each server's
    resources that it always has, and `capacity` the share of a machine that may be guaranteed.
    """

    images: tuple[Image, ...]
    sizes: tuple[Size, ...]
    custom: Custom | None
    default_image: Image
    default_size: Size
    quota: Quota = field(default_factory=Quota)
    totals: Mapping[str, Quota] = field(default_factory=dict)
    identity: Identity = field(default_factory=Identity)
    successors: Mapping[str, Image] = field(default_factory=dict)
    guarantee: Guarantee = field(default_factory=Guarantee)
    capacity: Capacity = field(default_factory=Capacity)
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Sourced:
    """A limit (None is no limit) and who it comes from: "everyone", "group research" or "user ada"."""

    value: int | None
    source: str


class _Offer(Protocol):
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def users(self) -> tuple[str, ...]: ...


def allowance_for(catalog: Catalog, person: Person) -> Allowance:
    """Apply the rules above."""
    quota = {kind: limit.value for kind, limit in quota_of(catalog, person).items()}
    images = _offered(catalog.images, person)
    startable = {image.id: image for image in images if not image.retired}
    return Allowance(
        images=tuple(startable.values()),
        # A size that goes with no image of this person's is of no use.
        sizes=tuple(
            size
            for size in _offered(catalog.sizes, person)
            if not size.images or any(image in startable for image in size.images)
        ),
        custom=_custom(catalog, person),
        default_image=catalog.default_image,
        default_size=catalog.default_size,
        quota=Quota().model_copy(update=quota),
        totals={name: catalog.groups[name].total for name in groups_of(catalog, person)},
        identity=_identity(catalog, person),
        successors=_successors(catalog, startable),
        guarantee=catalog.guarantee,
        capacity=catalog.docker.capacity,
        groups=person.groups,
    )


def why_offered(offer: _Offer, person: Person) -> str:
    """Who an offer is made to, so that it reaches this person; "" where it does not."""
    if not offer.groups and not offer.users:
        return EVERYONE
    if person.name in offer.users:
        return f"user {person.name}"
    group = next((name for name in offer.groups if name in person.groups), "")
    return f"group {group}" if group else ""


def groups_of(catalog: Catalog, person: Person) -> list[str]:
    """The person's groups that the catalog knows, in its order."""
    return [name for name in catalog.groups if name in person.groups]


def quota_of(catalog: Catalog, person: Person) -> dict[str, Sourced]:
    """What the person may run at once, by kind."""
    user = catalog.users.get(person.name)
    groups = {name: catalog.groups[name].quota for name in groups_of(catalog, person)}

    def limit(kind: str) -> Sourced:
        candidates = {
            f"group {name}": value for name, quota in groups.items() if (value := getattr(quota, kind)) is not None
        }
        own = getattr(user.quota, kind) if user else None
        return _limit(getattr(catalog.quota, kind), candidates, own, person, max)

    return {kind: limit(kind) for kind in Quota.model_fields}


def ranges_of(catalog: Catalog, person: Person) -> dict[str, tuple[Sourced, Sourced]]:
    """Least and most of each kind the person may choose; empty where custom amounts are not offered."""
    custom = catalog.custom
    if custom is None or not why_offered(custom, person):
        return {}
    user = catalog.users.get(person.name)
    groups = {name: catalog.groups[name].custom for name in groups_of(catalog, person)}

    def end(kind: str, key: str, widest: Callable[..., Any]) -> Sourced:
        def of(limits: CustomLimits) -> int | None:
            found: int | None = getattr(getattr(limits, kind), key)
            return found

        candidates = {f"group {name}": value for name, limits in groups.items() if (value := of(limits)) is not None}
        return _limit(
            getattr(getattr(custom, kind), key), candidates, of(user.custom) if user else None, person, widest
        )

    kinds = [kind.name for kind in KINDS if custom.of(kind) is not None]
    return {kind: (end(kind, "min", min), end(kind, "max", max)) for kind in kinds}


def identities_of(catalog: Catalog, person: Person) -> dict[str, Identity]:
    """What the person's servers are given, by who it comes from; what comes later wins."""
    user = catalog.users.get(person.name)
    return {
        EVERYONE: Identity().model_copy(update={"environment": catalog.environment}),
        **{f"group {name}": catalog.groups[name].identity for name in groups_of(catalog, person)},
        **({f"user {person.name}": user.identity} if user else {}),
    }


def _limit(
    everyones: int | None, groups: Mapping[str, int], users: int | None, person: Person, widest: Callable[..., Any]
) -> Sourced:
    if users is not None:
        return Sourced(users, f"user {person.name}")
    if everyones is None:
        return Sourced(None, EVERYONE)
    candidates = {EVERYONE: everyones, **groups}
    # Of equal ones the first, which is everyone's.
    source: str = widest(candidates, key=candidates.__getitem__)
    return Sourced(candidates[source], source)


def _offered(entries: tuple[_Entry, ...], person: Person) -> tuple[_Entry, ...]:
    return tuple(entry for entry in entries if why_offered(entry, person))


def _custom(catalog: Catalog, person: Person) -> Custom | None:
    ends = ranges_of(catalog, person)
    if not ends or catalog.custom is None:
        return None
    ranges: dict[str, Any] = {}
    for kind, (least, most) in ends.items():
        ranges[kind] = getattr(catalog.custom, kind).model_copy(update={"min": least.value, "max": most.value})
    return catalog.custom.model_copy(update=ranges)


def _identity(catalog: Catalog, person: Person) -> Identity:
    environment: dict[str, str] = {}
    groups: dict[int, None] = {}
    account = network = None
    token = False
    for identity in identities_of(catalog, person).values():
        environment |= identity.environment
        groups |= dict.fromkeys(identity.supplemental_groups)
        account = identity.service_account or account
        token = token or identity.service_account_token
        network = identity.network or network
    return Identity().model_copy(
        update={
            "environment": environment,
            "supplemental_groups": tuple(groups),
            "service_account": account,
            "service_account_token": token,
            "network": network,
        }
    )


def _successors(catalog: Catalog, startable: Mapping[str, Image]) -> dict[str, Image]:
    """For each retired image the first in its line of successors that this person may start."""
    known = {image.id: image for image in catalog.images}
    successors: dict[str, Image] = {}
    for image in catalog.images:
        step: Image | None = image if image.retired else None
        while step is not None and step.id not in startable:
            step = known.get(step.replaced_by or "")
        if step is not None:
            successors[image.id] = step
    return successors
