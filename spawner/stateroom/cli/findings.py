"""What `stateroom doctor` makes of what it sees: a verdict with a remedy, pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stateroom.quantity import MiB, format_memory
from stateroom.wording import counted, joined

# What is too little for anything, and what makes one think.
_ENOUGH_FOR_DATA, _TOO_LITTLE_FOR_DATA = 500 * MiB, 50 * MiB


class Verdict(StrEnum):
    """How it is; the word is what is shown."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    UNSEEN = "-"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was found, and what to do where that is not as it should be."""

    verdict: Verdict
    fact: str
    remedy: str = ""


def ok(fact: str) -> Finding:
    """As it should be."""
    return Finding(Verdict.OK, fact)


def warn(fact: str, remedy: str) -> Finding:
    """Servers run, but something is worse than it could be."""
    return Finding(Verdict.WARN, fact, remedy)


def fail(fact: str, remedy: str) -> Finding:
    """Something does not work."""
    return Finding(Verdict.FAIL, fact, remedy)


def unseen(why: str) -> Finding:
    """It could not be looked at, which another line accounts for."""
    return Finding(Verdict.UNSEEN, f"not looked at: {why}")


def data_room_finding(free: int, place: str) -> Finding:
    """What is left where the hub keeps its database and logs."""
    return room_finding(free, place, _ENOUGH_FOR_DATA, _TOO_LITTLE_FOR_DATA, "Make room, or move the folder.")


def orphans_finding(kinds: list[str]) -> Finding:
    """What `stateroom gc` would remove, by kind."""
    if not kinds:
        return ok("none")
    words = joined([counted(kinds.count(kind), kind) for kind in dict.fromkeys(kinds)])
    return warn(f"{words} that nobody uses", "`stateroom gc --dry-run` shows them, and `stateroom gc` removes them.")


def room_finding(free: int, place: str, enough: int, too_little: int, remedy: str) -> Finding:
    """What is left on a disk."""
    words = f"{format_memory(free)} free in {place}"
    if free >= enough:
        return ok(words)
    return (fail if free < too_little else warn)(words, remedy)
