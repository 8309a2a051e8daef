"""`stateroom doctor`: prints a line for each thing a hub needs: the result and, if it failed, how to fix it."""

from __future__ import annotations

import argparse

from stateroom.cli.arguments import add_data_option
from stateroom.cli.screen import Screen
from stateroom.operations.checks.findings import Verdict
from stateroom.operations.doctor import run_checks
from stateroom.operations.platforms import BACKENDS


def describe(parser: argparse.ArgumentParser) -> None:
    """Add the description and the arguments."""
    parser.description = "Look at all that a hub needs. Prints a line for each, and ends with 1 if anything fails."
    add_data_option(parser)
    parser.add_argument(
        "--backend", choices=BACKENDS, help="where servers are to run (as in the last `up`, else docker)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run all checks, and print each finding as it comes."""
    screen, verdicts = Screen(), set()
    for name, finding in run_checks(arguments.data, arguments.backend or ""):
        screen.finding(name, finding)
        verdicts.add(finding.verdict)
    return 1 if Verdict.FAIL in verdicts else 0
