"""The package's folders and imports, compared with the rules for them and with the page that draws them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "spawner" / "stateroom"
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
MOST_LINES = 400

Graph = Mapping[str, frozenset[str]]


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def imported(module: str) -> Iterator[str]:
    """Yield our modules that a module imports: at its top, in functions and for type checking."""
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            for name in node.names:
                submodule = f"{node.module}.{name.name}"
                if submodule in MODULES or node.module in MODULES:
                    yield submodule if submodule in MODULES else str(node.module)


IMPORTS: Graph = {module: frozenset(imported(module)) for module in MODULES}


def folder(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def folders_imported() -> Graph:
    """Which folders each folder imports from."""
    found: dict[str, set[str]] = {folder(module): set() for module in MODULES if folder(module)}
    for module, targets in IMPORTS.items():
        if folder(module):
            found[folder(module)] |= {folder(target) for target in targets} - {folder(module)}
    return {name: frozenset(targets) for name, targets in found.items()}


def layers() -> list[list[str]]:
    """The layers of the contract, each with its folders, from top to bottom."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [found] = [contract["layers"] for contract in contracts if contract.get("containers") == ["stateroom"]]
    return [layer.split(" | ") for layer in found]


def drawing() -> Graph:
    """The arrows of the page's picture."""
    [picture] = re.findall(r"```mermaid\nflowchart TD\n(.*?)```", PAGE, re.DOTALL)
    arrows = [line.split(" --> ") for line in map(str.strip, picture.splitlines()) if line]
    return {one: frozenset(end for begin, end in arrows if begin == one) for arrow in arrows for one in arrow}


def reachable(graph: Graph, start: Iterable[str]) -> set[str]:
    """What the arrows lead to from any of `start`, these included."""
    found, left = set(), list(start)
    while left:
        if (one := left.pop()) not in found:
            found.add(one)
            left += graph[one]
    return found


class TestImports:
    def test_there_is_no_cycle(self) -> None:
        try:
            TopologicalSorter(IMPORTS).prepare()
        except CycleError as error:
            pytest.fail(f"these modules import each other in a circle: {' <- '.join(error.args[1])}")

    def test_no_module_imports_the_root(self) -> None:
        """The root leads to the hub. `stateroom.common.version` has the version."""
        assert [module for module, targets in IMPORTS.items() if "stateroom" in targets] == []

    def test_late_imports_and_those_for_types_are_counted(self) -> None:
        assert "stateroom.operations.docker.platform" in IMPORTS["stateroom.operations.platforms"]
        assert "stateroom.hub.spawner" in IMPORTS["stateroom"]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short_enough_to_be_read(module: str) -> None:
    lines = len(MODULES[module].read_text().splitlines())
    assert lines <= MOST_LINES, f"{module} has {lines} lines; split it"


class TestDrawing:
    def test_it_has_all_folders(self) -> None:
        folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
        assert set(drawing()) == folders == {name for layer in layers() for name in layer}

    def test_each_folder_has_a_paragraph_in_the_order_of_the_layers(self) -> None:
        assert re.findall(r"^- \*\*`(\w+)`\*\*: \w", PAGE, re.MULTILINE) == [
            name for layer in layers() for name in layer
        ]

    def test_the_layers_in_the_text_are_the_contracts(self) -> None:
        [text] = re.findall(r"from top to bottom: (.*?)\.", PAGE, re.DOTALL)
        assert re.findall(r"`([^`]+)`", text) == [" | ".join(layer) for layer in layers()]

    def test_each_arrow_is_an_import_and_leads_down(self) -> None:
        depth = {name: number for number, layer in enumerate(layers()) for name in layer}
        for begin, ends in drawing().items():
            assert ends <= folders_imported()[begin], begin
            assert all(depth[end] > depth[begin] for end in ends), begin

    def test_no_arrow_repeats_what_others_say(self) -> None:
        for begin, ends in drawing().items():
            for end in ends:
                assert end not in reachable(drawing(), ends - {end}), f"{begin} --> {end}"

    def test_each_import_follows_the_arrows(self) -> None:
        for begin, ends in folders_imported().items():
            assert ends <= reachable(drawing(), [begin]), begin

    def test_what_the_text_names_is_there(self) -> None:
        names = re.findall(r"`((?:\w+/)+\w+(?:\.py)?)`", PAGE)
        assert names
        for name in names:
            assert (PACKAGE / name).exists() or (ROOT / name).exists(), name


@pytest.mark.parametrize(
    ("words", "unneeded"),
    [
        (["--help"], ["pydantic", "rich", "docker", "requests", "tornado", "argon2", "kubernetes", "sqlalchemy"]),
        (["user", "list"], ["rich", "docker", "requests", "tornado", "kubernetes", "sqlalchemy", "jupyterhub"]),
        (["schema"], ["docker", "requests", "tornado", "argon2", "kubernetes", "jsonschema", "jupyterhub"]),
        (["doctor", "--help"], ["docker", "requests", "tornado", "argon2", "kubernetes", "sqlalchemy", "jupyterhub"]),
    ],
)  # fmt: skip
def test_a_command_imports_only_what_it_needs(words: list[str], unneeded: list[str]) -> None:
    code = (
        "import sys\n"
        "from stateroom.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {unneeded} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stderr.splitlines()[-1] == "[]"
