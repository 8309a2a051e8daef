"""The one walk that everything is for: log in, pick a size, work at ~/notebooks, stop, come back."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from docker.models.containers import Container
from playwright.sync_api import Page, ViewportSize, expect

from harness.hub import PATIENCE, Hub, wait_for
from harness.walk import WHERE_AND_HOW_MUCH, log_in, make_notebook, run_cell, save_notebook, stop_server

from .conftest import Look

README_PICTURE = Path(__file__).parents[2] / "spawner" / "form.png"
LARGEST_PICTURE = 150_000
PICTURE: ViewportSize = {"width": 1200, "height": 735}


def test_a_person_picks_a_size_and_works_at_notebooks(hub: Hub, page: Page, look: Look, screenshots: Path) -> None:
    person = hub.person(name="ada")
    log_in(page, hub, person.name, person.password)

    expect(page.get_by_role("radio", name=re.compile("^Small"))).to_be_visible()
    expect(page.get_by_role("radio", name=re.compile("^Large"))).to_be_visible()
    expect(page.get_by_role("radio", name=re.compile("^Standard"))).to_be_checked()
    page.screenshot(path=screenshots / "form.png")

    page.get_by_role("radio", name="Custom").check()
    page.locator("input[name=cpu]").fill("1.5")
    page.locator("input[name=memory]").fill("3")
    keep_picture_for_readme(page, screenshots / "custom.png")
    with held_while_starting(hub, person.name):
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.locator("#progress-message")).to_contain_text(re.compile("server", re.IGNORECASE))
        look(page, "progress")

    expect(page.locator(".jp-Launcher")).to_be_visible()
    page.screenshot(path=screenshots / "lab.png")
    make_notebook(page)
    run_cell(page, WHERE_AND_HOW_MUCH)
    expect(page.locator(".jp-OutputArea-output")).to_contain_text("found: /home/jovyan/notebooks 3221225472 1.5")
    page.screenshot(path=screenshots / "notebook.png")
    save_notebook(page, "walk.ipynb")

    stop_server(page, hub)
    wait_for(lambda: not hub.servers.of(person.name), "the server's end")

    page.goto(f"{hub.url}/hub/spawn/{person.name}")
    expect(page.get_by_role("radio", name="Custom")).to_be_checked()
    expect(page.locator("input[name=cpu]")).to_have_value("1.5")
    page.get_by_role("button", name="Start").click()
    page.locator(".jp-DirListing-item", has_text="walk.ipynb").dblclick()
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("found: /home/jovyan/notebooks")
    page.screenshot(path=screenshots / "again.png")


def test_a_refused_choice_shows_what_was_typed_and_why(hub: Hub, page: Page, screenshots: Path) -> None:
    person = hub.person()
    log_in(page, hub, person.name, person.password)
    page.get_by_role("radio", name="Custom").check()
    page.locator("input[name=cpu]").fill("12")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("You asked for 12 CPU. The most offered to you is 4.")).to_be_visible()
    expect(page.locator("input[name=cpu]")).to_have_value("12")
    page.screenshot(path=screenshots / "refused.png")
    assert hub.servers.of(person.name) == []


@contextmanager
def held_while_starting(hub: Hub, user: str) -> Iterator[None]:
    """Freeze the server as soon as it runs: a fast start would be over before the browser has shown its progress."""

    def freeze() -> Container:
        running = wait_for(
            lambda: [found for found in hub.servers.of(user) if found.status == "running"], "the container", pause=0.02
        )
        running[0].pause()
        return running[0]

    with ThreadPoolExecutor(1) as thread:
        frozen = thread.submit(freeze)
        try:
            yield
        finally:
            frozen.result(PATIENCE).unpause()


def keep_picture_for_readme(page: Page, picture: Path) -> None:
    """The form alone and small; the README's own picture is only written when STATEROOM_README_PICTURE is set."""
    before = page.viewport_size
    assert before is not None
    page.get_by_role("heading", name="Start your server").click()  # no field shows a cursor
    page.set_viewport_size(PICTURE)
    page.screenshot(path=picture)
    page.set_viewport_size(before)
    assert picture.stat().st_size < LARGEST_PICTURE
    if os.environ.get("STATEROOM_README_PICTURE"):
        shutil.copyfile(picture, README_PICTURE)


def test_a_person_changes_their_password(hub: Hub, page: Page, look: Look) -> None:
    person = hub.person()
    log_in(page, hub, person.name, person.password)
    page.get_by_role("link", name="Password").click()
    expect(page.get_by_role("heading", name="Your password")).to_be_visible()
    look(page, "password")

    def submit(new: str, again: str) -> None:
        page.get_by_label("Current password").fill(person.password)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_label("New password once more").fill(again)
        page.get_by_role("button", name="Change it").click()

    submit("a longer password", "another one")
    expect(page.get_by_role("alert")).to_have_text("The two new passwords differ.")
    look(page, "password-refused")
    submit("a longer password", "a longer password")
    expect(page.get_by_role("status")).to_have_text("Your password is changed.")
    look(page, "password-changed")
    page.get_by_role("link", name="Home", exact=True).click()
    expect(page.locator("#login_widget")).to_contain_text(person.name)
