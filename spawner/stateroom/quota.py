"""Whether one more server may run: what runs already, against the user's quota and the totals of the groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from stateroom.catalog import Quota
from stateroom.errors import QuotaExceeded
from stateroom.names import ServerRef
from stateroom.policy import Allowance
from stateroom.quantity import Resources, format_cpu, format_memory
from stateroom.wording import counted, listed, shown


class Kind(NamedTuple):
    """One kind of what is limited. `of` is how much of it one server takes; `spelled` writes an amount."""

    name: str
    of: Callable[[Resources], int]
    spelled: Callable[[int], str]


KINDS = (
    Kind("servers", lambda _: 1, lambda amount: counted(amount, "server")),
    Kind("cpu", lambda resources: resources.cpu, lambda amount: f"{format_cpu(amount)} CPU"),
    Kind("memory", lambda resources: resources.memory, lambda amount: f"{format_memory(amount)} of memory"),
    Kind("gpu", lambda resources: resources.gpu, lambda amount: f"{amount} GPU"),
)

Running = Mapping[ServerRef, Resources]
Members = Mapping[str, Iterable[str]]  # of each group, the users' names


@dataclass(frozen=True, slots=True)
class Left:
    """How much of one limit is used and how much there is.

    `of` is the group that it is the total of, "" for the user's own limit; only
    that one tells by which servers it is used.
    """

    kind: Kind
    used: int
    limit: int
    of: str = ""
    holders: tuple[tuple[ServerRef, int], ...] = ()

    @property
    def free(self) -> int:
        """What may still be started; never below zero, although more may run since a limit was lowered."""
        return max(0, self.limit - self.used)


def is_limited(allowance: Allowance) -> bool:
    """Whether it matters what runs already."""
    return any(_limits(quota) for quota in (allowance.quota, *allowance.totals.values()))


def left_for(ref: ServerRef, allowance: Allowance, running: Running, members: Members) -> list[Left]:
    """What is left of each limit that counts for the server `ref`, which itself does not count."""
    others = {other: resources for other, resources in running.items() if other != ref}
    own = sorted((other for other in others if other.user == ref.user), key=str)
    left = []
    for kind, limit in _limits(allowance.quota):
        holders = tuple((other, kind.of(others[other])) for other in own)
        left.append(Left(kind, sum(amount for _, amount in holders), limit, holders=holders))
    for group, total in allowance.totals.items():
        limits = _limits(total)
        names = set(members.get(group, ())) | {ref.user} if limits else set()
        theirs = [resources for other, resources in others.items() if other.user in names]
        left += [Left(kind, sum(map(kind.of, theirs)), limit, group) for kind, limit in limits]
    return left


def check_quota(
    ref: ServerRef,
    wanted: Resources,
    allowance: Allowance,
    running: Running,
    members: Members,
) -> None:
    """Raise QuotaExceeded, with a sentence for each limit that `wanted` would break."""
    broken = [left for left in left_for(ref, allowance, running, members) if left.kind.of(wanted) > left.free]
    # Who may start no further server need not hear how much CPU it could have had.
    told = [left for left in broken if left.kind.name == "servers"] or broken
    if told:
        raise QuotaExceeded(
            [_total_sentence(left, wanted) if left.of else _quota_sentence(left, wanted) for left in told]
        )


def _limits(quota: Quota) -> list[tuple[Kind, int]]:
    return [(kind, limit) for kind in KINDS if (limit := getattr(quota, kind.name)) is not None]


def _quota_sentence(left: Left, wanted: Resources) -> str:
    spelled, asked = left.kind.spelled, left.kind.of(wanted)
    if asked > left.limit:
        return f"You asked for {spelled(asked)}, and may have {spelled(left.limit)} at once."
    if left.kind.name == "servers":
        names = listed([server_title(other) for other, _ in left.holders])
        return f"You may run {spelled(left.limit)} at once, and these run: {names}. Stop one of them first."
    names = listed([f"{server_title(other)} ({spelled(amount)})" for other, amount in left.holders if amount])
    remedy = f"choose {spelled(left.free)} or less, or stop one of them" if left.free else "stop one of them first"
    return (
        f"You asked for {spelled(asked)}. Of the {spelled(left.limit)} that you may have at once, "
        f"{spelled(left.used)} is used by {names}; {remedy}."
    )


def server_title(ref: ServerRef) -> str:
    """A server as its owner calls it."""
    return shown(ref.server) or "your default server"


def _total_sentence(left: Left, wanted: Resources) -> str:
    spelled, asked = left.kind.spelled, left.kind.of(wanted)
    if asked > left.limit:
        return f"You asked for {spelled(asked)}, and all members of {left.of} may have {spelled(left.limit)} at once."
    verb = "is used" if left.kind.name != "servers" else "runs" if left.used == 1 else "run"
    remedy = f"choose {spelled(left.free)} or less, or " if left.free else ""
    return (
        f"You asked for {spelled(asked)}. All members of {left.of} together may have {spelled(left.limit)} at once, "
        f"and {spelled(left.used)} {verb}; {remedy}wait until somebody stops a server."
    )
