"""Wait until a server answers.

No engine has an event for "the port is open", so this asks: often at first,
when a fast server comes up, then less so.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from tornado.httputil import HTTPInputError
from tornado.iostream import UnsatisfiableReadError

from stateroom.common.quantity import MiB

_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.25
_GROWTH = 1.12
_LONGEST_CONNECT = 1.0
_LONGEST_REQUEST = 5.0
_LARGEST_ANSWER = MiB  # a Jupyter server's is a version in some braces


async def wait_until_answers(address: str, base_url: str, tls: ssl.SSLContext | None = None) -> None:
    """Return once `base_url`'s API gives any answer below 500 of at most 1 MiB, as JupyterHub itself will ask.

    `tls` is the hub's side where the address is https: whom it trusts, and its own certificate.
    Runs until cancelled: the caller holds the deadline and knows whether the
    server still lives.
    """
    client = AsyncHTTPClient(force_instance=True, max_body_size=_LARGEST_ANSWER)
    request = HTTPRequest(
        f"{address}{base_url}api",
        connect_timeout=_LONGEST_CONNECT,
        request_timeout=_LONGEST_REQUEST,
        follow_redirects=False,
        ssl_options=tls,
    )
    pause = _FIRST_PAUSE
    try:
        while not (await _listens(address) and await _answers(client, request)):
            await asyncio.sleep(pause)
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)
    finally:
        client.close()


async def _listens(address: str) -> bool:
    """Whether the port is open: costs the loop a fifth of a request, and tells most of the waiting."""
    there = urlsplit(address)
    try:
        async with asyncio.timeout(_LONGEST_CONNECT):
            _, connection = await asyncio.open_connection(there.hostname, there.port)
    except (OSError, TimeoutError):
        return False
    connection.close()
    return True


async def _answers(client: AsyncHTTPClient, request: HTTPRequest) -> bool:
    try:
        response = await client.fetch(request, raise_error=False)
    except (OSError, HTTPError, HTTPInputError, UnsatisfiableReadError):  # no answer, none in time, or one too large
        return False
    return response.code < 500  # noqa: PLR2004 - the class of HTTP codes
