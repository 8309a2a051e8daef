"""What the slow suites import is there: a renamed function is found here, and not after twenty minutes."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
OURS = ("harness", "contract", "running", "stateroom")


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each import of ours."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] in OURS:
            yield from ((str(node.module), alias.name) for alias in node.names if alias.name != "*")


def is_there(module: str, name: str) -> bool:
    """Whether a module has the name, or a module of that name in it."""
    found = importlib.import_module(module)
    is_package = hasattr(found, "__path__")
    return hasattr(found, name) or (is_package and importlib.util.find_spec(f"{module}.{name}") is not None)


@pytest.mark.parametrize("folder", sorted(path.name for path in TESTS.iterdir() if any(path.rglob("test_*.py"))))
def test_all_that_a_suite_imports_is_there(folder: str) -> None:
    wanted = [(file, *one) for file in sorted((TESTS / folder).rglob("*.py")) for one in imports(file)]
    missing = [
        f"{file.relative_to(TESTS)}: {module}.{name}" for file, module, name in wanted if not is_there(module, name)
    ]
    assert missing == []
