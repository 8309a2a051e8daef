"""From the click on Start to the first cell's result, as a person in a browser sees it.

All moments are of one clock, this machine's, in seconds: the page's `Date.now()`,
the engine's `StartedAt` and `time.time()` read the same one. The page is looked
at from inside every ten milliseconds; what acts is the browser's own mouse and
keyboard, since playwright's waiting would round every moment up.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, CDPSession, Page, Playwright, Request

from benchmark.to_first_cell.container import EngineWatch
from benchmark.to_first_cell.report import Journey, Loading
from benchmark.to_first_cell.report import Request as Asked
from harness.chromium import QUIET

PATIENCE = 90_000  # milliseconds
_EVERY = 10  # milliseconds between two looks at the page
_WINDOW = {"width": 1200, "height": 900}
_KERNEL = "Python 3"
_CODE = "print(6 * 7)"
_RESULT = "42"

# `lookFor` finds what a pointer can hit: shown, under nothing else, and where it was at the last look.
_LOOK = """
performance.setResourceTimingBufferSize(5000);
window.lookFor = (selector, pattern) => {
    const fits = new RegExp(pattern);
    const all = [...document.querySelectorAll(selector)];
    const found = all.find(it => it.checkVisibility() && fits.test(it.textContent));
    if (!found) return null;
    const box = found.getBoundingClientRect();
    const x = box.x + box.width / 2, y = box.y + box.height / 2;
    const before = window.lookedAt;
    window.lookedAt = [selector, x, y].join();
    const hit = document.elementFromPoint(x, y);
    return before === window.lookedAt && box.width && hit && found.contains(hit) && {at: Date.now(), x, y};
};
"""
_FOUND = "([selector, pattern]) => window.lookFor && window.lookFor(selector, pattern)"
_SAID = """([selector, pattern]) => [...document.querySelectorAll(selector)]
    .some(it => it.checkVisibility() && new RegExp(pattern).test(it.textContent)) && {at: Date.now()}"""

# What the page fetched until a moment, in seconds of the machine's clock.
_FETCHED = """() => {
    const shift = Date.now() - performance.now();
    return [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")].map(it => ({
        start: it.startTime + shift, asked: (it.requestStart || it.startTime) + shift,
        answered: (it.responseStart || it.responseEnd) + shift, end: it.responseEnd + shift, size: it.transferSize,
    }));
}"""

_CARD = ".jp-LauncherCard[data-category=Notebook] .jp-LauncherCard-label"
_CELL = ".jp-Notebook .jp-Cell .cm-content"
_OUTPUT = ".jp-Notebook .jp-OutputArea-output"
_LAB = re.compile(r"/user/[^/]+/lab\b")
_STATUS = "#jp-main-statusbar *"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something was seen, and when."""

    at: float
    x: float
    y: float


@asynccontextmanager
async def new_profile(browser: Browser) -> AsyncIterator[Page]:
    """The page of somebody who has never been here."""
    context = await browser.new_context(viewport=_WINDOW, reduced_motion="reduce")
    try:
        yield await prepared(context)
    finally:
        await context.close()


async def prepared(context: BrowserContext) -> Page:
    """A new page of a profile, that can be looked at."""
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    await page.add_init_script(_LOOK)
    return page


@asynccontextmanager
async def known_profile(playwright: Playwright, folder: Path) -> AsyncIterator[Page]:
    """The page of somebody whose browser keeps in the folder what it got before."""
    context = await playwright.chromium.launch_persistent_context(
        folder, viewport=_WINDOW, reduced_motion="reduce", **program()
    )
    try:
        yield await prepared(context)
    finally:
        await context.close()


def program() -> dict[str, Any]:
    """What playwright starts."""
    # Chromium's own sandbox does not work as root.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return {"executable_path": shutil.which("chromium"), "args": [*QUIET, *sandbox]}


class Disturbed(Exception):
    """A new container's network ended a request of this machine's browser; no browser elsewhere would notice."""


async def undisturbed(page: Page, walk: Coroutine[None, None, Journey]) -> Journey:
    """The walk, given up as soon as it is known to count for nothing. Raises Disturbed."""
    disturbed = asyncio.Event()

    def failed(request: Request) -> None:
        if "ERR_NETWORK_CHANGED" in (request.failure or ""):
            disturbed.set()

    page.on("requestfailed", failed)
    walking, waiting = asyncio.create_task(walk), asyncio.create_task(disturbed.wait())
    try:
        await asyncio.wait({walking, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if disturbed.is_set():
            raise Disturbed
        return walking.result()
    finally:
        for task in (walking, waiting):
            task.cancel()
        await asyncio.gather(walking, waiting, return_exceptions=True)
        page.remove_listener("requestfailed", failed)


async def log_in(page: Page, url: str, user: str) -> None:
    """Log in, which leads to the form."""
    await page.goto(f"{url}/hub/spawn")
    if await page.get_by_label("Username").count():
        await page.get_by_label("Username").fill(user)
        await page.get_by_label("Password").fill("any")
        await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name="Start").wait_for()
    # The hub's scripts load further ones; a person reads the form meanwhile.
    await page.wait_for_load_state("networkidle")


async def walk(page: Page, watch: EngineWatch) -> Journey:
    """From the form, which is shown, to the result of the first cell."""
    metrics = await page.context.new_cdp_session(page)
    await metrics.send("Performance.enable")
    start = page.get_by_role("button", name="Start")
    await start.scroll_into_view_if_needed()
    box = await start.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    clicked = time.time()
    await page.mouse.down()
    await page.mouse.up()
    await page.wait_for_url(_LAB, wait_until="commit")
    before = await computed(metrics)
    launcher = await seen(page, _CARD, f"^{_KERNEL}")
    after = await computed(metrics)
    await new_cell(page, _KERNEL, _CODE, launcher)
    idle, result = await run_cell(page, _KERNEL, _RESULT)
    server = watch.result()
    fetched = [entry for entry in await page.evaluate(_FETCHED) if entry["end"] / 1000 <= launcher.at]
    html = fetched[0]
    return Journey(
        clicked=clicked,
        container_runs=server.started,
        server_answers=server.answered,
        lab_html=html["end"] / 1000,
        launcher=launcher.at,
        idle=idle,
        result=result,
        loading=loading(fetched[1:], before, after),
    )


async def new_cell(page: Page, kernel: str, code: str, card: Spot | None = None) -> None:
    """A new notebook from the launcher's card of a kernel, with this code in its first cell."""
    card = card or await seen(page, _CARD, f"^{re.escape(kernel)}")
    await page.mouse.click(card.x, card.y)
    cell = await seen(page, _CELL, "^\\s*$")
    await page.mouse.click(cell.x, cell.y)
    await page.keyboard.insert_text(code)


async def run_cell(page: Page, kernel: str, result: str) -> tuple[float, float]:
    """Run the cell as soon as there is a kernel: before, it would be passed over. When there was one, and a result."""
    idle = await said(page, _STATUS, f"^{re.escape(kernel)}.* \\| Idle$")
    await page.keyboard.press("Shift+Enter")
    return idle, await said(page, _OUTPUT, f"^{result}\\s*$")


def loading(fetched: list[dict[str, Any]], before: dict[str, float], after: dict[str, float]) -> Loading:
    """What the page asked for between its HTML and the launcher, and what the browser computed."""
    return Loading(
        requests=len(fetched),
        size=sum(entry["size"] for entry in fetched),
        waiting=covered([(entry["asked"] / 1000, entry["answered"] / 1000) for entry in fetched]),
        receiving=covered([(entry["answered"] / 1000, entry["end"] / 1000) for entry in fetched]),
        scripts=after["ScriptDuration"] - before["ScriptDuration"],
        tasks=after["TaskDuration"] - before["TaskDuration"],
    )


def covered(spans: list[tuple[float, float]]) -> float:
    """How much time at least one of the spans covers."""
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


async def computed(session: CDPSession) -> dict[str, float]:
    """What the page's process has computed so far, in seconds by kind."""
    answer = await session.send("Performance.getMetrics")
    return {metric["name"]: metric["value"] for metric in answer["metrics"]}


async def seen(page: Page, selector: str, pattern: str) -> Spot:
    """Wait until a pointer can hit it."""
    handle = await page.wait_for_function(_FOUND, arg=[selector, pattern], polling=_EVERY)
    found = await handle.json_value()
    return Spot(found["at"] / 1000, found["x"], found["y"])


async def said(page: Page, selector: str, pattern: str) -> float:
    """Wait until it says so; when that was."""
    handle = await page.wait_for_function(_SAID, arg=[selector, pattern], polling=_EVERY)
    at: float = (await handle.json_value())["at"] / 1000
    return at


@asynccontextmanager
async def recorded(page: Page) -> AsyncIterator[list[Asked]]:
    """All requests that end while the body runs, redirects too, in the order of their starts."""
    session = await page.context.new_cdp_session(page)
    record = _Record()
    session.on("Network.requestWillBeSent", record.sent)
    session.on("Network.responseReceived", record.answered)
    session.on("Network.loadingFinished", record.finished)
    session.on("Network.loadingFailed", record.finished)
    session.on("Network.webSocketCreated", record.socket)
    session.on("Network.webSocketWillSendHandshakeRequest", record.socket_sent)
    session.on("Network.webSocketHandshakeResponseReceived", record.socket_answered)
    await session.send("Network.enable")
    requests: list[Asked] = []
    yield requests
    requests += sorted(record.requests, key=lambda it: it.start)


class _Record:
    """Puts the browser's events about a request together."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self._open: dict[str, dict[str, Any]] = {}

    def sent(self, event: dict[str, Any]) -> None:
        if "redirectResponse" in event:
            self._answer(event["requestId"], event["redirectResponse"])
            self._close(event["requestId"], event["timestamp"], event["redirectResponse"]["encodedDataLength"])
        self._open[event["requestId"]] = {
            "url": event["request"]["url"], "method": event["request"]["method"],
            "at": event["timestamp"], "shift": event["wallTime"] - event["timestamp"], "status": 0, "first": None,
        }  # fmt: skip

    def answered(self, event: dict[str, Any]) -> None:
        self._answer(event["requestId"], event["response"])

    def finished(self, event: dict[str, Any]) -> None:
        self._close(event["requestId"], event["timestamp"], event.get("encodedDataLength", 0))

    def socket(self, event: dict[str, Any]) -> None:
        self._open[event["requestId"]] = {
            "url": event["url"], "method": "GET", "status": 0, "first": None,
        }  # fmt: skip

    def socket_sent(self, event: dict[str, Any]) -> None:
        self._open[event["requestId"]] |= {
            "at": event["timestamp"], "shift": event["wallTime"] - event["timestamp"],
        }  # fmt: skip

    def socket_answered(self, event: dict[str, Any]) -> None:
        self._open[event["requestId"]]["status"] = event["response"]["status"]
        self._close(event["requestId"], event["timestamp"], 0)

    def _answer(self, request: str, response: dict[str, Any]) -> None:
        if found := self._open.get(request):
            found["status"] = response["status"]
            if timing := response.get("timing"):
                found["first"] = timing["requestTime"] + timing["receiveHeadersEnd"] / 1000

    def _close(self, request: str, timestamp: float, size: float) -> None:
        found = self._open.pop(request, None)
        if found is None or "at" not in found:
            return
        shift = found["shift"]
        self.requests.append(
            Asked(
                url=found["url"],
                method=found["method"],
                status=found["status"],
                start=found["at"] + shift,
                # What comes from the cache brings the times of when it was fetched.
                first_byte=max(found["at"], min(found["first"] or timestamp, timestamp)) + shift,
                end=timestamp + shift,
                size=int(size),
            )
        )
