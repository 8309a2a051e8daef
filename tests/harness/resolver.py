"""Names that lead where a test wants them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def leading_to(address: str, host: str) -> Iterator[None]:
    """A name and all names below it lead to an address, as an admin's DNS entries have it; in this process alone."""
    real = socket.getaddrinfo

    def found(name: Any, *more: Any, **settings: Any) -> Any:
        is_below = isinstance(name, str) and f".{name}".endswith(f".{host}")
        return real(address if is_below else name, *more, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", found)
        yield
