"""Which tests of a module of JupyterHub's are run here."""

from __future__ import annotations

from fnmatch import fnmatch
from types import ModuleType
from typing import Any


def chosen(module: ModuleType, *patterns: str) -> dict[str, Any]:
    """The module's names, its fixtures among them, but of its tests only those that match."""
    missing = [pattern for pattern in patterns if not any(fnmatch(name, pattern) for name in vars(module))]
    assert not missing, f"{module.__name__} has no {', '.join(missing)}"
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("__") and (not name.startswith("test_") or any(fnmatch(name, p) for p in patterns))
    }
