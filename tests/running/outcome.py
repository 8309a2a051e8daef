"""The result of one job, read from pytest's JUnit report where it has one."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_EXPECTED_FAILURE = "pytest.xfail"  # how the report distinguishes them from skipped tests


class MissingRequirement(Exception):
    """A suite needs something that is not available here; the message is the reason for skipping it."""


@dataclass(slots=True)
class Outcome:
    """Result of a job. `postponed` is the reason if it did not run, or did not end, within the budget."""

    job: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    expected: int = 0  # failures that the suite's own list expects
    setup_seconds: float = 0.0
    test_seconds: float = 0.0
    postponed: str = ""

    @property
    def proves(self) -> bool:
        """Whether the job proved its tests: some ran, and each did as expected."""
        complete = not (self.failed or self.skipped or self.postponed)
        return complete and self.passed + self.expected > 0


@dataclass(frozen=True, slots=True)
class Case:
    """One test of a JUnit report, its phases added up."""

    name: str
    seconds: float
    parts: tuple[ET.Element, ...]


def read_cases(report: Path) -> list[Case]:
    """Read a JUnit report. A test that fails twice, as in its clean-up, is one case."""
    found: dict[str, list[ET.Element]] = {}
    for element in ET.parse(report).getroot().iter("testcase"):
        words = [element.get("classname", ""), element.get("name", "")]
        found.setdefault("::".join(word for word in words if word), []).append(element)
    return [
        Case(
            name,
            sum(float(element.get("time", 0)) for element in elements),
            tuple(part for element in elements for part in element),
        )
        for name, elements in found.items()
    ]


def outcome_from_cases(job: str, cases: Sequence[Case]) -> Outcome:
    """Count the cases of a report."""
    outcome = Outcome(job)
    for case in cases:
        kinds = {part.tag: part for part in case.parts}
        if kinds.keys() & {"failure", "error"}:
            outcome.failed.append(case.name)
        elif "skipped" in kinds and kinds["skipped"].get("type") == _EXPECTED_FAILURE:
            outcome.expected += 1
        elif "skipped" in kinds:
            outcome.skipped.append(f"{case.name}: {kinds['skipped'].get('message', '')}")
        else:
            outcome.passed += 1
    return outcome


def slowest(cases: Sequence[Case], count: int = 15) -> list[tuple[str, float]]:
    """Return the slowest cases with their seconds, the slowest first."""
    ordered = sorted(cases, key=lambda case: -case.seconds)
    return [(case.name, round(case.seconds, 2)) for case in ordered[:count]]
