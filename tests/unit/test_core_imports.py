"""The core must be usable, and testable, where neither a hub nor an engine's library is installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

CORE = [
    "stateroom", "stateroom.errors", "stateroom.quantity", "stateroom.catalog", "stateroom.document",
    "stateroom.loading", "stateroom.values", "stateroom.policy", "stateroom.choice", "stateroom.names",
    "stateroom.spec", "stateroom.progress", "stateroom.deadline", "stateroom.readiness", "stateroom.form",
    "stateroom.backends.base", "stateroom.backends.memory",
]  # fmt: skip

BLOCKER = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"jupyterhub", "docker", "kubernetes", "traitlets", "requests"}:
            raise ImportError(f"the core imports {name}")

sys.meta_path.insert(0, Blocker())
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize("module", CORE)
def test_the_core_imports_without_a_hub_or_an_engine(module: str) -> None:
    outcome = subprocess.run([sys.executable, "-c", BLOCKER, module], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


def test_the_blocker_blocks() -> None:
    outcome = subprocess.run([sys.executable, "-c", BLOCKER, "docker"], capture_output=True, text=True, check=False)
    assert "the core imports docker" in outcome.stderr
