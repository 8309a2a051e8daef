from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from harness.hostile import shown
from stateroom.catalog import Catalog
from stateroom.errors import CatalogError
from stateroom.loading import CatalogFile, load_catalog, parse_catalog

CATALOG = """\
version: 1
images:
  - {id: unified, image: "stateroom/unified:1", default: true}
sizes:
  - {id: standard, cpu: 1, memory: 2 GiB, default: true}
"""
LARGER = CATALOG.replace("cpu: 1", "cpu: 4")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.yaml"
    path.write_text(CATALOG)
    return path


class TestFaults:
    def test_all_faults_are_told_at_once_each_with_its_line(self) -> None:
        text = (
            "version: 1\n"
            "images:\n"
            "  - id: unified\n"
            "    image: two words\n"
            "    default: true\n"
            "sizes:\n"
            "  - id: standard\n"
            "    cpu: lots\n"
            "    memory: 2 GBs\n"
            "    defalt: true\n"
        )
        found = problems(text)
        assert [problem.partition(": ")[0] for problem in found] == [
            "catalog.yaml:4:5", "catalog.yaml:8:5", "catalog.yaml:9:5", "catalog.yaml:10:5",
        ]  # fmt: skip
        assert found[2] == (
            'catalog.yaml:9:5: sizes[0].memory: "2 GBs" is not an amount of memory; write for example 2 GiB'
        )

    def test_what_is_missing_is_told_at_what_should_hold_it(self) -> None:
        found = problems(CATALOG.replace("cpu: 1, ", ""))
        assert found == ("catalog.yaml:5:5: sizes[0].cpu: is missing",)

    def test_a_key_written_twice_is_told_where_it_is_repeated(self) -> None:
        assert problems(CATALOG + "version: 1\n") == ('catalog.yaml:6:1: "version" is written twice; keep one',)

    def test_every_key_written_twice_is_told(self) -> None:
        assert len(problems(CATALOG + "version: 1\nenvironment: {A: x, A: y}\n")) == 2

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "catalog.yaml:1:1: is empty"),
            ("# nothing\n", "catalog.yaml:1:1: is empty"),
            ("version: [1\n", "is not YAML"),
            ("\tversion: 1\n", "is not YAML"),
            ("version: 1\n---\nversion: 1\n", "is not YAML"),
            ("a: *nowhere\n", "is not YAML"),
            ("a: !!python/object/apply:os.system [ls]\n", "catalog.yaml:1"),
            ("version: \x00\n", "is not a catalog"),
            ("just text\n", "catalog.yaml:1:1"),
            ("- a\n- b\n", "catalog.yaml:1:1"),
            ("[" * 2000, "is not"),
            ("{a: " * 60 + "1" + "}" * 60, "nested too deeply"),
            ("? [1, 2]\n: x\n", "there is no such key"),
        ],
        ids=shown,
    )
    def test_what_is_no_catalog_is_refused(self, text: str, expected: str) -> None:
        assert expected in " ".join(problems(text))

    @pytest.mark.parametrize(
        "value",
        ["1" * 5000, "0b_", "0x_", "!!int foo", "!!bool foo", "!!float foo", "!!timestamp foo", "!!binary foo"],
        ids=shown,
    )
    def test_a_value_that_yaml_cannot_make_is_a_fault_with_a_line(self, value: str) -> None:
        found = problems(CATALOG.replace("cpu: 1", f"cpu: {value}"))
        assert found[0].startswith("catalog.yaml:5:")
        assert len(found[0]) < 300

    def test_a_tag_runs_nothing(self, tmp_path: Path) -> None:
        trace = tmp_path / "trace"
        problems(f"version: !!python/object/apply:os.mkdir [{trace}]\n")
        assert not trace.exists()

    def test_aliases_that_multiply_are_refused_quickly(self) -> None:
        bomb = 'a0: &a0 "x"\n' + "".join(
            f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
        )
        assert_refused_quickly(bomb)

    def test_merges_that_multiply_are_refused_quickly(self) -> None:
        bomb = "a0: &a0 {k: 1}\n" + "".join(
            f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}\n" for level in range(1, 12)
        )
        assert_refused_quickly(bomb)

    def test_an_alias_to_itself_is_refused_quickly(self) -> None:
        assert_refused_quickly("a: &a [*a]\n")

    def test_a_huge_file_is_refused_quickly(self, file: Path) -> None:
        file.write_text(CATALOG + "#" * 3_000_000)
        started = time.monotonic()
        with pytest.raises(CatalogError, match="larger than"):
            load_catalog(file)
        assert time.monotonic() - started < 1

    def test_a_file_that_is_not_text_is_refused_with_its_line(self, file: Path) -> None:
        file.write_bytes(b"version: 1\nhub: \xff\n")
        with pytest.raises(CatalogError, match=r"catalog.yaml:2: is not UTF-8 text"):
            load_catalog(file)

    @pytest.mark.parametrize("name", ["missing.yaml", ""])
    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(CatalogError, match="cannot be read"):
            load_catalog(tmp_path / name)

    def test_merged_values_count_and_own_ones_win(self) -> None:
        text = CATALOG.replace(
            "sizes:\n", "sizes:\n  - &one {id: small, cpu: 1, memory: 1 GiB}\n  - {<<: *one, id: other, cpu: 2}\n"
        )
        other = parse_catalog(text).sizes[1]
        assert (other.id, other.cpu, other.memory) == ("other", 2000, 2**30)

    def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(self, file: Path) -> None:
        file.write_bytes(b"\xef\xbb\xbf" + CATALOG.replace("\n", "\r\n").encode())
        assert load_catalog(file).default_size.cpu == 1000


class TestReload:
    def test_a_broken_file_is_refused_at_first(self, file: Path) -> None:
        file.write_text("version: 2\n")
        with pytest.raises(CatalogError):
            CatalogFile(file)

    def test_an_unchanged_file_is_not_read_again(self, file: Path) -> None:
        catalog_file = CatalogFile(file)
        assert settled(catalog_file) is settled(catalog_file)

    def test_an_atomic_save_is_noticed(self, file: Path) -> None:
        catalog_file = CatalogFile(file)
        new = file.with_name("new")
        new.write_text(LARGER)
        new.replace(file)
        assert settled(catalog_file).default_size.cpu == 4000

    def test_a_write_in_place_is_noticed_although_the_length_is_the_same(self, file: Path) -> None:
        catalog_file = CatalogFile(file)
        assert len(LARGER) == len(CATALOG)
        write_in_place(file, LARGER)
        assert settled(catalog_file).default_size.cpu == 4000

    def test_a_moved_link_is_noticed(self, tmp_path: Path) -> None:
        """As in a mounted ConfigMap: the file links to `..data`, and that link is replaced."""
        for name, text in (("first", CATALOG), ("second", LARGER)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "catalog.yaml").write_text(text)
            os.utime(tmp_path / name / "catalog.yaml", ns=(10**18, 10**18))
        (tmp_path / "..data").symlink_to("first")
        (tmp_path / "catalog.yaml").symlink_to("..data/catalog.yaml")
        catalog_file = CatalogFile(tmp_path / "catalog.yaml")
        (tmp_path / "..new").symlink_to("second")
        (tmp_path / "..new").replace(tmp_path / "..data")
        assert settled(catalog_file).default_size.cpu == 4000

    def test_a_broken_file_leaves_the_last_good_catalog_in_force(
        self, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        catalog_file = CatalogFile(file)
        good = catalog_file.catalog
        write_in_place(file, CATALOG.replace("2 GiB", "2 GBs"))
        assert settled(catalog_file) is good
        assert settled(catalog_file) is good
        assert catalog_file.problems[0].startswith("catalog.yaml:5:")
        assert len(caplog.records) == 1
        assert "catalog.yaml:5:" in caplog.text

    def test_a_mended_file_clears_the_problems(self, file: Path) -> None:
        catalog_file = CatalogFile(file)
        write_in_place(file, "version: 2\n")
        settled(catalog_file)
        write_in_place(file, LARGER)
        assert settled(catalog_file).default_size.cpu == 4000
        assert catalog_file.problems == ()

    def test_a_file_that_vanished_leaves_the_last_good_catalog_in_force(self, file: Path) -> None:
        catalog_file = CatalogFile(file)
        good = catalog_file.catalog
        file.unlink()
        assert settled(catalog_file) is good
        assert "cannot be read" in catalog_file.problems[0]
        file.write_text(LARGER)
        assert settled(catalog_file).default_size.cpu == 4000

    @pytest.mark.parametrize("broken", ["version: [\n", "cpu: !!int foo\n", "\x00", "version: 1\n"])
    def test_no_content_whatever_ends_the_hub(self, file: Path, broken: str) -> None:
        catalog_file = CatalogFile(file)
        write_in_place(file, broken)
        assert settled(catalog_file).default_size.cpu == 1000
        assert catalog_file.problems


def settled(file: CatalogFile) -> Catalog:
    """The catalog once a change has been seen to stand still."""
    file.look()
    file.look()
    return file.catalog


def write_in_place(path: Path, text: str) -> None:
    path.write_text(text)
    # A file system's clock may stand still for some milliseconds; a person's editor is slower.
    now = time.time_ns() + 10**9 * len(text)
    os.utime(path, ns=(now, now))


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(CatalogError) as refused:
        parse_catalog(text)
    return refused.value.problems


def assert_refused_quickly(text: str) -> None:
    started = time.monotonic()
    assert "aliases multiply" in problems(text)[0]
    assert time.monotonic() - started < 2
