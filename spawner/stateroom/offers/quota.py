"""Whether one more server may run: what runs already, against the user's quota, the groups' totals and the machine.

Of the machine it is the guaranteed memory that counts, since an engine may take
any number of servers and leave it to the kernel to kill some. People think in
the memory of their server, so what the machine has and what is left of it is
told as that: where half of a server's memory is guaranteed, twice as much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from stateroom.catalog.sizes import Quota
from stateroom.common.errors import QuotaExceeded
from stateroom.common.quantity import LIMITED, MEMORY, Kind, Machine, Resources, format_free_memory
from stateroom.common.text import listed, shown
from stateroom.offers.allowance import Allowance


class Server(Protocol):
    """Which server: its user's name, and its own, "" for the default one."""

    @property
    def user(self) -> str: ...

    @property
    def server(self) -> str: ...

    def __hash__(self) -> int: ...


Running = Mapping[Any, Resources]  # of each `Server`
Members = Mapping[str, Iterable[str]]  # of each group, the users' names


@dataclass(frozen=True, slots=True)
class Left:
    """How much of one limit is used and how much there is.

    `of` is the group that it is the total of, "" for the user's own limit; only
    that one tells by which servers it is used. `machine` marks what the machine
    has for all servers.
    """

    kind: Kind
    used: int
    limit: int
    of: str = ""
    holders: tuple[tuple[Server, int], ...] = ()
    machine: bool = False

    @property
    def free(self) -> int:
        """What may still be started; never below zero, although more may run since a limit was lowered."""
        return max(0, self.limit - self.used)


def is_limited(allowance: Allowance, machine: Machine | None = None) -> bool:
    """Whether it matters what runs already."""
    return bool(machine) or any(_limits(quota) for quota in (allowance.quota, *allowance.totals.values()))


def left_for(
    ref: Server, allowance: Allowance, running: Running, members: Members, *, machine: Machine | None = None
) -> list[Left]:
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
    if machine and machine.memory:
        left.append(_left_of_machine(machine, allowance, others.values()))
    return left


def _left_of_machine(machine: Machine, allowance: Allowance, others: Iterable[Resources]) -> Left:
    share = allowance.guarantee.memory
    promised = machine.memory * allowance.capacity.memory
    # Where a server's guarantee is not known, it counts with all of its memory.
    guaranteed = sum(resources.memory_guarantee or resources.memory for resources in others)
    return Left(MEMORY, math.ceil(guaranteed / share), int(promised / share), machine=True)


def check_quota(
    ref: Server,
    wanted: Resources,
    allowance: Allowance,
    running: Running,
    members: Members,
    *,
    machine: Machine | None = None,
) -> None:
    """Raise QuotaExceeded, with a sentence for each limit that `wanted` would break."""
    limits = left_for(ref, allowance, running, members, machine=machine)
    broken = [left for left in limits if left.kind.of(wanted) > left.free]
    # Who may start no further server need not hear how much CPU it could have had.
    told = [left for left in broken if left.kind.name == "servers"] or broken
    if told:
        raise QuotaExceeded([_sentence(left, wanted, allowance) for left in told])


def _limits(quota: Quota) -> list[tuple[Kind, int]]:
    return [(kind, limit) for kind in LIMITED if (limit := quota.of(kind)) is not None]


def _sentence(left: Left, wanted: Resources, allowance: Allowance) -> str:
    if left.machine:
        return _machine_sentence(left, wanted, allowance)
    return _total_sentence(left, wanted) if left.of else _quota_sentence(left, wanted)


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


def server_title(ref: Server) -> str:
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


def _machine_sentence(left: Left, wanted: Resources, allowance: Allowance) -> str:
    asked = f"You asked for {left.kind.spelled(wanted.memory)}."
    free = format_free_memory(left.free) if left.free else "nothing"
    now = _most_memory(allowance, left.free)
    if wanted.memory <= left.limit:
        remedy = f"choose {format_free_memory(now)} or less, or " if now else ""
        return f"{asked} The machine has {free} left for servers; {remedy}wait until somebody stops a server."
    there = f"The machine has {format_free_memory(left.limit)} for all servers"
    there += f", of which {free} is left" if left.used else ""
    if now:
        return f"{asked} {there}; choose {format_free_memory(now)} or less."
    later = _most_memory(allowance, left.limit)
    remedy = (
        f"choose {format_free_memory(later)} or less once somebody stops a server"
        if later
        else "ask an administrator for a smaller size"
    )
    return f"{asked} {there}; {remedy}."


def _most_memory(allowance: Allowance, at_most: int) -> int:
    """The most memory that can be chosen and is not more than this; 0 if there is none."""
    return max((memory for memory in _offered_memory(allowance, at_most) if memory <= at_most), default=0)


def _offered_memory(allowance: Allowance, at_most: int) -> Iterator[int]:
    yield from (size.memory for size in allowance.sizes)
    if allowance.custom:
        offered = allowance.custom.memory
        most = min(at_most, offered.max)
        yield most - (most - offered.min) % offered.step if most >= offered.min else offered.min
