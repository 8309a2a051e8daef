"""What a catalog says and cannot mean: each fault with its place, its path and its sentence."""

from __future__ import annotations

import pytest

from stateroom.catalog.load import parse_catalog
from stateroom.common.errors import CatalogError

CATALOG = """\
version: 1
images:
  - {id: unified, image: x, default: true}
  - {id: classic, image: y}
sizes:
  - {id: standard, cpu: 1, memory: 2 GiB, gpu: 1, default: true}
  - {id: small, cpu: 0.5, memory: 1 GiB}
custom:
  cpu: {min: 0.25, max: 4, step: 0.25}
  memory: {min: 512 MiB, max: 16 GiB, step: 256 MiB}
  gpu: {max: 1}
quota: {servers: 2, cpu: 8, memory: 32 GiB}
groups:
  research: {}
"""
EVERYONE = "the default must be there for everyone; remove this, or make another entry the default"


def test_the_catalog_that_the_faults_are_put_into_holds() -> None:
    parse_catalog(CATALOG)


class TestImages:
    def test_an_id_of_two_images(self) -> None:
        assert faults("id: classic", "id: unified") == [
            '4:6: images[1].id: "unified" is the id of images[0] too; give each entry an id of its own'
        ]

    def test_no_default(self) -> None:
        assert faults("image: x, default: true", "image: x") == [
            "2:1: images: exactly one entry is the default, found none; write default: true at one"
        ]

    def test_two_defaults(self) -> None:
        assert faults("image: y", "image: y, default: true") == [
            '2:1: images: exactly one entry is the default, found "unified", "classic"; write default: true at one'
        ]

    @pytest.mark.parametrize(
        ("words", "key"),
        [("groups: [research]", "groups"), ("users: [ada]", "users"), ("hidden: true", "hidden")],
    )
    def test_a_default_that_not_everyone_may_have(self, words: str, key: str) -> None:
        assert faults("image: x,", f"image: x, {words},") == [f"3:29: images[0].{key}: {EVERYONE}"]

    def test_a_default_that_is_replaced(self) -> None:
        assert faults("image: x,", "image: x, replaced_by: classic,") == [f"3:29: images[0].replaced_by: {EVERYONE}"]

    def test_a_successor_that_is_not_there(self) -> None:
        assert faults("image: y", "image: y, replaced_by: unifed") == [
            '4:29: images[1].replaced_by: there is no image "unifed"; did you mean "unified"?'
        ]
        assert faults("image: y", "image: y, replaced_by: xyz") == [
            '4:29: images[1].replaced_by: there is no image "xyz"; there are unified, classic'
        ]

    def test_an_image_that_replaces_itself(self) -> None:
        assert faults("image: y", "image: y, replaced_by: classic") == [
            '4:29: images[1].replaced_by: "classic" comes to be replaced by itself, by way of classic'
        ]

    def test_images_that_replace_each_other(self) -> None:
        more = "{id: classic, image: y, replaced_by: b}\n  - {id: b, image: z, replaced_by: classic}"
        assert faults("{id: classic, image: y}", more) == [
            '4:29: images[1].replaced_by: "classic" comes to be replaced by itself, by way of b, classic',
            '5:23: images[2].replaced_by: "b" comes to be replaced by itself, by way of classic, b',
        ]

    def test_an_image_that_leads_into_a_circle_is_not_at_fault_itself(self) -> None:
        more = "{id: classic, image: y, replaced_by: b}\n  - {id: b, image: z, replaced_by: b}"
        assert faults("{id: classic, image: y}", more) == [
            '5:23: images[2].replaced_by: "b" comes to be replaced by itself, by way of b'
        ]

    def test_a_line_of_successors_that_ends_is_fine(self) -> None:
        more = "{id: classic, image: y, replaced_by: b}\n  - {id: b, image: z, replaced_by: unified}"
        assert faults("{id: classic, image: y}", more) == []


class TestSizes:
    def test_an_id_of_two_sizes(self) -> None:
        assert faults("id: small", "id: standard") == [
            '7:6: sizes[1].id: "standard" is the id of sizes[0] too; give each entry an id of its own'
        ]

    def test_no_default(self) -> None:
        assert faults("gpu: 1, default: true", "gpu: 1") == [
            "5:1: sizes: exactly one entry is the default, found none; write default: true at one"
        ]

    def test_very_many_defaults(self) -> None:
        more = "".join(f"  - {{id: s{number}, cpu: 1, memory: 1 GiB, default: true}}\n" for number in range(40))
        named = ", ".join(f'"s{number}"' for number in range(11))
        assert faults("custom:\n", f"{more}custom:\n") == [
            (
                f'5:1: sizes: exactly one entry is the default, found "standard", {named} and 29 more; '
                "write default: true at one"
            )
        ]

    @pytest.mark.parametrize(
        ("words", "key"),
        [("groups: [research]", "groups"), ("users: [ada]", "users"), ("images: [classic]", "images")],
    )
    def test_a_default_that_not_everyone_may_have(self, words: str, key: str) -> None:
        assert faults("gpu: 1,", f"gpu: 1, {words},") == [f"6:51: sizes[0].{key}: {EVERYONE}"]

    def test_a_tie_to_an_image_that_is_not_there(self) -> None:
        assert faults("memory: 1 GiB", "memory: 1 GiB, images: [unified, clasic, xyz]") == [
            '7:60: sizes[1].images[1]: there is no image "clasic"; did you mean "classic"?',
            '7:68: sizes[1].images[2]: there is no image "xyz"; there are unified, classic',
        ]


class TestGroups:
    @pytest.mark.parametrize(
        ("found", "replacement", "place", "path"),
        [
            ("image: y", "image: y, groups: [reserch]", "4:38", "images[1].groups[0]"),
            ("memory: 1 GiB", "memory: 1 GiB, groups: [research, reserch]", "7:61", "sizes[1].groups[1]"),
            ("gpu: {max: 1}", "gpu: {max: 1}\n  groups: [reserch]", "12:12", "custom.groups[0]"),
        ],
    )
    def test_a_group_that_is_named_and_not_listed(self, found: str, replacement: str, place: str, path: str) -> None:
        assert faults(found, replacement) == [f'{place}: {path}: there is no group "reserch"; did you mean "research"?']

    def test_the_hubs_users_need_no_listing(self) -> None:
        assert faults("image: y", "image: y, users: [eve]") == []

    def test_where_no_group_is_near_those_that_there_are_are_named(self) -> None:
        assert faults("image: y", "image: y, groups: [xyz]") == [
            '4:38: images[1].groups[0]: there is no group "xyz"; there are research'
        ]
        without = CATALOG.partition("groups:")[0]
        assert faults("image: y", "image: y, groups: [xyz]", without) == [
            '4:38: images[1].groups[0]: there is no group "xyz"; there are no groups'
        ]

    @pytest.mark.parametrize(
        ("kind", "amount", "everyones"), [("servers", "1", "2"), ("cpu", "2", "8"), ("memory", "16 GiB", "32 GiB")]
    )
    def test_a_quota_below_everyones(self, kind: str, amount: str, everyones: str) -> None:
        assert faults("research: {}", f"research: {{quota: {{{kind}: {amount}}}}}") == [
            (
                f"14:22: groups.research.quota.{kind}: {amount} is less than everyone has ({everyones}), and members "
                f"have the widest; lower quota.{kind}, or write the limit below users"
            )
        ]

    def test_a_quota_of_what_is_not_limited(self) -> None:
        assert faults("research: {}", "research: {quota: {gpu: 3}}") == [
            (
                "14:22: groups.research.quota.gpu: everyone may run any amount of gpu, so that a group's limit changes "
                "nothing; write quota.gpu for everyone first"
            )
        ]

    def test_everyones_quota_itself_is_no_fault(self) -> None:
        assert faults("research: {}", "research: {quota: {servers: 2, cpu: 8, memory: 32 GiB}}") == []

    @pytest.mark.parametrize(
        ("end", "path", "sentence"),
        [
            ("cpu: {max: 3}", "cpu.max", "3: everyone may choose that already (max is 4)"),
            ("cpu: {min: 0.5}", "cpu.min", "0.5: everyone may choose that already (min is 0.25)"),
            ("memory: {max: 8 GiB}", "memory.max", "8 GiB: everyone may choose that already (max is 16 GiB)"),
            ("gpu: {max: 0}", "gpu.max", "0: everyone may choose that already (max is 1)"),
        ],
    )
    def test_an_end_within_everyones_range(self, end: str, path: str, sentence: str) -> None:
        column = end.index("{") + 24
        assert faults("research: {}", f"research: {{custom: {{{end}}}}}") == [
            (
                f"14:{column}: groups.research.custom.{path}: {sentence}, so that it changes nothing; "
                "a group's range is wider"
            )
        ]

    @pytest.mark.parametrize(
        ("end", "path", "sentence"),
        [
            ("cpu: {max: 4.1}", "cpu.max", "4.1 is not whole steps of 0.25 away from custom.cpu.min; write 4 or 4.25"),
            ("cpu: {min: 0.1}", "cpu.min", "0.1 is not whole steps of 0.25 away from custom.cpu.min; write 0.25"),
            (
                "memory: {max: 17000 MiB}",
                "memory.max",
                "16.6 GiB is not whole steps of 256 MiB away from custom.memory.min; write 16.5 GiB or 16.75 GiB",
            ),
        ],
    )
    def test_an_end_between_the_steps(self, end: str, path: str, sentence: str) -> None:
        column = end.index("{") + 24
        assert faults("research: {}", f"research: {{custom: {{{end}}}}}") == [
            f"14:{column}: groups.research.custom.{path}: {sentence}"
        ]

    def test_steps_are_counted_from_everyones_least(self) -> None:
        odd = CATALOG.replace("{min: 0.25, max: 4, step: 0.25}", "{min: 0.3, max: 4.3, step: 0.5}")
        assert faults("research: {}", "research: {custom: {cpu: {max: 8.3}}}", odd) == []
        assert faults("research: {}", "research: {custom: {cpu: {max: 8.2}}}", odd) == [
            (
                "14:29: groups.research.custom.cpu.max: 8.2 is not whole steps of 0.5 away from custom.cpu.min; "
                "write 7.8 or 8.3"
            )
        ]

    def test_an_end_of_a_range_that_nobody_has(self) -> None:
        assert faults("  gpu: {max: 1}\n", "", CATALOG.replace("{}", "{custom: {gpu: {max: 2}}}")) == [
            (
                "13:29: groups.research.custom.gpu.max: there is no custom.gpu for everyone that this could change; "
                "write it first"
            )
        ]
        without = CATALOG.partition("custom:")[0] + "groups: {research: {custom: {cpu: {max: 8}}}}\n"
        assert faults("", "", without) == [
            (
                "8:36: groups.research.custom.cpu.max: there is no custom.cpu for everyone that this could change; "
                "write it first"
            )
        ]

    def test_wider_ends_and_everyones_own_are_no_fault(self) -> None:
        ends = "cpu: {min: 0.25, max: 16}, memory: {min: 256 MiB, max: 64 GiB}, gpu: {min: 0, max: 8}"
        assert faults("research: {}", f"research: {{custom: {{{ends}}}}}") == []


class TestUsers:
    def test_an_end_beyond_everyones_other_end(self) -> None:
        assert users("{custom: {cpu: {min: 5}, memory: {max: 256 MiB}}}") == [
            "15:30: users.ada.custom.cpu.min: min (5) is beyond everyone's max (4); write max for this user as well",
            (
                "15:48: users.ada.custom.memory.max: max (256 MiB) is beyond everyone's min (512 MiB); "
                "write min for this user as well"
            ),
        ]

    def test_ends_that_make_no_range(self) -> None:
        assert users("{custom: {cpu: {min: 8, max: 6}}}") == [
            "15:38: users.ada.custom.cpu.max: max (6) is below min (8)"
        ]

    def test_an_end_between_the_steps(self) -> None:
        assert users("{custom: {cpu: {max: 2.1}}}") == [
            "15:30: users.ada.custom.cpu.max: 2.1 is not whole steps of 0.25 away from custom.cpu.min; write 2 or 2.25"
        ]

    def test_narrower_and_wider_ends_are_no_fault(self) -> None:
        assert users("{custom: {cpu: {max: 1}, memory: {min: 32 GiB, max: 64 GiB}}}") == []
        assert users("{custom: {cpu: {min: 0.25, max: 0.25}}}") == []
        assert users("{custom: {cpu: {max: 0.25}, memory: {min: 16 GiB}}}") == []

    def test_a_quota_may_be_narrower_than_everyones(self) -> None:
        assert users("{quota: {servers: 1, cpu: 1, memory: 2 GiB, gpu: 1}}") == []


class TestQuotasAndTheDefault:
    """Whoever has less than the default size takes could start nothing without a choice."""

    @pytest.mark.parametrize(
        ("kind", "amount", "needed"), [("cpu", "0.5", "1"), ("memory", "1 GiB", "2 GiB"), ("gpu", "0", "1")]
    )
    def test_a_limit_below_the_default_size(self, kind: str, amount: str, needed: str) -> None:
        sentence = (
            f'{kind}: the default size "standard" takes {needed}, so that {amount} lets nobody start it; '
            f"write at least {needed}"
        )
        quota = f"{{{kind}: {amount}}}"
        everyones = CATALOG.replace("{servers: 2, cpu: 8, memory: 32 GiB}", quota)
        assert faults("", "", everyones) == [f"12:9: quota.{sentence}"]
        assert faults("research: {}", f"research: {{total: {quota}}}") == [f"14:22: groups.research.total.{sentence}"]
        assert users(f"{{quota: {quota}}}") == [f"15:23: users.ada.quota.{sentence}"]

    def test_the_default_size_itself_is_enough(self) -> None:
        exactly = "{servers: 1, cpu: 1, memory: 2 GiB, gpu: 1}"
        assert faults("research: {}", f"research: {{total: {exactly}}}") == []
        assert users(f"{{quota: {exactly}}}") == []


class TestTogether:
    def test_faults_of_form_and_contradictions_come_in_the_order_of_the_file(self) -> None:
        text = """\
version: 1
images:
  - {id: unified, image: x, default: true}
  - {id: unified, image: two words, title: 1}
  - {id: unified, image: y, groups: [reserch]}
sizes:
  - {id: standard, cpu: 1, memory: 2 GiB, default: true}
  - {id: small, cpu: lots, memory: 1 GiB}
quota: {cpu: 0.5}
groups:
  research: {quota: {cpu: 0.25}, identity: {environment: {}}}
users:
  ada: {qouta: {}}
home: {mount: /srv}
"""
        assert faults("", "", text) == [
            '4:19: images[1].image: "two words" is not an image reference; it holds white space',
            '5:6: images[2].id: "unified" is the id of images[0] too; give each entry an id of its own',
            '5:38: images[2].groups[0]: there is no group "reserch"; did you mean "research"?',
            '8:17: sizes[1].cpu: "lots" is not an amount of CPU; write for example 1.5',
            '9:9: quota.cpu: the default size "standard" takes 1, so that 0.5 lets nobody start it; write at least 1',
            (
                "11:22: groups.research.quota.cpu: 0.25 is less than everyone has (0.5), and members have the widest; "
                "lower quota.cpu, or write the limit below users"
            ),
            '13:9: users.ada.qouta: there is no such key; did you mean "quota"?',
            '14:8: home.mount: "/srv" is not a folder below the home directory; write for example notebooks',
        ]

    @pytest.mark.parametrize(
        ("found", "replacement", "at_fault"),
        [
            # A broken entry may be the default, the successor, the tied image or the listed group.
            ("{id: unified, image: x,", "{id: unified, imag: x,", ["images[0].image", "images[0].imag"]),
            ("cpu: 1,", "cpu: lots,", ["sizes[0].cpu"]),
            ("{id: classic, image: y,", "{id: classic,", ["images[1].image"]),
            ("research: {}", "research: {qouta: {}}", ["groups.research.qouta"]),
            ("research: {}", "research: []", ["groups.research"]),
            # Nothing is concluded from a part that is not even of its kind.
            ("groups: {research", "groups: [research]\nhub: {research", ["groups", "hub"]),
            ("groups: {research", "groups: ''\nhub: {research", ["groups", "hub"]),
            ("step: 0.25", "step: 0", ["custom.cpu.step"]),
            ("  gpu: {max: 1}", "  gpu: 1", ["custom.gpu"]),
            ("cpu: 8", "cpu: -8", ["quota.cpu"]),
            ("quota: {servers: 2, cpu: 8, memory: 32 GiB}", "quota: 3", ["quota"]),
            ("users:", "users: []\nhub:", ["users", "hub"]),
            # A section may stand under a misspelled name.
            ("groups: {research", "grups: {research", ["grups"]),
            ("custom:", "costum:", ["costum"]),
            ("quota: {servers", "qouta: {servers", ["qouta"]),
        ],
    )
    def test_a_broken_part_leads_to_no_further_faults(self, found: str, replacement: str, at_fault: list[str]) -> None:
        assert self.paths(found, replacement) == at_fault

    def test_a_key_too_many_hides_nothing_that_is_there(self) -> None:
        text = self.FULL.replace("groups: [research]", "groups: [reserch]")
        text = text.replace("quota: {servers: 2, cpu: 8, memory: 32 GiB}", "surprise: 1\nquota: {cpu: 0.5}")
        with pytest.raises(CatalogError) as refused:
            parse_catalog(text)
        wheres = [fault.where for fault in refused.value.faults]
        assert wheres == ["images[1].groups[0]", "sizes[1].groups[0]", "surprise", "quota.cpu"]

    @pytest.mark.parametrize("section", ["images", "sizes"])
    @pytest.mark.parametrize(
        "instead", ["{section}: []", "{section}: text", "{section}: {{a: b}}", "{section}:", "hub: x"]
    )
    def test_neither_does_a_list_that_is_none(self, section: str, instead: str) -> None:
        begin, end = (
            self.FULL.index(word) for word in {"images": ("images:", "sizes:"), "sizes": ("sizes:", "custom:")}[section]
        )
        text = self.FULL[:begin] + instead.format(section=section) + "\n" + self.FULL[end:]
        with pytest.raises(CatalogError) as refused:
            parse_catalog(text)
        assert [fault.where for fault in refused.value.faults] == [section]

    FULL = (
        CATALOG.replace("image: y", "image: y, groups: [research]")
        .replace("memory: 1 GiB", "memory: 1 GiB, images: [unified, classic], groups: [research]")
        .replace("sizes:", "  - {id: old, image: z, replaced_by: unified}\nsizes:")
        .replace("sizes:", "  - {id: older, image: z, replaced_by: classic}\nsizes:")
        .partition("groups:\n")[0]
        + "groups: {research: {}, other: {custom: {cpu: {max: 16}, gpu: {max: 2}}, quota: {cpu: 16}}}\n"
        + "users: {ada: {custom: {memory: {max: 1 GiB}}, quota: {cpu: 1}}}\n"
    )  # fmt: skip

    def paths(self, found: str, replacement: str) -> list[str]:
        assert found in self.FULL
        with pytest.raises(CatalogError) as refused:
            parse_catalog(self.FULL.replace(found, replacement, 1))
        return [fault.where for fault in refused.value.faults]

    def test_the_full_catalog_holds(self) -> None:
        parse_catalog(self.FULL)


class TestHostileNames:
    def test_names_of_groups_are_told_short_and_on_one_line(self) -> None:
        names = ['"\\e[31mred"', "x" * 300, '"a\\nb"', "research"]
        text = CATALOG.replace("  research: {}", "".join(f"  {name}: {{}}\n" for name in names))
        found = faults("image: y", "image: y, groups: [xyz]", text)
        assert len(found) == 4
        assert found[0].endswith(f'there is no group "xyz"; there are " [31mred", "{"x" * 32}…", "a b", research')
        assert all(problem.isprintable() and len(problem) < 300 for problem in found)

    def test_a_name_that_cannot_be_shown_is_not_suggested(self) -> None:
        text = CATALOG.replace("research: {}", '"research\\0": {}')
        found = faults("image: y", "image: y, groups: [research]", text)
        assert found[0].endswith('there is no group "research"; there are "research "')


def users(entry: str) -> list[str]:
    return faults("research: {}\n", f"research: {{}}\nusers: {{ada: {entry}}}\n")


def faults(found: str, replacement: str, text: str = CATALOG) -> list[str]:
    """The problems of the catalog with something replaced in it, without the file's name; none if it holds."""
    assert found in text
    try:
        parse_catalog(text.replace(found, replacement, 1))
    except CatalogError as error:
        return [problem.removeprefix("catalog.yaml:") for problem in error.problems]
    return []
