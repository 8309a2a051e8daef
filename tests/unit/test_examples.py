"""What stands in the READMEs and in config/ is true."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from harness.command import run
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.reference import catalog_schema
from stateroom.catalog.scalars import OWN_VARIABLES
from stateroom.common.errors import CatalogError, ChoiceRefused
from stateroom.offers.allowance import allowance_for
from stateroom.offers.choice import choose
from stateroom.workloads.server import threads

from .conftest import ADA

ROOT = Path(__file__).parents[2]
CATALOGS = sorted((ROOT / "config").glob("*.yaml"))
# Folders whose names start with a dot are not looked into: a cluster that runs changes what is in its own.
READMES = sorted([ROOT / "README.md", *ROOT.glob("[!.]*/**/README.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.name)
class TestCatalog:
    def test_it_holds(self, path: Path) -> None:
        assert " holds: " in run("check", path).assert_success().out

    def test_an_editor_with_the_schema_finds_nothing_wrong(self, path: Path) -> None:
        Draft202012Validator(catalog_schema()).validate(yaml.safe_load(path.read_text()))

    def test_it_is_listed_in_the_folders_readme(self, path: Path) -> None:
        assert f"]({path.name})" in (ROOT / "config" / "README.md").read_text()


def test_the_schema_refuses_what_is_misspelled() -> None:
    catalog = yaml.safe_load((ROOT / "config" / "catalog.yaml").read_text())
    schema = Draft202012Validator(catalog_schema())
    assert not schema.is_valid(catalog | {"sizs": []})
    assert not schema.is_valid(catalog | {"idle": {"stop_after": 8}})


def test_the_reference_page_is_current() -> None:
    readme = (ROOT / "config" / "README.md").read_text()
    assert readme.endswith(run("schema", "--page").assert_success().out), "run: stateroom schema --page"


def test_the_table_of_variables_is_whole() -> None:
    table = (ROOT / "config" / "README.md").read_text().partition("## What a server is told")[2].partition("\n## ")[0]
    firsts = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    named = re.findall("`([A-Z_]+)`", firsts)
    assert sorted(named) == sorted([*OWN_VARIABLES, *threads(1000), "JUPYTERHUB_USER", "JUPYTERHUB_SERVER_NAME"])


def test_the_charts_schema_is_current() -> None:
    schema = (ROOT / "helm" / "stateroom" / "values.schema.json").read_text()
    assert schema == run("schema", "--values").assert_success().out, "run: stateroom schema --values"


def test_the_charts_reference_page_is_current() -> None:
    head, _, page = (ROOT / "helm" / "stateroom" / "README.md").read_text().partition("\n## Values\n")
    assert head
    assert page.endswith(f"\n\n{run('schema', '--values', '--page').out}"), "run: stateroom schema --values --page"


def test_the_catalogs_of_the_readmes_hold(tmp_path: Path) -> None:
    texts = [text for readme in READMES for text in blocks(readme, "yaml") if text.startswith("version:")]
    assert len(texts) > 1
    for text in texts:
        (tmp_path / "catalog.yaml").write_text(text)
        run("check", tmp_path / "catalog.yaml").assert_success()


def test_what_the_catalogs_readme_shows_of_the_commands_is_what_they_print(tmp_path: Path) -> None:
    readme = ROOT / "config" / "README.md"
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(blocks(readme, "yaml")[0])
    printed = run("check", catalog).out.replace(str(catalog), "catalog.yaml")
    printed += run("explain", catalog, "--user", "ada", "--groups", "research").out
    shown = [line for line in console_lines(readme) if not line.startswith("$ ")]
    assert [line.split() for line in printed.splitlines()] == [line.split() for line in shown]


def test_the_default_catalog_is_among_them() -> None:
    assert "catalog.yaml" in [path.name for path in CATALOGS]


@pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))
class TestReadme:
    def test_its_commands_exist(self, readme: Path) -> None:
        for command in {line.split()[2] for line in console_lines(readme) if line.startswith("$ stateroom ")}:
            outcome = subprocess.run(
                [sys.executable, "-m", "stateroom.cli.main", command, "--help"],
                capture_output=True,
                check=False,
                timeout=120,
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


def readme_catalog() -> str:
    """The one catalog of the first page."""
    (catalog,) = (text for text in blocks(ROOT / "README.md", "yaml") if text.startswith("version:"))
    return catalog


def test_the_faults_that_the_readme_shows_are_those_of_its_catalog() -> None:
    readme = ROOT / "README.md"
    catalog = readme_catalog()
    broken = catalog.replace("2 GiB", "2 GBs", 1).replace("\ncustom:", "\ncostum:")
    with pytest.raises(CatalogError) as caught:
        parse_catalog(broken, "broken.yaml")
    assert [line for line in console_lines(readme) if line.startswith("broken.yaml:")] == list(caught.value.problems)


def test_the_refusal_that_the_readme_shows_is_what_is_said() -> None:
    readme = ROOT / "README.md"
    catalog = readme_catalog()
    with pytest.raises(ChoiceRefused) as caught:
        choose({"cpu": 12}, allowance_for(parse_catalog(catalog), ADA))
    assert json.dumps({"status": 400, "message": str(caught.value)}) in list(console_lines(readme))
