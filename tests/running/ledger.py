"""The ledger: which job was proven when, on which source tree.

A suite is proven for a tree when each of its jobs is, in whichever runs. CI runs
somewhere else and cannot commit, so a run prints its results on one line, which
`./test --record LOG` takes over from the log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from running.outcome import Outcome

DUE_AFTER = timedelta(days=7)
DUE_AFTER_COMMITS = 30
LINE = "ledger: "  # what the line of a log begins with
_KEPT = 5  # proofs of each job


@dataclass(frozen=True, slots=True, order=True)
class Proof:
    """A job that passed whole: when, and on what."""

    job: str
    date: str  # ISO 8601, in UTC
    commit: str
    tree: str  # digest of the source tree
    passed: int
    expected: int  # failures that the suite's own list expects
    setup_seconds: float
    test_seconds: float
    inputs: str = ""  # digest of the files that the job depends on in particular

    @property
    def at(self) -> datetime:
        """Return the date as such."""
        return datetime.fromisoformat(self.date)


@dataclass(slots=True)
class Ledger:
    """All proofs, and the jobs that were postponed since their last one, with the date."""

    proofs: list[Proof] = field(default_factory=list)
    postponed: dict[str, str] = field(default_factory=dict)

    def last(self, job: str) -> Proof | None:
        """Return a job's latest proof."""
        return max((proof for proof in self.proofs if proof.job == job), key=lambda proof: proof.date, default=None)

    def proven_for(self, tree: str) -> set[str]:
        """Return the jobs that are proven for a source tree."""
        return {proof.job for proof in self.proofs if proof.tree == tree}

    def add(self, proofs: Iterable[Proof], postponed: Mapping[str, str]) -> None:
        """Take over results, in any order and any number of times."""
        self.proofs = sorted(_newest({*self.proofs, *proofs}))
        for job, date in postponed.items():
            self.postponed[job] = max(date, self.postponed.get(job, ""))
        self.postponed = {
            job: date for job, date in sorted(self.postponed.items()) if not self._proven_after(job, date)
        }

    def _proven_after(self, job: str, date: str) -> bool:
        last = self.last(job)
        return last is not None and last.date >= date


def _newest(proofs: Iterable[Proof]) -> Iterable[Proof]:
    kept: dict[str, int] = {}
    for proof in sorted(proofs, key=lambda proof: proof.date, reverse=True):
        kept[proof.job] = kept.get(proof.job, 0) + 1
        if kept[proof.job] <= _KEPT:
            yield proof


def why_due(proof: Proof | None, now: datetime, commits_since: Callable[[str], int | None], inputs: str = "") -> str:
    """Return why a job is due, or ""."""
    if proof is None:
        return "never proven"
    if inputs and inputs != proof.inputs:
        return "its inputs have changed"
    if now - proof.at > DUE_AFTER:
        return f"proven {(now - proof.at).days} days ago"
    commits = commits_since(proof.commit)
    if commits is None:
        return "proven on a commit that is not in this history"
    if commits > DUE_AFTER_COMMITS:
        return f"proven {commits} commits ago"
    return ""


# Files


def read(path: Path) -> Ledger:
    """Read a ledger; none is an empty one."""
    return _ledger_from(json.loads(path.read_text())) if path.exists() else Ledger()


def write(path: Path, ledger: Ledger) -> None:
    """Write a ledger with each entry on a line of its own, so that branches merge."""
    proofs = ",\n".join(json.dumps(asdict(proof)) for proof in ledger.proofs)
    postponed = ",\n".join(f"{json.dumps(job)}: {json.dumps(date)}" for job, date in ledger.postponed.items())
    path.write_text(f'{{"proofs": [\n{proofs}\n],\n"postponed": {{\n{postponed}\n}}}}\n')


def as_line(ledger: Ledger) -> str:
    """Return results as the line that a run prints at its end."""
    content = {"proofs": [asdict(proof) for proof in ledger.proofs], "postponed": ledger.postponed}
    return LINE + json.dumps(content, separators=(",", ":"))


def from_log(log: str) -> list[Ledger]:
    """Return the results that a log holds."""
    lines = (line.partition(LINE) for line in log.splitlines() if f"{LINE}{{" in line)
    return [_ledger_from(json.JSONDecoder().raw_decode(text)[0]) for _, _, text in lines]


def _ledger_from(content: Mapping[str, Any]) -> Ledger:
    known = {each.name for each in fields(Proof)}
    proofs = [Proof(**{key: value for key, value in each.items() if key in known}) for each in content["proofs"]]
    return Ledger(proofs, dict(content["postponed"]))


def results(outcomes: Iterable[Outcome], tree: str, commit: str, inputs: Mapping[str, str]) -> Ledger:
    """Return what a run has proven and postponed."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    proofs, postponed = [], {}
    for outcome in outcomes:
        if outcome.postponed and not outcome.failed:
            postponed[outcome.job] = now
        elif outcome.proves:
            proofs.append(
                Proof(
                    outcome.job,
                    now,
                    commit,
                    tree,
                    outcome.passed,
                    outcome.expected,
                    round(outcome.setup_seconds, 1),
                    round(outcome.test_seconds, 1),
                    inputs.get(outcome.job, ""),
                )
            )
    return Ledger(proofs, postponed)
