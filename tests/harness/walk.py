"""What a person does in the browser: log in, make a notebook, run a cell, save, stop."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from harness.hub import Site

# Works with version 1 and 2 of the kernel's control groups.
WHERE_AND_HOW_MUCH = """\
import os, pathlib
root = pathlib.Path("/sys/fs/cgroup")
if (root / "memory.max").exists():
    memory, cpu = (root / "memory.max").read_text(), (root / "cpu.max").read_text().split()
else:
    memory = (root / "memory/memory.limit_in_bytes").read_text()
    cpu = [(root / f"cpu/cpu.cfs_{name}_us").read_text() for name in ("quota", "period")]
print("found:", os.getcwd(), int(memory), int(cpu[0]) / int(cpu[1]))
"""


def log_in(page: Page, hub: Site, name: str, password: str) -> None:
    """Log in, which leads to the form."""
    page.goto(hub.url)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()


def make_notebook(page: Page, kernel: str = "Python 3") -> None:
    """A new notebook, from the launcher. A cell that is run before there is a kernel is passed over."""
    cards = page.locator(".jp-LauncherCard[data-category=Notebook] .jp-LauncherCard-label:visible")
    cards.filter(has_text=re.compile(rf"^\s*{kernel}")).click()
    expect(open_notebook(page).locator(".jp-Cell")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile(rf"^{kernel}.* Idle$"))).to_be_visible()


def run_cell(page: Page, code: str) -> Locator:
    """Put code into the first cell and run it; its output. Not typed: the editor would add brackets and indentation."""
    editor = open_notebook(page).locator(".jp-Cell .cm-content").first
    editor.fill(code)
    expect(editor).to_contain_text(code.splitlines()[-1].strip())
    editor.press("Shift+Enter")
    return open_notebook(page).locator(".jp-Cell").first.locator(".jp-OutputArea-output")


def open_notebook(page: Page) -> Locator:
    """The notebook whose tab is in front."""
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook")


def save_notebook(page: Page, name: str) -> None:
    """Save under a name, and wait until the tab shows no unsaved change."""
    page.keyboard.press("Control+s")
    page.get_by_role("dialog").get_by_role("textbox").fill(name)
    page.get_by_role("button", name="Rename and Save").click()
    expect(page.locator(".jp-DirListing-item", has_text=name)).to_be_visible()
    expect(page.locator(".jp-mod-dirty")).to_have_count(0)


def stop_server(page: Page, hub: Site) -> None:
    """Stop the server on the hub's home page."""
    # The hub's script loads further ones before the button does anything.
    page.goto(f"{hub.url}/hub/home", wait_until="networkidle")
    page.get_by_role("button", name="Stop My Server").click()
    expect(page.get_by_role("button", name="Stop My Server")).to_be_hidden()
