"""Figures that tests tell to whoever runs them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Told = Callable[[str], None]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Says a figure at once, however pytest was called."""

    def tell(sentence: str) -> None:
        with capsys.disabled():
            print(f"\n{sentence}", end=" ", flush=True)  # noqa: T201 - the figure is the result

    return tell
