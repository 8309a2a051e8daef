"""What a very large catalog costs: 500 images, 200 sizes and 1,000 groups, far beyond any real one.

Prints a table and ends with 1 where a figure is over its limit. Loading runs
beside the hub's loop, all else on it.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stateroom.catalog.load import load_catalog
from stateroom.hub.form.render import render_form
from stateroom.hub.form.state import FormState
from stateroom.offers.allowance import Allowance, Person, allowance_for
from stateroom.offers.choice import choose
from stateroom.offers.schema import schema_from_allowance

IMAGES, SIZES, GROUPS = 500, 200, 1000
ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Figure:
    """Milliseconds of a piece of work, and how many it may take; None where nothing was promised."""

    what: str
    median: float
    worst: float
    limit: float | None = None

    @property
    def holds(self) -> bool:
        return self.limit is None or self.median < self.limit


def main() -> int:
    """Measure and print; the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.yaml"
        path.write_text(large_catalog())
        figures = measured(path)
        print(f"{IMAGES} images, {SIZES} sizes, {GROUPS} groups: {path.stat().st_size / 1024:.0f} KiB of YAML\n")
    print(f"{'milliseconds':38}{'median':>9}{'worst':>9}{'limit':>9}")
    for figure in figures:
        limit = f"{figure.limit:9.0f}" if figure.limit else f"{'':9}"
        print(f"{figure.what:38}{figure.median:9.2f}{figure.worst:9.2f}{limit}{'' if figure.holds else '  over'}")
    return 0 if all(figure.holds for figure in figures) else 1


def measured(path: Path) -> list[Figure]:
    catalog = load_catalog(path)
    few = Person("ada", frozenset({"group-1", "group-500", "group-999"}))
    every = Person("ada", frozenset(catalog.groups))
    allowance, whole = allowance_for(catalog, few), allowance_for(catalog, every)
    return [
        timed("load and check the file", lambda: load_catalog(path), 1000),
        timed("allowance, user in 3 groups", lambda: allowance_for(catalog, few), 5),
        timed("allowance, user in all 1,000 groups", lambda: allowance_for(catalog, every), 5),
        timed(f"form of {offered(allowance)} cards", lambda: render_form(allowance, FormState({})), 50),
        timed(f"form of all {offered(whole)} cards", lambda: render_form(whole, FormState({})), 50),
        timed("check a choice", lambda: choose({"size": f"size-{SIZES - 1}"}, whole)),
        timed("JSON Schema for a client", lambda: schema_from_allowance(whole)),
    ]


def offered(allowance: Allowance) -> int:
    return len(allowance.images) + len(allowance.sizes)


def timed(what: str, work: Callable[[], object], limit: float | None = None) -> Figure:
    work()  # whatever is made once
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1000)
    return Figure(what, statistics.median(took), max(took), limit)


def large_catalog() -> str:
    """Written as an admin would: an entry over several lines, each image and size for everyone or for some group."""
    lines = ["version: 1", "images:"]
    for number in range(IMAGES):
        lines += [
            f"  - id: image-{number}",
            f"    title: Image number {number}",
            "    description: Python, R and shell, with the libraries of one team",
            f"    image: team/notebook:{number}",
            "    default: true" if number == 0 else f"    groups: [group-{number}, group-{number + 1}]",
        ]
    lines += ["sizes:"]
    for number in range(SIZES):
        lines += [
            f"  - id: size-{number}",
            f"    title: Size number {number}",
            f"    cpu: {1 + number % 16}",
            f"    memory: {1 + number % 64} GiB",
            "    default: true" if number == 0 else f"    groups: [group-{number * 5}]",
        ]
    lines += ["custom:", "  cpu: {min: 0.5, max: 4, step: 0.5}", "  memory: {min: 1 GiB, max: 16 GiB, step: 1 GiB}"]
    lines += ["quota: {cpu: 8, memory: 64 GiB}", "groups:"]
    for number in range(GROUPS):
        lines += [
            f"  group-{number}:",
            f"    custom: {{cpu: {{max: {4 + number % 32}}}}}",
            f"    quota: {{cpu: {8 + number % 64}}}",
            "    total: {cpu: 256, memory: 1 TiB}",
            f"    identity: {{environment: {{TEAM: group-{number}}}, supplemental_groups: [{2001 + number}]}}",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
