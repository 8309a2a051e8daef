"""What the answers of a cluster's API mean: its errors as ours, and its lists item by item."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import aiohttp

from stateroom.common.errors import BackendUnavailable, EngineRefused, NameTaken

_LONGEST_RETRY_AFTER = 5.0
_LATER = "Try again in a minute, and tell an administrator if it stays so; running servers go on."


class Expired(BackendUnavailable):
    """The cluster no longer remembers the version that a list or a watch was to go on from."""


class NotFound(EngineRefused):
    """For what is read or changed it means that there is none; for what is made, that its namespace is not there."""


def read_page(data: bytes) -> dict[str, Any]:
    """A list with its items last, as Kubernetes has them. Raises BackendUnavailable for what is no list.

    Read at once, a page is tens of thousands of objects that live at the same time, for which Python looks through
    the whole process for what it can free: a tenth of a second and more in a hub.
    """
    head, _, items = data.decode(errors="replace").partition('"items":')  # never part of a text: quotes are escaped
    try:
        if '"metadata":' not in head:  # whoever stands between has put it in another order
            found: dict[str, Any] = json.loads(data)
            return found
        return {**json.loads(head.rstrip(" ,\n") + "}"), "items": _one_by_one(items)}
    except ValueError as error:
        raise silent(error) from error


def _one_by_one(items: str) -> Iterator[dict[str, Any]]:
    """What is in a list, of which there may be more text behind."""
    decoder = json.JSONDecoder()
    at = 0
    try:
        while items[at := _past(items, at)] != "]":
            item, at = decoder.raw_decode(items, at)
            yield item
    except (ValueError, IndexError) as error:
        raise silent(error) from error


def _past(text: str, at: int) -> int:
    """Where the next item begins, or the list ends."""
    while text[at] in "[, \n":
        at += 1
    return at


async def status_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """What the API says of an error: its `Status`, or the text of whatever stands before it."""
    try:
        data = await response.read()
        found = json.loads(data)
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return {"message": response.reason or ""}
    return found if isinstance(found, dict) else {}


def met_another(method: str, status: Mapping[str, Any]) -> bool:
    """Whether a write was not done since another came between, as with a quota that many pods count towards."""
    return method in {"POST", "PATCH"} and status.get("reason") == "Conflict"


def retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds after which to ask again, where the API says that what was asked has not been done."""
    text = response.headers.get("Retry-After", "")
    if response.status == 429:  # noqa: PLR2004
        return min(float(text) if text.isdecimal() else 1.0, _LONGEST_RETRY_AFTER)
    return min(float(text), _LONGEST_RETRY_AFTER) if response.status >= 500 and text.isdecimal() else None  # noqa: PLR2004


def as_error(code: int, status: Mapping[str, Any]) -> Exception:
    message = str(status.get("message") or status.get("reason") or f"HTTP {code}")
    exact: dict[int, Exception] = {
        404: NotFound(message),
        409: NameTaken(message),
        410: Expired(f"The cluster's memory of changes has moved on: {message}"),
        401: BackendUnavailable(f"The cluster does not take the hub's credentials. {_LATER}", detail=message),
        429: BackendUnavailable(f"The cluster has too much to do. {_LATER}", detail=message),
    }
    if code >= 500:  # noqa: PLR2004 - the class of HTTP codes
        return BackendUnavailable(f"The cluster's API answered with an error. {_LATER}", detail=message)
    return exact.get(code) or EngineRefused(message)


def silent(error: BaseException) -> BackendUnavailable:
    return BackendUnavailable(
        f"The cluster does not answer. {_LATER}",
        detail=f"{type(error).__name__} {error}".strip(),
    )
