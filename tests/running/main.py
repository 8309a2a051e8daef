"""The command line of `./test`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from running import ledger as ledgers
from running import needs, plan, source_tree
from running.background import set_up_in_background
from running.budget import GRACE_SECONDS, Budget
from running.environments import install_package, renew_locks
from running.jobs import Runner
from running.lanes import run_lanes
from running.ledger import Ledger
from running.outcome import MissingRequirement, Outcome
from running.output import announce
from running.plan import History
from running.processes import ROOT, commands
from running.report import report
from running.suite import Job, Lane, Suite
from running.suites import SUITES

CI_MINUTES = 60.0
LEDGER = ROOT / source_tree.LEDGER

_STUCK_AFTER = GRACE_SECONDS + 3 * 60  # after the budget's end, by when every command has been ended
_CLEAN_UP_SECONDS = 180.0


class StuckError(Exception):
    """The run did not end, although all of its commands were ended."""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line asks for; return the exit code."""
    own, options = split_at_dashes(arguments)
    asked = parser().parse_args(own)
    if asked.list:
        return list_suites()
    if asked.lock:
        return renew_locks()
    if asked.record:
        return record(asked.record)
    history = history_of_checkout()
    if asked.due:
        return list_due(history)
    if asked.release:
        return check_release(history.ledger)
    if unknown := plan.unknown(SUITES, asked.names):
        parser().error(f"there is no suite {', '.join(sorted(unknown))}; the suites are {names()}")
    jobs = plan.select(SUITES, asked.names, everything=asked.all, history=history)
    budget = Budget(minutes * 60 if (minutes := asked.budget) else None)
    return run(jobs, options, budget, history, no_skips=asked.require_all or in_ci())


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    made = argparse.ArgumentParser(
        prog="./test",
        usage="./test [suite[/part]...] [--option...] [-- options of pytest, of a benchmark or of the soak]",
        description="Runs the tests, having installed what they need. Without names it runs what CI runs: every "
        "suite but those on request, and of rotated parts those whose turn has come.",
        epilog="A Docker engine or a Kubernetes cluster that had to be started is stopped at the end, unless "
        "STATEROOM_KEEP_ENGINE is set. STATEROOM_TEST_KUBECONFIG=FILE names a cluster to use instead; "
        "STATEROOM_CLUSTER_PROGRAMS=FOLDER has the programs of which one is started. "
        "STATEROOM_SCREENSHOTS=FOLDER keeps what the browser suite saw. "
        "STATEROOM_README_PICTURE=1 renews the README's picture. "
        "The output of each job, its counts and its slowest tests are kept in .cache/test-results. "
        "Example: ./test unit -- -k choice",
    )
    made.add_argument("names", nargs="*", metavar="suite", help=names())
    made.add_argument("--list", action="store_true", help="list the suites, what they check and their parts")
    made.add_argument("--all", action="store_true", help="run everything: rotated parts and suites on request as well")
    made.add_argument("--require-all", action="store_true", help="count skipped tests as failed, as CI=true does")
    made.add_argument(
        "--budget",
        type=float,
        metavar="MINUTES",
        default=float(os.environ.get("STATEROOM_TEST_BUDGET") or (CI_MINUTES if in_ci() else 0)),
        help=f"postpone jobs that would not end by then, and end all a quarter of an hour later at the latest; "
        f"0: no limit; STATEROOM_TEST_BUDGET does the same, and CI=true sets {CI_MINUTES:.0f}",
    )
    made.add_argument("--due", action="store_true", help="list the jobs that were not proven for a week or 30 commits")
    made.add_argument("--release", action="store_true", help="fail unless every job is proven for this source tree")
    made.add_argument("--record", metavar="LOG", help="take the results of a run elsewhere over from its log")
    made.add_argument("--lock", action="store_true", help="resolve the lock files in tests/requirements again")
    return made


def run(jobs: Sequence[Job], options: Sequence[str], budget: Budget, history: History, *, no_skips: bool) -> int:
    """Run the jobs and report; clean up, whatever happens."""
    outcomes: list[Outcome] = []
    tree = source_tree.digest()
    code = 0
    with ending_in_time(budget), terminated_as_interrupted():
        try:
            install_package()
            run_all(jobs, Runner(budget, options, history.seconds, live=not uses_lanes(jobs)), outcomes.append, history)
        except MissingRequirement as reason:
            announce(f"./test: {reason}")
            code = 2
        except KeyboardInterrupt:
            announce("\nInterrupted.")
            code = 130
        except StuckError as reason:
            announce(f"./test: {reason}")
            code = 1
        finally:
            clean_up()
    if missing := {job.name for job in jobs} - {outcome.job for outcome in outcomes}:
        announce(f"Not run, or not ended: {' '.join(sorted(missing))}")
    if options:
        announce("\nThe ledger keeps nothing of a run with options.")
    elif tree and tree == source_tree.digest():
        keep_results(outcomes, tree, history, jobs)
    else:
        announce("\nThe ledger keeps nothing of this run: the source tree changed meanwhile, or is no checkout.")
    return report(outcomes, budget.summary, no_skips=no_skips) or code


def run_all(jobs: Sequence[Job], runner: Runner, done: Callable[[Outcome], None], history: History) -> None:
    """Run the jobs in their lanes, while their needs are met in the background."""
    if uses_lanes(jobs):
        set_up_in_background(jobs)
    first = any(job.suite.lane is Lane.ALONE and job.name in history.ledger.postponed for job in jobs)
    run_lanes(jobs, runner.run, done, alone_first=first)


def uses_lanes(jobs: Sequence[Job]) -> bool:
    """Whether some of the jobs run side by side."""
    return len({job.suite.lane for job in jobs} - {Lane.ALONE}) > 1


@contextmanager
def ending_in_time(budget: Budget) -> Iterator[None]:
    """End all commands some minutes after the budget's end; if even that does not help, raise here."""
    if budget.seconds is None:
        yield
        return

    def give_up(*_: object) -> None:
        raise StuckError("the run did not end after all of its commands were ended")

    commands.end_by(budget.until_cut)
    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, max(1.0, budget.left + _STUCK_AFTER))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Clean up after SIGTERM as after Ctrl-C.

    A shell starts what it runs in the background with SIGINT ignored, which commands would
    inherit; they are ended by it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def clean_up() -> None:
    """End what still runs, and stop the engine and the cluster of the tests' own."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    commands.end_all()
    commands.end_by(_CLEAN_UP_SECONDS)
    with contextlib.suppress(KeyboardInterrupt):
        needs.stop_own_cluster()
        needs.stop_own_engine()


# The ledger


def history_of_checkout() -> History:
    """Return what is known of earlier runs and of this checkout."""
    return History(
        ledgers.read(LEDGER),
        datetime.now(UTC),
        source_tree.commit(),
        source_tree.commits_since,
        inputs_of,
    )


def inputs_of(job: Job) -> str:
    """Return the digest of the files that a job depends on in particular; "" if it names none."""
    return source_tree.digest(below=job.part.inputs) if job.part.inputs else ""


def keep_results(outcomes: Sequence[Outcome], tree: str, history: History, jobs: Sequence[Job]) -> None:
    """Add the results to the checkout's ledger, and print them for another one's."""
    found = ledgers.results(outcomes, tree, history.commit, {job.name: inputs_of(job) for job in jobs})
    history.ledger.add(found.proofs, found.postponed)
    ledgers.write(LEDGER, history.ledger)
    announce(f"\n{ledgers.as_line(found)}")


def record(log: str) -> int:
    """Take over the results that a log holds."""
    text = sys.stdin.read() if log == "-" else Path(log).read_text(errors="replace")
    found = ledgers.from_log(text)
    known = ledgers.read(LEDGER)
    for each in found:
        known.add(each.proofs, each.postponed)
    ledgers.write(LEDGER, known)
    announce(f"{sum(len(each.proofs) for each in found)} proofs from {log} are in {source_tree.LEDGER}.")
    return 0 if found else 1


def list_due(history: History) -> int:
    """List the jobs that are due, with the reason."""
    jobs = [(job.name, reason) for suite in SUITES for job in suite.jobs if (reason := history.why_due(job))]
    for name, reason in jobs:
        announce(f"{name:22}{reason}")
    announce(f"{len(jobs)} jobs are due.")
    return 0


def check_release(known: Ledger) -> int:
    """Fail unless each job of each suite is proven for the commit's source tree."""
    if not source_tree.is_clean():
        announce("The checkout differs from its commit; a release is made of a commit.")
        return 1
    proven = known.proven_for(source_tree.digest())
    missing = [job.name for suite in SUITES for job in suite.jobs if job.name not in proven]
    for name in missing:
        announce(f"not proven on {source_tree.commit()[:12]}: {name}")
    if not missing:
        announce(f"All suites are proven on {source_tree.commit()[:12]}.")
    return 1 if missing else 0


# Words


def list_suites() -> int:
    """List the suites and their parts."""
    for suite in SUITES:
        note = " (on request)" if suite.on_request else ""
        announce(f"{suite.name:12}{suite.about}{note}")
        for text, found in parts_by_turn(suite).items():
            if found:
                announce(f"{'':12}  {text}: {' '.join(found)}")
    return 0


def parts_by_turn(suite: Suite) -> dict[str, list[str]]:
    """Return the suite's parts by when they run, if it has several."""
    turns: dict[str, list[str]] = {"parts": [], "if their inputs changed": [], "in rotation": []}
    for job in suite.jobs:
        turn = "if their inputs changed" if job.part.inputs else "in rotation" if job.part.rotated else "parts"
        turns[turn].append(job.name)
    return {turn: found for turn, found in turns.items() if found != [suite.name] or turn != "parts"}


def names() -> str:
    """Return the suites' names."""
    return ", ".join(suite.name for suite in SUITES)


def in_ci() -> bool:
    """Whether this is CI."""
    return os.environ.get("CI") == "true"


def split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split our own arguments from pytest's, which follow `--`."""
    if "--" not in arguments:
        return list(arguments), []
    at = list(arguments).index("--")
    return list(arguments[:at]), list(arguments[at + 1 :])
