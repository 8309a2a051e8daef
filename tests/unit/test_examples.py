"""What stands in the READMEs and in config/ is true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stateroom.choice import choose
from stateroom.errors import CatalogError, ChoiceRefused
from stateroom.loading import load_catalog, parse_catalog
from stateroom.policy import allowance_for

from .conftest import ADA

ROOT = Path(__file__).parents[2]
CATALOGS = sorted((ROOT / "config").glob("*.yaml"))
READMES = sorted(
    path for path in ROOT.glob("**/README.md") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.name)
def test_every_catalog_that_we_ship_is_valid(path: Path) -> None:
    load_catalog(path)


def test_the_default_catalog_is_among_them() -> None:
    assert "catalog.yaml" in [path.name for path in CATALOGS]


@pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))
class TestReadme:
    def test_its_catalogs_are_valid(self, readme: Path) -> None:
        for text in blocks(readme, "yaml"):
            if text.startswith("version:"):
                parse_catalog(text, readme.name)

    def test_its_commands_exist(self, readme: Path) -> None:
        for command in {line.split()[2] for line in console_lines(readme) if line.startswith("$ stateroom ")}:
            outcome = subprocess.run(
                [sys.executable, "-m", "stateroom.cli.main", command, "--help"], capture_output=True, check=False
            )
            assert outcome.returncode == 0, f"`stateroom {command}` is no command"

    def test_its_scripts_exist(self, readme: Path) -> None:
        for line in console_lines(readme):
            if script := re.match(r"\$ \./([\w./-]+)", line):
                assert (ROOT / script[1]).exists(), line

    def test_its_links_lead_somewhere(self, readme: Path) -> None:
        missing = [link for link in LINK.findall(readme.read_text()) if not (readme.parent / link.strip()).exists()]
        assert missing == []


def console_lines(readme: Path) -> Iterator[str]:
    for text in blocks(readme, "console"):
        yield from text.splitlines()


def blocks(readme: Path, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(readme.read_text()) if name == language]


def test_the_faults_that_the_readme_shows_are_those_of_its_catalog() -> None:
    readme = ROOT / "README.md"
    (catalog,) = blocks(readme, "yaml")
    broken = catalog.replace("2 GiB", "2 GBs", 1).replace("custom:", "costum:")
    with pytest.raises(CatalogError) as caught:
        parse_catalog(broken, "broken.yaml")
    assert [line for line in console_lines(readme) if line.startswith("broken.yaml:")] == list(caught.value.problems)


def test_the_refusal_that_the_readme_shows_is_what_is_said() -> None:
    readme = ROOT / "README.md"
    (catalog,) = blocks(readme, "yaml")
    with pytest.raises(ChoiceRefused) as caught:
        choose({"cpu": 12}, allowance_for(parse_catalog(catalog), ADA))
    assert json.dumps({"status": 400, "message": str(caught.value)}) in list(console_lines(readme))
