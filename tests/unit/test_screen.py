"""What commands print of others' texts, such as an image's labels or a container's name, is text and nothing more."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from stateroom.cli.screen import Screen, print_failure
from stateroom.operations.checks.findings import warn

HOSTILE = "4.6\x1b]0;owned\x07\x1b[2J\x1b[31mred\r\x08\u202e\x9b31m"


def test_no_text_reaches_the_terminal_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    output = io.StringIO()
    screen = Screen(Console(file=output, force_terminal=False, soft_wrap=True))
    screen.line("Image", HOSTILE)
    screen.more(HOSTILE)
    screen.heading(HOSTILE)
    screen.finding("Labels", warn(HOSTILE, HOSTILE))
    screen.text(HOSTILE, (HOSTILE, "bold"))
    screen.table([[HOSTILE, "b"]], header=["image", "other"])
    with screen.step("Build", "Building") as step:
        step.result = HOSTILE
    print_failure(HOSTILE)
    printed = output.getvalue() + capsys.readouterr().err
    assert "4.6" in printed
    assert all(letter.isprintable() or letter == "\n" for letter in printed)


def test_lines_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_failure("Two faults:\nfirst\nsecond")
    assert capsys.readouterr().err == "stateroom: Two faults:\nfirst\nsecond\n"
