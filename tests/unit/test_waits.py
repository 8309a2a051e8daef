"""No wait of a test is without a bound: what hangs must fail, and not take the rest of the run with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ENDLESS = {"wait", "join", "communicate"}  # where they are called without a number of seconds
COMMANDS = {"run", "check_output", "check_call", "call"}
ALLOWED = {
    ("harness/engine_proxy.py", "answers.join()"),  # on a thread of its own, which ends with the connection
    ("harness/hub_in_container.py", "threading.Event().wait()"),  # it lives as long as its container
    ("unit/test_prepull.py", "scene.wait()"),  # of its own
}


def unbounded(source: str) -> Iterator[str]:
    """Yield each call that may take for ever."""
    tree = ast.parse(source)
    bounded = {
        argument
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("wait_for")
        for argument in call.args
    }
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call in bounded:
            continue
        if call.func.attr in ENDLESS and not (call.args or call.keywords):
            yield ast.unparse(call)
        if ast.unparse(call.func) in {f"subprocess.{name}" for name in COMMANDS} and not {
            "timeout",
            None,
        } & {keyword.arg for keyword in call.keywords}:
            yield ast.unparse(call)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("process.wait()", ["process.wait()"]),
        ("process.wait(30)", []),
        ("thread.join()", ["thread.join()"]),
        ("', '.join(words)", []),
        ("subprocess.run(['x'], check=True)", ["subprocess.run(['x'], check=True)"]),
        ("subprocess.run(['x'], check=True, timeout=30)", []),
        ("await asyncio.wait_for(event.wait(), 30)", []),
        ("await event.wait()", ["event.wait()"]),
    ],
)
def test_a_call_that_may_take_for_ever_is_found(source: str, found: list[str]) -> None:
    assert list(unbounded(source)) == found


def test_every_wait_has_a_bound() -> None:
    found = {
        (str(path.relative_to(TESTS)), call)
        for path in TESTS.rglob("*.py")
        if path.parts[len(TESTS.parts)] not in {"benchmark", "soak"}  # which the runner ends
        for call in unbounded(path.read_text())
    }
    assert found - ALLOWED == set()
