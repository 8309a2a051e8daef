"""What a person sees of the unified image: JupyterLab's page, its kernels, and what is said where memory runs out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from harness.hub import Hub, Person, wait_for
from harness.walk import make_notebook, open_notebook, run_cell, stop_server

from .conftest import Enter

KERNELS = ["Bash", "Python 3 (ipykernel)", "R"]
CELLS = {  # of each kernel; all of them say the same
    "Python 3": "print(6 * 7)",
    "R": "cat(6 * 7)",
    "Bash": "echo $((6 * 7))",
}
FILL_MEMORY = """\
hoard = []
while True: hoard.append(b"x" * 2**25)"""

# What the page got from its server. What was only asked about, and is as the browser has it, counts 300 bytes.
FETCHED = """() => performance.getEntriesByType("resource").filter(it => it.transferSize > 300).map(it => it.name)"""
# A first visit takes some sixty such files.
LAB_FILES = re.compile(r"/static/lab/|/lab/extensions/.*/static/")

OpenLab = Callable[..., Page]


@pytest.fixture(scope="module")
def owner(hub: Hub) -> Iterator[Person]:
    """Somebody whose server runs; all tests share it, each with a workspace of its own."""
    person = hub.person()
    person.started({"image": "unified", "size": "custom", "cpu": "1", "memory": "1 GiB"})
    yield person
    for container in hub.servers.of(person.name):
        container.remove(force=True, v=True)
    person.close()


@pytest.fixture
def errors() -> list[str]:
    """What the pages of `open_lab` complained of."""
    return []


@pytest.fixture
def open_lab(owner: Person, profile: Enter, errors: list[str], request: pytest.FixtureRequest) -> OpenLab:
    """Opens Lab in a new profile: `open_lab("/tree/some.ipynb")`."""

    def open_lab(path: str = "") -> Page:
        page = profile(owner)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{owner.hub.url}/user/{owner.name}/lab/workspaces/{request.node.name}{path}")
        return page

    return open_lab


def test_the_first_page_offers_every_kernel_and_shows_what_is_used_of_the_limits(
    open_lab: OpenLab, errors: list[str], screenshots: Path
) -> None:
    page = open_lab()
    expect(page.locator(".jp-LauncherCard").first).to_be_visible()
    for category in ("Notebook", "Console"):
        assert sorted(cards(page, category).all_inner_texts()) == KERNELS
    expect(cards(page, "Other").filter(has_text=re.compile("^Terminal$"))).to_be_visible()
    logos = page.locator(".jp-LauncherCard[data-category=Notebook] img")
    wait_for(lambda: logos.evaluate_all("logos => logos.every(logo => logo.naturalWidth > 0)"), "the kernels' logos")

    expect(page.locator("#jp-top-bar")).to_have_text(re.compile(r"CPU:\s*\d+%\s*\| Mem:\s*\d+ / 1024 MB\s*$"))
    wait_until_settled(page)
    page.screenshot(path=screenshots / "first-page.png")
    # Lab has a way of its own to open a launcher, a second later.
    assert tabs(page) == ["Launcher"]
    assert errors == []


def test_each_kernel_runs_a_cell(open_lab: OpenLab, errors: list[str], screenshots: Path) -> None:
    page = open_lab()
    for kernel, code in CELLS.items():
        make_notebook(page, kernel)
        expect(run_cell(page, code)).to_have_text(re.compile(r"^42\s*$"))
        new_launcher(page)
    make_notebook(page, "R")
    picture = run_cell(page, "plot(1:10)").locator("img[src^='data:image/png']")
    wait_for(lambda: picture.evaluate("picture => picture.naturalWidth > 100"), "R's plot")

    page.locator("li[data-id=jp-running-sessions]").click()
    running = page.locator("#jp-running-sessions")
    for kernel in KERNELS:
        expect(
            running.locator(".jp-RunningSessions-item", has_text=re.compile(f"^{re.escape(kernel)}"))
        ).to_be_visible()
    page.screenshot(path=screenshots / "kernels.png")
    assert errors == []


def test_a_terminal_knows_the_cpu_of_its_server(hub: Hub, owner: Person, open_lab: OpenLab, errors: list[str]) -> None:
    page = open_lab()
    cards(page, "Other").filter(has_text=re.compile("^Terminal$")).click()
    typed_into = page.locator(".jp-Terminal .xterm-helper-textarea")
    typed_into.wait_for(state="attached")
    typed_into.focus()
    # What a terminal shows is painted, not text; what its command wrote is.
    page.keyboard.type("nproc > nproc.txt\n")
    read = ["sh", "-c", "cat ~/notebooks/nproc.txt 2>/dev/null || true"]
    assert wait_for(lambda: hub.servers.output(owner.name, *read), "what the terminal's command wrote") == "1\n"
    page.locator("[data-command='filebrowser:refresh']").first.click()
    expect(page.locator(".jp-DirListing-item", has_text="nproc.txt")).to_be_visible()
    assert errors == []


def test_a_link_to_a_notebook_opens_it_and_nothing_else(
    hub: Hub, owner: Person, open_lab: OpenLab, errors: list[str]
) -> None:
    empty = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    hub.servers.output(owner.name, "sh", "-c", f"echo '{empty}' > ~/notebooks/linked.ipynb")
    page = open_lab("/tree/linked.ipynb")
    for load in (lambda: None, page.reload):
        load()
        expect(open_notebook(page)).to_be_visible()
        wait_until_settled(page)
        assert tabs(page) == ["linked.ipynb"]

    page.goto(f"{page.url.partition('/tree')[0]}?reset")
    expect(page.locator(".jp-Launcher")).to_be_visible()
    wait_until_settled(page)
    assert tabs(page) == ["Launcher"]
    assert errors == []


def test_a_second_visit_fetches_nothing_of_lab_again(open_lab: OpenLab) -> None:
    page = open_lab()
    expect(page.locator(".jp-Launcher")).to_be_visible()
    assert len(lab_files(page)) > 40
    page.reload()
    expect(page.locator(".jp-Launcher")).to_be_visible()
    assert lab_files(page) == []


def test_running_out_of_memory_is_told_below_the_cell_and_the_next_form_offers_more(
    hub: Hub, owner: Person, open_lab: OpenLab, screenshots: Path
) -> None:
    page = open_lab()
    make_notebook(page)
    output = run_cell(page, FILL_MEMORY)
    told = output.filter(has_text="Out of memory: this server has 1 GiB")
    expect(told).to_be_visible()
    expect(page.get_by_role("dialog")).to_contain_text("The kernel for Untitled")
    page.screenshot(path=screenshots / "out-of-memory.png")
    page.get_by_role("dialog").get_by_role("button", name="Ok").click()
    expect(told).to_be_visible()

    stop_server(page, hub)
    page.goto(f"{hub.url}/hub/spawn/{owner.name}")
    expect(page.get_by_text("A program in your last server ran out of memory, and was ended.")).to_be_visible()
    expect(page.get_by_text("More memory is chosen below.")).to_be_visible()
    expect(page.get_by_role("radio", name="Custom")).to_be_checked()
    expect(page.locator("input[name=memory]")).to_have_value("2")
    page.screenshot(path=screenshots / "more-memory.png")


def cards(page: Page, category: str) -> Locator:
    """The labels on the launcher's cards of a category."""
    return page.locator(f".jp-LauncherCard[data-category={category}] .jp-LauncherCard-label")


def new_launcher(page: Page) -> None:
    page.locator("[data-command='launcher:create']").first.click()


def tabs(page: Page) -> list[str]:
    """What is open in Lab's main area."""
    return page.locator("#jp-main-dock-panel .lm-TabBar-tabLabel").all_inner_texts()


def wait_until_settled(page: Page) -> None:
    """Wait until Lab has saved its workspace, after which it opens a launcher where it misses one."""
    page.wait_for_timeout(2000)


def lab_files(page: Page) -> list[str]:
    """The files of Lab itself that this page has fetched."""
    fetched: list[str] = page.evaluate(FETCHED)
    return [url for url in fetched if LAB_FILES.search(url)]
