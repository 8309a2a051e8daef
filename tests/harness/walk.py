"""What a person does in the browser: log in, make a notebook, run a cell, save, stop."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

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


def make_notebook(page: Page) -> None:
    """A new notebook, from the launcher. A cell that is run before there is a kernel is passed over."""
    page.locator(".jp-LauncherCard[data-category=Notebook]", has_text="Python 3").first.click()
    expect(page.locator(".jp-Notebook .jp-Cell")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile(r"^Python 3 .* Idle$"))).to_be_visible()


def run_cell(page: Page, code: str) -> None:
    """Put code into the first cell and run it. Not typed: the editor would add brackets and indentation."""
    editor = page.locator(".jp-Notebook .jp-Cell .cm-content").first
    editor.fill(code)
    expect(editor).to_contain_text("print(")
    editor.press("Shift+Enter")


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
