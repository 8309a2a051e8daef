"""A real browser for tests. What it saw is kept where STATEROOM_SCREENSHOTS says, else in a temporary folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

# A start may take as long where the machine is busy; nothing here waits without a reason.
PATIENCE = 60_000  # milliseconds
WINDOW: ViewportSize = {"width": 1200, "height": 900}

# Without motion, so that no picture shows a colour on its way.
PROFILE: dict[str, Any] = {"viewport": WINDOW, "reduced_motion": "reduce"}

_FOLDER = pytest.StashKey[Path]()

QUIET = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """Where screenshots go."""
    named = os.environ.get("STATEROOM_SCREENSHOTS")
    folder = Path(named).resolve() if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    pytestconfig.stash[_FOLDER] = folder
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the screenshots are."""
    if _FOLDER in config.stash:
        terminalreporter.write_line(f"Screenshots are in {config.stash[_FOLDER]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all; each test has a profile of its own in it."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed; ./test browser installs it")
    # Chromium's own sandbox does not work as root.
    arguments = [*QUIET, "--no-sandbox"] if os.geteuid() == 0 else [*QUIET]
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, screenshots: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A new profile's page; how it looked at the end of the test is kept."""
    with browser.new_context(**PROFILE) as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        yield page
        page.screenshot(path=screenshots / f"end-of-{request.node.name}.png")
