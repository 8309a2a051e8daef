"""`stateroom doctor`: a line for each thing that a hub needs, with a verdict and what to do about it."""

from __future__ import annotations

import argparse
from dataclasses import replace

from stateroom.cli.arguments import add_data_option
from stateroom.cli.checks import OWN_FILES, examined, installation
from stateroom.cli.findings import Verdict
from stateroom.cli.places import BACKENDS, place
from stateroom.cli.screen import Screen


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="see what is wrong, and what to do about it",
        description="Look at all that a hub needs. Prints a line for each, and ends with 1 if anything fails.",
    )
    add_data_option(parser)
    parser.add_argument(
        "--backend", choices=BACKENDS, help="where servers are to run (as in the last `up`, else docker)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at everything, and print a line for each finding."""
    screen, found = Screen(), installation(arguments.data)
    backend = arguments.backend or (found.settings.backend if found.settings else arguments.data.default_backend)
    if found.settings and found.settings.backend != backend:
        # Before a hub is moved: what there is of it in the other place is of no use here.
        found = replace(found, settings=None, running=False)
    verdicts = set()
    with place(backend).checks(found) as checks:
        for check in (*OWN_FILES, *checks):
            for finding in examined(check, found):
                screen.finding(check.name, finding)
                verdicts.add(finding.verdict)
    return 1 if Verdict.FAIL in verdicts else 0
