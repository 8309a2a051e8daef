"""The findings of `stateroom doctor`: a verdict with a remedy. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stateroom.common.quantity import MiB, format_memory
from stateroom.common.text import counted, joined

# What is too little for anything, and what makes one think.
_ENOUGH_FOR_DATA, _TOO_LITTLE_FOR_DATA = 500 * MiB, 50 * MiB


class Verdict(StrEnum):
    """The verdict of a check. The value is what is printed."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"
    SKIPPED = "-"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was found, and how to fix it."""

    verdict: Verdict
    fact: str
    remedy: str = ""


def ok(fact: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(Verdict.OK, fact)


def warn(fact: str, remedy: str) -> Finding:
    """Return a finding on something that could be better, though servers run."""
    return Finding(Verdict.WARN, fact, remedy)


def fail(fact: str, remedy: str) -> Finding:
    """Return a finding on something that does not work."""
    return Finding(Verdict.FAIL, fact, remedy)


def skipped(why: str) -> Finding:
    """Return a finding on a check that could not run, for a reason that another line reports."""
    return Finding(Verdict.SKIPPED, f"not looked at: {why}")


def data_disk_finding(free: int, folder: str) -> Finding:
    """Report the free space for the hub's database and logs."""
    return disk_finding(free, folder, _ENOUGH_FOR_DATA, _TOO_LITTLE_FOR_DATA, "Make room, or move the folder.")


def orphans_finding(kinds: list[str]) -> Finding:
    """Report what `stateroom gc` would remove, by kind."""
    if not kinds:
        return ok("none")
    words = joined([counted(kinds.count(kind), kind) for kind in dict.fromkeys(kinds)])
    return warn(f"{words} that nobody uses", "`stateroom gc --dry-run` shows them, and `stateroom gc` removes them.")


def disk_finding(free: int, folder: str, enough: int, too_little: int, remedy: str) -> Finding:
    """Report the free space on a disk."""
    words = f"{format_memory(free)} free in {folder}"
    if free >= enough:
        return ok(words)
    return (fail if free < too_little else warn)(words, remedy)
