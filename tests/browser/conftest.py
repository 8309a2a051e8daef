"""A hub and a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from harness.chromium import PATIENCE, PROFILE
from harness.hub import Hub, Person, running_hub
from harness.skips import skip_without_image

Look = Callable[..., None]
Enter = Callable[..., Page]


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    skip_without_image()
    with running_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


@pytest.fixture
def person(hub: Hub) -> Iterator[Person]:
    """Somebody who never started a server; what runs at the end is removed."""
    person = hub.person()
    yield person
    for container in hub.servers.of(person.name):
        container.remove(force=True, v=True)
    person.close()


@pytest.fixture
def profile(browser: Browser, screenshots: Path, request: pytest.FixtureRequest) -> Iterator[Enter]:
    """Opens an empty page in a profile of its own, where a person is logged in: `profile(person)`.

    Further settings are the profile's. How it looked at the end of the test is kept.
    """
    contexts: list[BrowserContext] = []

    def profile(person: Person, **settings: object) -> Page:
        context = browser.new_context(**(PROFILE | settings))
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_cookies(
            [
                {"name": cookie.name, "value": cookie.value or "", "domain": "127.0.0.1", "path": cookie.path}
                for cookie in person.web.cookies
            ]
        )
        return context.new_page()

    yield profile
    for page in (page for context in contexts for page in context.pages):
        page.screenshot(path=screenshots / f"end-of-{request.node.name}.png")
    for context in contexts:
        context.close()


@pytest.fixture
def enter(profile: Enter) -> Enter:
    """Opens the start form of a person, logged in: `enter(person, "/ada/box?size=small")`; settings as `profile`'s."""

    def enter(person: Person, address: str = "", **settings: object) -> Page:
        page = profile(person, **settings)
        page.goto(f"{person.hub.url}/hub/spawn{address}")
        return page

    return enter


@pytest.fixture
def look(screenshots: Path) -> Look:
    """Keeps pictures of a page in light and dark, and fails where axe-core finds that it keeps people out."""

    def look(page: Page, name: str) -> None:
        found = []
        window = page.viewport_size
        assert window is not None
        # As high as the page, or the button that stays at the window's lower edge would hide what is behind it.
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": window["width"], "height": height})
        for theme in ("dark", "light"):
            page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
            page.screenshot(path=screenshots / f"{name}-{theme}.png")
            report = Axe().run(page)
            found += [
                f"{theme}: {fault['impact']} {fault['id']}: {node['target']} {node['failureSummary']}"
                for fault in report.response["violations"]
                for node in fault["nodes"]
            ]
        page.set_viewport_size(window)
        assert found == []

    return look
