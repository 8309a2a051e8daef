"""What a fast first cell must not be bought with: the terminal, the file list, the running list, all kernels."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence

from playwright.async_api import Page, expect

from benchmark.to_first_cell.journey import PATIENCE, new_cell, run_cell

_MADE = "made-in-the-terminal.txt"
_CODE = {"python3": "print(6 * 7)", "bash": "echo $((6 * 7))", "ir": "cat(6 * 7)"}
_ASK = """async url => {
    const token = document.cookie.match(/_xsrf=([^;]+)/)[1];
    const answer = await fetch(url, {headers: {"X-XSRFToken": token}});
    return answer.ok ? await answer.json() : {};
}"""


async def use_all(page: Page, base: str, kernels: Sequence[str]) -> None:
    """Use all of it once, in a Lab that has run a cell. Raises AssertionError or playwright's own errors."""
    await use_running_list(page)
    await use_terminal_and_files(page, base)
    for title, code in (await codes(page, base, kernels)).items():
        await new_launcher(page)
        await new_cell(page, title, code)
        await run_cell(page, title, "42")


async def codes(page: Page, base: str, kernels: Sequence[str]) -> dict[str, str]:
    """What each kernel shall run, by its title."""
    found = (await page.evaluate(_ASK, f"{base}api/kernelspecs"))["kernelspecs"]
    titles = {name: it["spec"]["display_name"] for name, it in found.items()}
    assert sorted(titles) == sorted(kernels), f"the server has the kernels {sorted(titles)}, not {sorted(kernels)}"
    return {titles[kernel]: _CODE[kernel] for kernel in kernels}


async def use_running_list(page: Page) -> None:
    """The kernel of the notebook is on the list."""
    await page.locator('li[data-id="jp-running-sessions"]').click()
    panel = page.locator("#jp-running-sessions")
    await expect(panel.locator(".jp-RunningSessions-item", has_text="Untitled").first).to_be_visible(timeout=PATIENCE)
    await page.locator('li[data-id="filebrowser"]').click()


async def use_terminal_and_files(page: Page, base: str) -> None:
    """A terminal runs a command; the file that this makes is on the list."""
    await new_launcher(page)
    await page.locator(".jp-LauncherCard[data-category=Other]", has_text=re.compile("^Terminal$")).click()
    terminal = page.locator(".jp-Terminal .xterm-helper-textarea")
    await terminal.wait_for(state="attached")
    await terminal.focus()
    await page.keyboard.type(f"echo $((6 * 7)) | tee ~/notebooks/{_MADE}\n")
    # What a terminal shows is painted, not text; what its command wrote is.
    end = time.monotonic() + PATIENCE / 1000
    while (await page.evaluate(_ASK, f"{base}api/contents/{_MADE}")).get("content") != "42\n":
        assert time.monotonic() < end, "what was typed into the terminal came to nothing"
        await asyncio.sleep(0.2)
    await page.locator('[data-command="filebrowser:refresh"]').first.click()
    await expect(page.locator(".jp-DirListing-item", has_text=_MADE)).to_be_visible(timeout=PATIENCE)


async def new_launcher(page: Page) -> None:
    """Another tab with the launcher."""
    await page.locator('[data-command="launcher:create"]').first.click()
