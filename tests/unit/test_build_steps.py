"""How the steps of a build are named, and how the time that is left is told."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from stateroom.cli.progress import _lines
from stateroom.images.build_steps import SENDING, STORING, BuildStep, seconds_left, timed, title_of


@pytest.mark.parametrize(
    ("instruction", "title"),
    [
        ("RUN apt-get update && apt-get install --yes git", "Installing Debian packages"),
        ("[python 2/2] RUN /build/install.sh python3-venv && pip install uv", "Installing Debian packages"),
        ("RUN uv pip install --requirement /libraries.lock", "Installing the libraries"),
        ("COPY --from=build /opt /opt", "Putting the image together"),
        ("LABEL a=b", "before"),
    ],
)
def test_long_steps_have_a_title_and_quick_ones_that_of_the_step_before(instruction: str, title: str) -> None:
    assert title_of(instruction, "before", "the libraries") == title


def test_at_first_the_usual_time_is_left_and_then_what_the_pace_so_far_says() -> None:
    assert seconds_left("Asking the registry for debian", 0, 80) == 95
    assert seconds_left("Installing Debian packages", 5, 80) == 80
    assert seconds_left("Installing the libraries", 20, 80) == pytest.approx(56)
    assert seconds_left("Installing the libraries", 60, 80) == pytest.approx(140)
    assert seconds_left("Putting the image together", 160, 80) == pytest.approx(40)
    assert seconds_left(STORING, 180, 80) == pytest.approx(20)


def test_each_step_is_told_with_the_time_since_the_files_were_sent() -> None:
    seen: list[BuildStep] = []
    now = 0.0
    report = timed(seen.append, 80, lambda: now)
    for title, line, moment in [
        ("Asking the registry", "", 0),
        (SENDING, "", 30),
        (STORING, "", 120),
        (STORING, "layer", 125),
    ]:
        now = moment
        report(BuildStep(1, 2, title, line))
    assert [round(step.left) for step in seen] == [95, 80, 10, 10]


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (0.0, ""),
        (3.0, ", about 10 s left"),
        (41.0, ", about 50 s left"),
        (95.0, ", about 2 min left"),
        (300.0, ", about 5 min left"),
    ],
)
def test_in_a_log_each_kind_of_step_is_a_line_with_what_is_left(left: float, told: str) -> None:
    written = io.StringIO()
    report = _lines(Console(file=written))
    for line in ("", "Get:1 git"):
        report(BuildStep(1, 9, "Installing Debian packages", line, left))
    assert written.getvalue() == f"[1/9] Installing Debian packages{told}\n"
