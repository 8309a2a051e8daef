"""Files that ship with Stateroom besides its code: inside an installed package, else in the checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent.parent
_CHECKOUT = PACKAGE.parent.parent


def shipped(name: str, in_checkout: str) -> Path:
    """Return the path of a shipped file or folder, `in_checkout` being where a checkout has it."""
    installed = PACKAGE / "shipped" / name
    return installed if installed.exists() else _CHECKOUT / in_checkout
