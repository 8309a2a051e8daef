"""The command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cluster.images import load
from harness.cluster.lifecycle import down, up
from harness.cluster.settings import ClusterError


def main() -> str:
    """Do what the command line says; what went wrong, or ""."""
    parser = argparse.ArgumentParser(prog="tests/harness/cluster", description="A Kubernetes cluster for the tests.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("up", "down", "load"):
        verbs.add_parser(verb).add_argument("folder", type=Path)
    verbs.choices["up"].add_argument("--no-node", action="store_true", help="an API server, and nothing that runs pods")
    verbs.choices["load"].add_argument("images", nargs="+", metavar="image")
    asked = parser.parse_args()
    try:
        match asked.verb:
            case "up":
                print(up(asked.folder, node=not asked.no_node))  # noqa: T201 - whoever asked takes it from here
            case "load":
                load(asked.folder, *asked.images)
            case "down":
                down(asked.folder)
    except ClusterError as error:
        return str(error)
    return ""
