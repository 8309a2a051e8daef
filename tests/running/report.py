"""What a run prints at its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from running.outcome import Outcome
from running.output import announce

_COLUMNS = f"{'job':22}{'passed':>8}{'failed':>8}{'skipped':>9}{'set-up':>9}{'tests':>9}"


def report(outcomes: Sequence[Outcome], duration: str = "", *, no_skips: bool) -> int:
    """Print the table and the reasons; return the exit code. What was postponed counts as neither passed nor failed."""
    announce(f"\n{_COLUMNS}")
    for outcome in outcomes:
        announce(_row(outcome))
    announce(f"{duration}\n")
    for line in reasons(outcomes):
        announce(line)
    failed = sum(len(outcome.failed) for outcome in outcomes)
    skipped = sum(len(outcome.skipped) for outcome in outcomes)
    if skipped and no_skips:
        announce("Skipped tests count as failed here.")
    announce(totals(outcomes))
    return 1 if failed or (skipped and no_skips) else 0


def totals(outcomes: Sequence[Outcome]) -> str:
    """Return the last line, which counts tests. It stands alone, so that other programs can read it."""
    failed = sum(len(outcome.failed) for outcome in outcomes)
    skipped = sum(len(outcome.skipped) for outcome in outcomes)
    return f"{sum(outcome.passed for outcome in outcomes)} passed, {failed} failed, {skipped} skipped"


def reasons(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield a line for each test that did not pass, and for each job that was postponed."""
    for outcome in outcomes:
        yield from (f"skipped in {outcome.job}: {reason}" for reason in outcome.skipped)
    for outcome in outcomes:
        if outcome.expected:
            yield f"failed in {outcome.job} as its list expects: {outcome.expected}"
    if postponed := [outcome for outcome in outcomes if outcome.postponed]:
        yield from (f"postponed: {outcome.job}: {outcome.postponed}" for outcome in postponed)
        names = " ".join(outcome.job for outcome in postponed)
        yield f"{len(postponed)} of {len(outcomes)} jobs postponed and not proven. The next run begins with: {names}"
    for outcome in outcomes:
        yield from (f"failed in {outcome.job}: {test}" for test in outcome.failed)


def _row(outcome: Outcome) -> str:
    counts = f"{outcome.passed:8}{len(outcome.failed):8}{len(outcome.skipped):9}"
    note = "  postponed" if outcome.postponed else ""
    return f"{outcome.job:22}{counts}{outcome.setup_seconds:9.1f}{outcome.test_seconds:9.1f}{note}"
