from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.hostile import shown
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import load_catalog, parse_catalog
from stateroom.catalog.watch import CatalogFile, changes
from stateroom.common.errors import CatalogError

CATALOG = """\
version: 1
images:
  - {id: unified, image: "stateroom/unified:1", default: true}
sizes:
  - {id: standard, cpu: 1, memory: 2 GiB, default: true}
"""
LARGER = CATALOG.replace("cpu: 1", "cpu: 4")
EXAMPLES = sorted((Path(__file__).parents[2] / "config").glob("*.yaml"))


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
            ("a: *nowhere\n", "is not YAML"),
            ("a: !!python/object/apply:os.system [ls]\n", "catalog.yaml:1"),
            ("version: \x00\n", "catalog.yaml: is not a catalog: it holds the character #x0000"),
            ("version: \ud800\n", "catalog.yaml: is not a catalog: it holds half a character"),
            ("just text\n", "catalog.yaml:1:1"),
            ("- a\n- b\n", "catalog.yaml:1:1"),
            ("a: *nowhere" + "x" * 500_000 + "\n", "found undefined alias"),
            ("a: &x 1\nb: &x 2\n", "catalog.yaml:2:4: is not YAML: the name of an anchor is taken already"),
            ("version: 1\n---\nversion: 1\n", "catalog.yaml:2:1: is not YAML: a second document begins here"),
            ("{a: " * 51 + "1" + "}" * 51, "catalog.yaml: is not a catalog: it is nested too deeply"),
            ("{a: " * 50 + "1" + "}" * 50, "catalog.yaml:1:2: a: there is no such key"),
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

    def test_a_hundred_faults_are_told_and_no_more(self) -> None:
        found = problems(CATALOG + "".join(f"  - {{id: s{n}, cpu: lots, memory: 1 GiB}}\n" for n in range(200)))
        assert len(found) == 100
        assert found[0].startswith("catalog.yaml:6:")
        assert found[-1].startswith("catalog.yaml:105:")

    @given(st.binary(max_size=200))
    def test_random_bytes_are_refused(self, tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
        path = tmp_path_factory.getbasetemp() / "random.yaml"
        path.write_bytes(data)
        with pytest.raises(CatalogError):
            load_catalog(path)

    def test_a_file_that_is_not_text_is_refused_with_its_line(self, file: Path) -> None:
        file.write_bytes(b"version: 1\nhub: \xff\n")
        with pytest.raises(CatalogError, match=r"catalog.yaml:2: is not UTF-8 text"):
            load_catalog(file)

    @pytest.mark.parametrize("name", ["missing.yaml", ""])
    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(CatalogError, match="cannot be read"):
            load_catalog(tmp_path / name)

    def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(self, file: Path) -> None:
        file.write_bytes(b"\xef\xbb\xbf" + CATALOG.replace("\n", "\r\n").encode())
        assert load_catalog(file).default_size.cpu == 1000


class TestTexts:
    """What is written is what is read, whatever YAML makes of it."""

    @pytest.mark.parametrize(
        "written",
        [
            "yes", "No", "on", "010", "0x10", "0o7", "1e3", "1.0", "1_000", "1:30", "1:30:00", ".inf", "-.inf", ".nan",
            "+1", "2026-11-24", "2026-11-24T10:00:00Z", "=", "<", "nul", "None", "undefined",
        ],
    )  # fmt: skip
    def test_a_plain_text_is_a_text(self, written: str) -> None:
        assert parse_catalog(f"{CATALOG}environment: {{A: {written}}}\n").environment == {"A": written}
        assert parse_catalog(f"{CATALOG}environment:\n  A: {written}\n").environment == {"A": written}

    @pytest.mark.parametrize(
        ("written", "text"),
        [
            ("'~'", "~"),
            ('"null"', "null"),
            ("''", ""),
            ('"\\u00e4\\n"', "ä\n"),
            ("|\n   a\n   b\n", "a\nb\n"),
            ("'<<'", "<<"),
        ],
    )
    def test_a_quoted_text_is_what_stands_between_the_quotes(self, written: str, text: str) -> None:
        assert parse_catalog(f"{CATALOG}environment:\n  A: {written}\n").environment == {"A": text}

    @pytest.mark.parametrize("written", ["~", "null", "Null", "NULL", ""])
    def test_nothing_is_no_text(self, written: str) -> None:
        assert problems(f"{CATALOG}environment:\n  A: {written}\n") == (
            "catalog.yaml:7:3: environment.A: nothing is no value for this; write a text, '' for none",
        )

    def test_numbers_are_read_as_people_mean_them(self) -> None:
        size = parse_catalog(CATALOG.replace("cpu: 1,", "cpu: 010, gpu: 08,")).default_size
        assert (size.cpu, size.gpu) == (10_000, 8)

    @pytest.mark.parametrize("written", ["1:30", "0x10", "1e3", "0o7", "1_000", "yes"])
    def test_what_only_yaml_takes_for_a_number_is_none(self, written: str) -> None:
        assert f'"{written}" is not an amount of CPU' in problems(CATALOG.replace("cpu: 1,", f"cpu: {written},"))[0]

    @pytest.mark.parametrize(("written", "meant"), [("yes", True), ("on", True), ("True", True), ("no", False)])
    def test_yes_and_no_are_yes_and_no_where_that_is_asked(self, written: str, meant: bool) -> None:
        second = f"  - {{id: other, cpu: 1, memory: 1 GiB, default: {written}}}\n"
        text = CATALOG.replace(", default: true}\n", "}\n") if meant else CATALOG
        text = text.replace('unified:1"}', 'unified:1", default: true}')
        assert parse_catalog(text + second).sizes[1].default is meant

    def test_keys_are_texts_too(self) -> None:
        assert set(parse_catalog(f"{CATALOG}groups: {{010: , yes: , 2026-11-24: , 1.0: }}\n").groups) == {
            "010", "yes", "2026-11-24", "1.0",
        }  # fmt: skip


class TestAnchors:
    def test_merged_values_count_and_own_ones_win(self) -> None:
        text = CATALOG.replace(
            "sizes:\n", "sizes:\n  - &one {id: small, cpu: 1, memory: 1 GiB}\n  - {<<: *one, id: other, cpu: 2}\n"
        )
        other = parse_catalog(text).sizes[1]
        assert (other.id, other.cpu, other.memory) == ("other", 2000, 2**30)

    def test_an_alias_stands_for_what_its_anchor_names(self) -> None:
        text = f"{CATALOG}quota: &much {{cpu: 4}}\ngroups: {{one: {{quota: *much}}, other: {{total: *much}}}}\n"
        catalog = parse_catalog(text)
        assert catalog.groups["one"].quota == catalog.groups["other"].total == catalog.quota

    def test_of_merged_parts_the_first_named_wins(self) -> None:
        text = CATALOG.replace(
            "sizes:\n", "sizes:\n  - &one {id: a, cpu: 1, memory: 1 GiB}\n  - &other {id: b, cpu: 2}\n"
        )
        text = text.replace("{id: b, cpu: 2}", "{<<: *one, id: b, cpu: 2}")
        third = parse_catalog(f"{text}  - {{id: c, <<: [*other, *one]}}\n").sizes[-1]
        assert (third.id, third.cpu, third.memory) == ("c", 2000, 2**30)

    @pytest.mark.parametrize("order", ["{cpu: lots, <<: *one, id: b}", "{<<: *one, id: b, cpu: lots}"])
    def test_a_fault_of_an_own_value_is_told_where_it_stands(self, order: str) -> None:
        text = CATALOG.replace("sizes:\n", f"sizes:\n  - &one {{id: a, cpu: 1, memory: 1 GiB}}\n  - {order}\n")
        assert problems(text)[0].startswith(f"catalog.yaml:6:{5 + order.index('cpu')}: sizes[1].cpu: ")

    def test_a_fault_of_a_merged_value_is_told_where_it_was_written(self) -> None:
        text = CATALOG.replace(
            "sizes:\n", "sizes:\n  - &one {id: a, cpu: lots, memory: 1 GiB}\n  - {<<: *one, id: b}\n"
        )
        assert [problem.partition(': "')[0] for problem in problems(text)] == [
            "catalog.yaml:5:18: sizes[0].cpu", "catalog.yaml:5:18: sizes[1].cpu",
        ]  # fmt: skip

    def test_what_is_missing_in_spite_of_a_merge_is_told_at_the_entry(self) -> None:
        text = CATALOG.replace("sizes:\n", "sizes:\n  - &one {id: a, cpu: 1, memory: 1 GiB}\n  - {<<: [*two], id: b}\n")
        text = text.replace("version: 1", "version: 1\nquota: &two {cpu: 8}")
        assert problems(text) == ("catalog.yaml:7:5: sizes[1].memory: is missing",)

    @pytest.mark.parametrize("merged", ["text", "[text]", "~", "[[]]"])
    def test_only_keys_can_be_merged(self, merged: str) -> None:
        found = problems(f"{CATALOG}quota: {{<<: {merged}}}\n")
        assert found == (
            "catalog.yaml:6:13: << takes over the keys of another part; name one by its anchor, like <<: *name",
        )

    def test_two_merges_in_one_place_are_refused(self) -> None:
        found = problems(f"{CATALOG}quota: &one {{}}\nhome: {{<<: *one, <<: *one}}\n")
        assert found == ('catalog.yaml:7:18: "<<" is written twice; name all in one list, like <<: [*one, *other]',)

    def test_a_fault_of_form_that_aliases_repeat_is_told_once(self) -> None:
        text = f"{CATALOG}quota: &one {{cpu: 8, cpu: 9}}\ngroups: {{a: {{quota: *one}}, b: {{total: *one}}}}\n"
        assert problems(text) == ('catalog.yaml:6:22: "cpu" is written twice; keep one',)


class TestTags:
    @pytest.mark.parametrize(
        ("line", "place", "tag"),
        [
            ("hub: !!python/name:os.system x", "6:6", "!!python/name:os.system"),
            ("hub: !secret x", "6:6", "!secret"),
            ("hub: !<tag:example.org,2026:x> x", "6:6", "tag:example.org,2026:x"),
            ("quota: !!set {cpu: 1}", "6:8", "!!set"),
            ("environment: {!!int 1: x}", "6:15", "!!int"),
            ("quota: {<<: !!omap [{cpu: 1}]}", "6:13", "!!omap"),
            ("docker: {network: !!binary aGk=}", "6:19", "!!binary"),
        ],
    )
    def test_a_tag_is_refused_where_it_stands(self, line: str, place: str, tag: str) -> None:
        expected = f'catalog.yaml:{place}: "{tag}" is a YAML tag; a catalog needs none, remove it'
        assert expected in problems(f"{CATALOG}{line}\n")


class TestNearMisses:
    @pytest.mark.parametrize(
        ("line", "where", "meant"),
        [
            ("imags: []", "imags", "images"),
            ("Quota: {}", "Quota", "quota"),
            ("custom: {cpus: 1}", "custom.cpus", "cpu"),
            ("custom: {cpu: {minimum: 1}}", "custom.cpu.minimum", "min"),
            ("custom: {memory: {stepp: 1}}", "custom.memory.stepp", "step"),
            ("custom: {gpu: {maximal: 1}}", "custom.gpu.maximal", "max"),
            ("custom: {group: [a]}", "custom.group", "groups"),
            ("guarantee: {memry: 1}", "guarantee.memry", "memory"),
            ("quota: {server: 1}", "quota.server", "servers"),
            ("groups: {x: {qouta: {}}}", "groups.x.qouta", "quota"),
            ("groups: {x: {quota: {sevrers: 1}}}", "groups.x.quota.sevrers", "servers"),
            ("groups: {x: {total: {memroy: 1}}}", "groups.x.total.memroy", "memory"),
            ("groups: {x: {custom: {gpus: 1}}}", "groups.x.custom.gpus", "gpu"),
            ("groups: {x: {custom: {cpu: {maxx: 1}}}}", "groups.x.custom.cpu.maxx", "max"),
            ("groups: {x: {identity: {enviroment: {}}}}", "groups.x.identity.enviroment", "environment"),
            ("groups: {x: {identity: {serviceaccount: a}}}", "groups.x.identity.serviceaccount", "service_account"),
            ("users: {x: {identiy: {}}}", "users.x.identiy", "identity"),
            ("users: {x: {quota: {gpus: 1}}}", "users.x.quota.gpus", "gpu"),
            ("home: {mnt: a}", "home.mnt", "mount"),
            ("home: {docker: {paths: a}}", "home.docker.paths", "path"),
            ("home: {kubernetes: {claims: a}}", "home.kubernetes.claims", "claim"),
            ("start: {time_out: 1 s}", "start.time_out", "timeout"),
            ("idle: {stop-after: 1 h}", "idle.stop-after", "stop_after"),
            ("docker: {networks: a}", "docker.networks", "network"),
            ("kubernetes: {nodeSelector: {}}", "kubernetes.nodeSelector", "node_selector"),
            ("kubernetes: {tolerations: [{key: a, effects: b}]}", "kubernetes.tolerations[0].effects", "effect"),
        ],
    )
    def test_the_key_that_was_meant_is_suggested_at_every_level(self, line: str, where: str, meant: str) -> None:
        place = f"catalog.yaml:6:{line.index(where.rpartition('.')[2] + ':') + 1}"
        assert f'{place}: {where}: there is no such key; did you mean "{meant}"?' in problems(f"{CATALOG}{line}\n")

    @pytest.mark.parametrize(
        ("key", "where", "meant"),
        [("imgae", "images[0].imgae", "image"), ("titel", "images[0].titel", "title")],
    )
    def test_so_it_is_within_a_list(self, key: str, where: str, meant: str) -> None:
        text = CATALOG.replace("{id: unified,", f"{{id: unified, {key}: x,")
        assert problems(text) == (f'catalog.yaml:3:19: {where}: there is no such key; did you mean "{meant}"?',)

    def test_where_no_key_is_near_all_are_named(self) -> None:
        assert problems(f"{CATALOG}idle: {{xyzzy: 1}}\n") == (
            "catalog.yaml:6:8: idle.xyzzy: there is no such key; there are stop_after",
        )

    def test_a_key_of_many_letters_is_quoted_and_cut(self) -> None:
        assert problems(f"{CATALOG}{'x' * 100}: 1\n")[0].startswith(
            f'catalog.yaml:6:1: "{"x" * 32}…": there is no such key'
        )


class TestEmptySections:
    @pytest.mark.parametrize(
        "section",
        [
            "custom",
            "guarantee",
            "quota",
            "groups",
            "users",
            "home",
            "environment",
            "start",
            "idle",
            "docker",
            "kubernetes",
        ],
    )
    def test_a_section_of_which_all_is_commented_out_is_empty(self, section: str) -> None:
        assert parse_catalog(f"{CATALOG}{section}:\n  # nothing\n") == parse_catalog(CATALOG)

    @pytest.mark.parametrize(
        "below",
        [
            "groups: {a: }",
            "groups: {a: {custom: , quota: , total: , identity: }}",
            "groups: {a: {identity: {environment: }}}",
        ],
    )
    def test_so_is_a_section_within_one(self, below: str) -> None:
        assert (
            parse_catalog(f"{CATALOG}{below}\n").groups["a"]
            == parse_catalog(f"{CATALOG}groups: {{a: {{}}}}\n").groups["a"]
        )

    def test_a_list_of_which_all_is_commented_out_is_refused_since_it_may_mean_nobody_or_everybody(self) -> None:
        text = CATALOG.replace("{id: standard,", "{id: standard, groups: ,")
        assert problems(text) == (
            "catalog.yaml:5:20: sizes[0].groups: nothing is no value for this; write a list, such as [one, two]",
        )


class TestTooMuch:
    """Each of these would take minutes, or all of the memory, if the work were not bounded."""

    def test_aliases_that_multiply(self) -> None:
        bomb = 'a0: &a0 "x"\n' + "".join(
            f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
        )
        assert "aliases multiply" in problems(bomb)[0]

    def test_merges_that_multiply(self) -> None:
        bomb = "a0: &a0 {k: 1}\n" + "".join(
            f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}\n" for level in range(1, 12)
        )
        assert "aliases multiply" in problems(bomb)[0]

    @pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a {b: *a}\n", "a: &a {<<: *a}\n", "a: &a {<<: [*a]}\n"])
    def test_an_alias_within_its_own_anchor(self, text: str) -> None:
        assert "nested too deeply" in problems(text)[0]

    @pytest.mark.parametrize(
        "bracket", ["[", "{", "{a: ", "{? ", "[{", "[[a], ", "- ", "? ", "- ? ", "a: [", "- [", "!!seq [", "&a ["]
    )
    def test_brackets_of_every_kind_nested_a_hundred_thousand_deep(self, bracket: str) -> None:
        found = problems(bracket * 100_000)
        assert len(found) == 1
        assert any(words in found[0] for words in ("nested too deeply", "is not YAML"))

    def test_indentation_a_thousand_deep(self) -> None:
        assert "nested too deeply" in problems("".join(" " * level + "a:\n" for level in range(1000)))[0]

    @pytest.mark.parametrize("piece", ["a,", "[],", "{a},", "'',", "? a,"])
    def test_more_values_than_a_catalog_has_are_not_read_to_the_end(self, piece: str) -> None:
        """The text is not even YAML in the end, which nobody gets to see."""
        assert "more than 50000 values" in problems("[" + piece * 110_000 + "}")[0]

    def test_a_file_that_no_memory_holds(self, file: Path) -> None:
        os.truncate(file, 2**40)  # which takes no room on the disk
        with pytest.raises(CatalogError, match=r"^catalog.yaml: larger than 1 MiB; a catalog is a short text$"):
            load_catalog(file)

    def test_a_file_of_ten_megabytes(self, file: Path) -> None:
        file.write_text(CATALOG + "#" * 10_000_000)
        with pytest.raises(CatalogError, match="larger than"):
            load_catalog(file)

    def test_the_largest_file_that_is_read(self, file: Path) -> None:
        file.write_text(CATALOG + "#" * (1024 * 1024 - len(CATALOG)))
        assert load_catalog(file).default_size.cpu == 1000

    def test_a_long_line_of_successors(self) -> None:
        images = "".join(f"  - {{id: i{n}, image: x, replaced_by: i{n + 1}}}\n" for n in range(3000))
        text = CATALOG.replace("sizes:\n", f"{images}sizes:\n")
        assert problems(text)[0].endswith('images[3000].replaced_by: there is no image "i3000"; did you mean "i300"?')

    def test_names_without_end_that_are_listed_nowhere(self) -> None:
        groups = "".join(f"  group-{n}:\n" for n in range(4000))
        named = ", ".join(f"grupp-{n}" for n in range(4000))
        text = (
            CATALOG.replace("sizes:\n", f"  - {{id: x, image: x, groups: [{named}]}}\nsizes:\n") + f"groups:\n{groups}"
        )
        assert len(problems(text)) == 100


class TestWithoutLibyaml:
    """PyYAML without its fast half, as on a machine where it was built without libyaml."""

    def test_a_catalog_is_read_the_same(self) -> None:
        texts = [CATALOG, *(path.read_text() for path in EXAMPLES)]
        assert len(texts) > 1
        assert told_without_libyaml(texts) == [parse_catalog(text).model_dump_json() for text in texts]

    def test_faults_are_told_the_same(self) -> None:
        texts = [
            CATALOG + "surprise: 1\nquota: {cpu: 0.5}\nquota: {cpu: 1}\n",
            CATALOG + "surprise: 1\nquota: {cpu: 0.5}\nenvironment: {A: ~, 010: yes}\n",
            CATALOG + "quota: !!set &one {cpu: 1}\nhome: {<<: [*one, text]}\n",
            CATALOG + "a: *nowhere\n",
            CATALOG + "a: &a 1\nb: &a 1\n",
            CATALOG + "---\n",
            CATALOG.replace("cpu: 1,", "cpu: 1:30,").replace("2 GiB", "0x10"),
            "",
            "a: &a [*a]\n",
            "[" * 100_000,
            "{a: " * 100_000,
            "- " * 100_000,
            "[" + "a," * 110_000 + "]",
        ]
        assert told_without_libyaml(texts) == [list(problems(text)) for text in texts]

    def test_what_is_no_yaml_is_refused_too(self) -> None:
        texts = [
            "version: [1\n",
            "\tversion: 1\n",
            "version: \x00\n",
            "%YAML 9\n",
            '"\\ud800"\n',
            "a: b: c\n",
            "\ud800",
        ]
        for faults in told_without_libyaml(texts):
            assert isinstance(faults, list)
            assert faults[0].startswith("catalog.yaml:")


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

    def test_a_file_that_is_written_piece_by_piece_is_read_once_it_stands_still(
        self, file: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        catalog_file = CatalogFile(file)
        for end in range(10, len(LARGER) + 1, 10):
            write_in_place(file, LARGER[:end])
            assert not catalog_file.look()
        write_in_place(file, LARGER)
        assert not catalog_file.look()
        assert (catalog_file.catalog.default_size.cpu, catalog_file.problems, caplog.records) == (1000, (), [])
        assert catalog_file.look()
        assert catalog_file.catalog.default_size.cpu == 4000

    def test_nothing_is_said_while_nothing_changes(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        catalog_file = CatalogFile(file)
        assert not any(catalog_file.look() for _ in range(5))
        assert caplog.records == []

    def test_a_change_is_told_once_and_in_words(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        catalog_file = CatalogFile(file)
        write_in_place(file, LARGER)
        for _ in range(4):
            catalog_file.look()
        assert caplog.messages == [f"The catalog was read again from {file}: sizes: altered standard."]

    def test_a_file_mended_to_what_it_was_is_told_too(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        catalog_file = CatalogFile(file)
        write_in_place(file, "version: 2\n")
        settled(catalog_file)
        caplog.clear()
        caplog.set_level(logging.INFO)
        write_in_place(file, CATALOG)
        settled(catalog_file)
        assert catalog_file.problems == ()
        assert caplog.messages == [f"The catalog was read again from {file}: it says the same as before."]

    def test_a_look_tells_whether_the_catalog_changed(self, file: Path) -> None:
        catalog_file = CatalogFile(file)
        looks = []
        for text in (LARGER, "version: 2\n", LARGER, CATALOG):
            write_in_place(file, text)
            catalog_file.look()
            looks.append(catalog_file.look())
        assert looks == [True, False, False, True]

    def test_a_watched_file_is_looked_at_by_itself(
        self, watched: CatalogFile, file: Path, told: threading.Event
    ) -> None:
        write_in_place(file, LARGER)
        assert told.wait(30)
        assert watched.catalog.default_size.cpu == 4000

    def test_the_looking_ends_when_it_is_asked_to(self, watched: CatalogFile) -> None:
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "catalog"]
        watched.stop_looking()
        thread.join(30)
        assert not thread.is_alive()

    def test_a_broken_edit_does_not_end_the_looking(
        self, watched: CatalogFile, file: Path, told: threading.Event
    ) -> None:
        write_in_place(file, "[" * 1000)
        assert told.wait(30)
        assert watched.problems
        told.clear()
        write_in_place(file, LARGER)
        assert told.wait(30)
        assert watched.catalog.default_size.cpu == 4000

    @pytest.mark.parametrize("broken", ["version: [\n", "cpu: !!int foo\n", "\x00", "version: 1\n"])
    def test_no_content_whatever_ends_the_hub(self, file: Path, broken: str) -> None:
        catalog_file = CatalogFile(file)
        write_in_place(file, broken)
        assert settled(catalog_file).default_size.cpu == 1000
        assert catalog_file.problems


class TestChanges:
    """What the log says of an edit."""

    OLD = f"""\
{CATALOG.rstrip()}
  - {{id: large, cpu: 4, memory: 8 GiB}}
groups:
  one: {{quota: {{}}}}
  other:
users: {{ada: }}
"""

    @pytest.mark.parametrize(
        ("found", "replacement", "words"),
        [
            ("", "", "it says the same as before"),
            ("large", "huge", "sizes: added huge, removed large"),
            ("cpu: 4", "cpu: 5", "sizes: altered large"),
            ("unified:1", "unified:2", "images: altered unified"),
            ("sizes:", "  - {id: gpu, image: x}\nsizes:", "images: added gpu"),
            ("  other:\n", "", "groups: removed other"),
            ("  other:\n", "  third:\n", "groups: added third, removed other"),
            ("{quota: {}}", "{total: {cpu: 8}}", "groups: altered one"),
            ("ada: ", "ada: {quota: {cpu: 2}}, eve: ", "users: added eve, altered ada"),
            ("version: 1", "version: 1\nidle: {stop_after: 1 h}", "altered: idle"),
            ("version: 1", "version: 1\nenvironment: {A: x}\nquota: {cpu: 9}", "altered: quota, environment"),
            ("users: {ada: }", "idle: {stop_after: 1 h}", "users: removed ada; altered: idle"),
            ("  one: {quota: {}}\n  other:\n", "  other:\n  one:\n", "groups: in another order"),
            ("cpu: 4", "cpu: 5, groups: [one]", "sizes: altered large"),
        ],
    )
    def test_an_edit_is_told_in_words(self, found: str, replacement: str, words: str) -> None:
        assert found in self.OLD
        new = parse_catalog(self.OLD.replace(found, replacement, 1))
        assert changes(parse_catalog(self.OLD), new) == words

    def test_entries_in_another_order_are_a_change(self) -> None:
        old = parse_catalog(self.OLD)
        new = old.model_copy(update={"sizes": old.sizes[::-1]})
        assert changes(old, new) == "sizes: in another order"

    def test_of_very_many_only_some_are_named(self) -> None:
        sizes = "".join(f"  - {{id: s{number}, cpu: 1, memory: 1 GiB}}\n" for number in range(40))
        words = changes(parse_catalog(CATALOG), parse_catalog(CATALOG + sizes))
        assert words == f"sizes: added {', '.join(f's{number}' for number in range(12))} and 28 more"


@pytest.fixture
def watched(file: Path) -> Iterator[CatalogFile]:
    """The file, looked at by a thread of its own."""
    watched = CatalogFile(file)
    watched.keep_looking()
    yield watched
    watched.stop_looking()


@pytest.fixture
def told() -> Iterator[threading.Event]:
    """Set when the log says something of the catalog."""
    event = threading.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002 - whatever it says
            event.set()

    handler, log = Handler(), logging.getLogger("stateroom.catalog.watch")
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    yield event
    log.removeHandler(handler)
    log.setLevel(level)


WITHOUT_LIBYAML = """
import json, sys

sys.modules["yaml._yaml"] = None  # what Python makes of a module that cannot be imported
import yaml
from stateroom.common.errors import CatalogError
from stateroom.catalog.load import parse_catalog

assert not yaml.__with_libyaml__

def told(text):
    try:
        return parse_catalog(text).model_dump_json()
    except CatalogError as error:
        return error.problems

print(json.dumps([told(text) for text in json.load(sys.stdin)]))
"""


def told_without_libyaml(texts: list[str]) -> list[str | list[str]]:
    """Of each text the catalog as JSON, or its problems."""
    outcome = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBYAML],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told: list[str | list[str]] = json.loads(outcome.stdout)
    return told


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
