"""The chart's values: what is made from their comments, and what is told of somebody's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from harness.catalogs import ANYTHING
from harness.hostile import shown
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.storage import DockerHome
from stateroom.operations.chart_values import schema
from stateroom.operations.chart_values.chart import (
    Section,
    Value,
    chart_catalog,
    chart_folder,
    chart_values,
    section_from,
    values_of,
)
from stateroom.operations.chart_values.helm_yaml import as_helm_reads
from stateroom.operations.chart_values.read import read_values, values_faults
from stateroom.operations.chart_values.schema import values_page, values_schema

ROOT = Path(__file__).parents[2]
DEFAULTS = (chart_folder() / "values.yaml").read_text()
SMALL = """\
# The head of the file,
# on two lines.

# Whether there is one.
enabled: false

part:
  # How many.
  # schema: {minimum: 1}
  # Of them all.
  number: 3
  inner:
    # A name.
    name: x
  # Free to be anything.
  free:
    some: {cpu: 1}
    other: 2
"""
CATALOG = """\
version: 1
images: [{id: a, image: b, default: true}]
sizes:
  - {id: s, cpu: 1, memory: 1 GiB, default: true}
"""
BROKEN = CATALOG.replace("1 GiB", "1 GBs")
FOLDED = BROKEN.replace("\n", "\n\n").replace("\n\n  -", "\n  -")  # where `>` makes one line of two
SENTENCE = '"1 GBs" is not an amount of memory; write for example 2 GiB'


def told(text: str) -> list[str]:
    return [str(fault) for fault in values_faults(text)]


def indented(text: str, by: int = 2) -> str:
    return "".join(f"{' ' * by}{line}\n" if line else "\n" for line in text.splitlines())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Section:
    """A small chart instead of ours."""
    section = section_from(SMALL)
    monkeypatch.setattr(schema, "chart_values", lambda: section)
    return section


class TestInference:
    def test_keys_whose_own_keys_have_comments_are_sections_and_others_are_values(self, small: Section) -> None:
        assert [".".join(value.path) for value in values_of(small)] == [
            "enabled", "part.number", "part.inner.name", "part.free",
        ]  # fmt: skip

    def test_a_comment_right_above_a_key_describes_it_without_what_is_for_the_schema(self, small: Section) -> None:
        assert [value.description for value in values_of(small)] == [
            "Whether there is one.", "How many. Of them all.", "A name.", "Free to be anything.",
        ]  # fmt: skip

    def test_what_the_file_begins_with_describes_all_of_it(self, small: Section) -> None:
        assert small.description == "The head of the file, on two lines."

    def test_what_the_file_begins_with_is_not_the_first_keys(self) -> None:
        section = section_from("# The head.\nfirst: 1\n# Its own.\nsecond: 2\n")
        assert [part.description for part in section.parts] == ["", "Its own."]
        assert section.description == "The head."

    @pytest.mark.parametrize(
        "above",
        ["# Apart.\n\n", "  # Further in.\n", "other: 1  # Beside.\n", "text: |\n  # Of the text.\n"],
        ids=shown,
    )
    def test_other_comments_are_nobodys(self, above: str) -> None:
        assert section_from(f"begin: 1\n{above}key: 1\n").parts[-1].description == ""

    @pytest.mark.parametrize(
        ("default", "kind"),
        [
            ("true", "boolean"), ("3", "integer"), ("0.5", "number"), ("x", "string"), ('""', "string"),
            ("[]", "array"), ("[a]", "array"), ("{}", "object"), ("{a: {b: 1}}", "object"), ("|\n  a\n  b", "string"),
        ],
    )  # fmt: skip
    def test_the_default_says_what_a_value_is(self, default: str, kind: str) -> None:
        (value,) = section_from(f"key: {default}\n").parts
        assert isinstance(value, Value)
        assert value.form == {"type": kind}

    def test_the_schema_has_it_all(self, small: Section) -> None:
        assert small.parts
        assert values_schema() == {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Values of Stateroom's chart",
            "description": "The head of the file, on two lines.",
            "type": "object",
            "properties": {
                "enabled": {"description": "Whether there is one.", "type": "boolean", "default": False},
                "part": {
                    "type": "object",
                    "properties": {
                        "number": {
                            "description": "How many. Of them all.", "type": "integer", "minimum": 1, "default": 3,
                        },
                        "inner": {
                            "type": "object",
                            "properties": {"name": {"description": "A name.", "type": "string", "default": "x"}},
                            "additionalProperties": False,
                        },
                        "free": {
                            "description": "Free to be anything.",
                            "type": "object",
                            "default": {"some": {"cpu": 1}, "other": 2},
                        },
                    },
                    "additionalProperties": False,
                },
                "global": schema._GLOBAL,
            },
            "additionalProperties": False,
        }  # fmt: skip

    def test_the_page_has_a_row_for_each(self, small: Section) -> None:
        assert small.parts
        assert values_page().splitlines() == [
            "| value | default | is |",
            "|---|---|---|",
            "| `enabled` | `false` | Whether there is one. |",
            "| `part.number` | `3` | How many. Of them all. |",
            "| `part.inner.name` | `x` | A name. |",
            "| `part.free` | `{some: {cpu: 1}, other: 2}` | Free to be anything. |",
        ]

    @pytest.mark.parametrize(
        ("default", "cell"),
        [('""', '`""`'), ("''", '`""`'), ("[]", "`[]`"), ("{}", "`{}`"), ("a|b", r"`a\|b`"), ("it's", "`it's`")],
    )
    def test_a_default_on_the_page_is_as_one_would_write_it(
        self, monkeypatch: pytest.MonkeyPatch, default: str, cell: str
    ) -> None:
        monkeypatch.setattr(schema, "chart_values", lambda: section_from(f"key: {default}\n"))
        assert f"| `key` | {cell} |" in values_page()

    def test_a_text_of_many_lines_is_not_on_the_page(self) -> None:
        assert "| `catalog` | [as in the file](values.yaml) | The catalog" in values_page()


class TestTheChartsOwn:
    def test_every_value_has_a_comment(self) -> None:
        assert [".".join(value.path) for value in values_of(chart_values()) if not value.description] == []

    def test_the_schema_is_one_of_the_draft_that_helm_reads(self) -> None:
        Draft7Validator.check_schema(values_schema())

    def test_the_defaults_hold_by_the_schema(self) -> None:
        Draft7Validator(values_schema()).validate(yaml.safe_load(DEFAULTS))

    def test_the_defaults_hold_by_the_check(self) -> None:
        assert told(DEFAULTS) == []

    @pytest.mark.parametrize("section", ["", "hub", "hub.volume", "proxy.service", "ingress", "network_policies"])
    def test_every_section_is_closed(self, section: str) -> None:
        data: dict[str, Any] = {"colour": "red"}
        for name in reversed(section.split(".") if section else []):
            data = {name: data}
        assert not Draft7Validator(values_schema()).is_valid(data)

    @pytest.mark.parametrize(
        "text",
        [
            "global: {imageRegistry: x}",
            "hub: {config: {JupyterHub: {admin_users: [ada]}}}",
            "hub: {resources: {limits: {cpu: 4}}}",
            "hub: {volumes: [{name: x, emptyDir: {}}]}",
            "ingress: {annotations: {a/b: c}}",
        ],
    )
    def test_what_kubernetes_and_others_know_better_is_open(self, text: str) -> None:
        assert Draft7Validator(values_schema()).is_valid(yaml.safe_load(text))
        assert told(text) == []

    def test_the_catalog_is_the_default_one_but_for_docker(self) -> None:
        usual = parse_catalog((ROOT / "config" / "catalog.yaml").read_text())
        assert usual.home.docker != DockerHome()
        home = usual.home.model_copy(update={"docker": DockerHome()})
        assert chart_catalog() == usual.model_copy(update={"home": home})


class TestFaults:
    def test_all_are_told_at_once_in_the_order_of_the_file(self) -> None:
        text = (
            "hots: x\n"
            "proxy:\n"
            "  service: {port: 0}\n"
            "ingress:\n"
            "  enabled: true\n"
            "catalog: |\n" + indented(BROKEN) + "prepull: [1]\n"
        )
        assert told(text) == [
            'values.yaml:1:1: hots: there is no such key; did you mean "host"?',
            'values.yaml:3:13: proxy.service.port: "0" is too little; write 1 or more',
            f"values.yaml:10:23: catalog.sizes[0].memory: {SENTENCE}",
            "values.yaml:11:1: prepull: a list is no value for this; write keys with their values",
        ]

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("hots: x", '1:1: hots: there is no such key; did you mean "host"?'),
            ("hub: {\n  volume: {storageClas: x}}", (
                '2:12: hub.volume.storageClas: there is no such key; did you mean "storage_class"?')),
            ("size: 1Gi", '1:1: size: there is no such key; did you mean "hub.volume.size"?'),
            ("route: {x: 1}", "1:9: route.x: there is no such key; there are enabled, gateway, namespace and section"),
            ("hub: {config: {A: 5}}", '1:16: hub.config.A: "5" is no value for this; write keys with their values'),
            ("disruption_budgets: x", '1:1: disruption_budgets: "x" is no value for this; write true or false'),
            ("prepull: {timeout: long}", '1:11: prepull.timeout: "long" is no value for this; write a whole number'),
            ("prepull: {timeout: 1.5}", '1:11: prepull.timeout: "1.5" is no value for this; write a whole number'),
            ("prepull: {timeout: true}", '1:11: prepull.timeout: "true" is no value for this; write a whole number'),
            ("host: on", "1:1: host: is read as true or false; put it in quotes"),
            ("host: 010", "1:1: host: is read as a number; put it in quotes"),
            ("host: {a: b}", "1:1: host: an object is no value for this; write a text"),
            ("pull_secrets: x", '1:1: pull_secrets: "x" is no value for this; write a list, such as [one, two]'),
            ("pull_secrets: [{name: x}]", "1:16: pull_secrets[0]: an object is no value for this; write a text"),
            ("hub: {environment: {PIN: 1234}}", "1:21: hub.environment.PIN: is read as a number; put it in quotes"),
            ("proxy: {service: {type: clusterip}}", ('1:19: proxy.service.type: "clusterip" is not known here; write '
             "ClusterIP or LoadBalancer or NodePort")),
            ("proxy: {service: {port: 70000}}", '1:19: proxy.service.port: "70000" is too much; write 65535 or less'),
            ("prepull: {timeout: -1}", '1:11: prepull.timeout: "-1" is too little; write 1 or more'),
            ("catalog: {version: 1}", ("1:1: catalog: an object is no value for this; write it as text, in lines after "
             "`catalog: |`")),
            ("host: a\nhost: b", '2:1: "host" is written twice; keep one'),
            ("hub: {config: {a: {}, a: {}}}", '1:23: "a" is written twice; keep one'),
            ("host: !!binary aGk=", '1:7: "!!binary" is a YAML tag; a file of values needs none, remove it'),
            ("host: [", "2:1: is not YAML: did not find expected node content"),
            ("host: x\n---\nhost: y", "2:1: is not YAML: a second document begins here; a file of values is one"),
            ("just text", '1:1: "just text" is no value for this; write keys with their values'),
            ("[a, b]", "1:1: a list is no value for this; write keys with their values"),
        ],
        ids=shown,
    )  # fmt: skip
    def test_each_is_told_with_its_place_and_what_to_do(self, text: str, fault: str) -> None:
        assert told(f"{text}\n") == [f"values.yaml:{fault}"]

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("ingress: {enabled: true}", "ingress.enabled: there is no name that it could lead from; write host"),
            ("route: {enabled: true, gateway: x}", "route.enabled: there is no name that it could lead from; write"),
            ("host: x\nroute: {enabled: true}", ("route.enabled: there is no Gateway that it could belong to; write "
             "route.gateway")),
            ("host: x\nroute: {enabled: true, gateway: x}\ningress: {enabled: true}", (
                "route.enabled: ingress is enabled too, and one of them leads to the hub; disable the other")),
            ("ingress: {tls_secret: x}", "ingress.tls_secret: there is no Ingress that could use it; write enabled"),
            ("hub: {volume: {claim: c, size: 2Gi}}", 'hub.volume.size: the claim "c" has its own already; remove this'),
            ("hub: {volume: {claim: c, storage_class: x}}", 'hub.volume.storage_class: the claim "c" has its own'),
            ("network_policies: {closed: [a]}", ('network_policies.closed[0]: "a" is no range of addresses; write for '
             "example 10.0.0.0/8")),
            ("network_policies: {open: [10.0.0.0/8, 10.0.0.1]}", ('network_policies.open[1]: "10.0.0.1" is a single '
             "address; write 10.0.0.1/32")),
            ("network_policies: {open: ['fd00::1']}", '"fd00::1" is a single address; write fd00::1/128'),
            ("network_policies: {open: [10.0.0.0/8], enabled: no}", "network_policies.open: nothing is closed while"),
            *(
                (f"hub: {{config: {{{section}: {{{key}: x}}}}}}", f"hub.config.{section}.{key}: {sentence}")
                for section, key, sentence in (
                    ("JupyterHub", "spawner_class", "the chart's servers are started by Stateroom; remove this"),
                    ("JupyterHub", "hub_connect_url", "the chart says where servers find the hub; remove this"),
                    ("JupyterHub", "hub_bind_url", "the chart says where the hub listens; remove this"),
                    ("JupyterHub", "proxy_class", "the chart's proxy is looked after by Stateroom; remove this"),
                    ("JupyterHub", "db_url", "write hub.database_url instead"),
                    ("JupyterHub", "cookie_secret", "the chart keeps one in a Secret; remove this"),
                    ("ConfigurableHTTPProxy", "api_url", "the chart says where the proxy is; remove this"),
                    ("ConfigurableHTTPProxy", "auth_token", "the chart keeps one in a Secret; remove this"),
                    ("ConfigurableHTTPProxy", "should_start", "the proxy has a pod of its own; remove this"),
                )
            ),
        ],
        ids=shown,
    )  # fmt: skip
    def test_what_contradicts_itself_is_told_once(self, text: str, fault: str) -> None:
        (found,) = told(f"{text}\n")
        assert fault in found
        assert Draft7Validator(values_schema()).is_valid(yaml.safe_load(text)), "the schema would do"

    @pytest.mark.parametrize(
        "text", ["10.0.0.0/08", "10.0.0.0/255.0.0.0", "fe80::1%eth0/64", "10.0.0.0/33", "10/8", ""]
    )
    def test_what_kubernetes_takes_for_no_range_is_none(self, text: str) -> None:
        assert "is no range of addresses" in told(f"network_policies: {{open: ['{text}']}}\n")[0]

    @pytest.mark.parametrize(
        "text",
        [
            "", "# nothing\n", "{}", "~", "host: hub.example.org",
            "host: '010'", 'host: "on"', "hub: {image: 'null'}", "registry: |\n  5",
            "host: x\ningress: {enabled: true, tls_secret: x}",
            "host: x\nroute: {enabled: true, gateway: x}",
            "hub: {volume: {claim: c, storage_class: ''}}",
            "hub: {volume: {size: 2Gi, storage_class: x}}",
            "network_policies: {open: [10.1.2.3/8, 'fd00::/8', 0.0.0.0/0]}",
            "network_policies: {enabled: false}",
            "hub: {environment: {TOKEN: abcdef}}",
            "hub: {config: {ConfigurableHTTPProxy: {debug: true}, JupyterHub: {}}}",
            "hub: {resources: &it {limits: {memory: 4Gi}}}\nproxy: {resources: *it}",
            "prepull: {hook: no, timeout: 0x10}",
            "hub: {resources: {limits: ~}}",
        ],
        ids=shown,
    )  # fmt: skip
    def test_what_can_be_meant_is_no_fault(self, text: str) -> None:
        assert told(text) == []

    @pytest.mark.parametrize(
        ("text", "form"),
        [("host: ~", "a text"), ("ingress: {enabled: }", "true or false"), ("ingress:", "keys with their values")],
    )
    def test_nothing_is_no_value_since_helm_would_take_the_default_away(self, text: str, form: str) -> None:
        (found,) = told(text)
        assert found.endswith(f"nothing is no value for this; leave it out for the default, or write {form}")

    @pytest.mark.parametrize(
        "text",
        [
            "host: [x]\ningress: {enabled: true}",
            "hots: x\ningress: {enabled: true}",
            "host: x\ningress: {enabeld: true, tls_secret: x}",
            "ingres: {enabled: true}\ningress: {tls_secret: x}",
            "network_policies: {enabled: [], open: [10.0.0.0/8]}",
            "network_policies: {open: [10.0.0.0/8, 5, x]}",
            "hub: {volume: {claim: [], size: 2Gi}}",
            "hub: {config: {JupyterHub: {db_url: x}, Other: 5}}",
        ],
        ids=shown,
    )
    def test_nothing_is_concluded_from_what_is_broken(self, text: str) -> None:
        assert len(told(text)) == 1

    def test_a_password_is_not_told(self) -> None:
        assert "1234" not in told("hub: {environment: {PIN: 1234}, database_url: 1234}\n")[0]

    def test_a_hundred_faults_are_told_and_no_more(self) -> None:
        found = told("".join(f"key{number}: 1\n" for number in range(200)))
        assert (len(found), found[0].partition(": ")[0]) == (100, "values.yaml:1:1")

    def test_what_is_broken_after_a_hundred_faults_is_broken(self) -> None:
        many = "".join(f"key{number}: 1\n" for number in range(200))
        assert len(told(f"{many}network_policies: {{closed: 5}}\nhub: {{code: [x], config: 5}}\ncatalog: 5\n")) == 100


class TestCatalogInside:
    @pytest.mark.parametrize(
        ("text", "place"),
        [
            (f"catalog: |\n{indented(BROKEN)}", "values.yaml:5:23: catalog.sizes[0].memory"),
            (f"# a\nhost: x\ncatalog: |-\n{indented(BROKEN, 7)}", "values.yaml:7:28: catalog.sizes[0].memory"),
            (f"catalog: |2\n{indented(BROKEN)}", "values.yaml:5:23: catalog.sizes[0].memory"),
            (f"catalog: | # mine\n\n\n{indented(BROKEN)}", "values.yaml:7:23: catalog.sizes[0].memory"),
            (f"catalog: &one |\n{indented(BROKEN)}", "values.yaml:5:23: catalog.sizes[0].memory"),
            (f"catalog: |\n{indented(BROKEN)}".replace("\n", "\r\n"), "values.yaml:5:23: catalog.sizes[0].memory"),
            (f"hub:\n  code: &it |\n{indented(BROKEN, 4)}catalog: *it\n", "values.yaml:6:25: catalog.sizes[0].memory"),
            (f"catalog: >\n{indented(FOLDED)}", "values.yaml:1:1: catalog, line 4: sizes[0].memory"),
            (yaml.safe_dump({"host": "x", "catalog": BROKEN}, default_style='"'), "values.yaml:1:1: catalog, line 4: "),
            (f"catalog: &one\n  |\n{indented(BROKEN)}", "values.yaml:1:1: catalog, line 4: sizes[0].memory"),
        ],
        ids=shown,
    )  # fmt: skip
    def test_its_faults_have_their_line_of_the_file_where_it_has_lines(self, text: str, place: str) -> None:
        (found,) = told(text)
        assert found.startswith(place)
        assert found.endswith(SENTENCE)

    @pytest.mark.parametrize(
        ("catalog", "fault"),
        [
            ('""', "values.yaml:1:1: catalog, line 1: is empty; it needs version, images and sizes"),
            ("just text", 'values.yaml:1:1: catalog, line 1: "just text" is no value for this'),
            ("|\n  a: [\n", "values.yaml:3:"),
            ('"\\0"', "values.yaml:1:1: catalog: is not a catalog: it holds the character #x0000"),
            (f"|\n  {'{a: ' * 60}1{'}' * 60}\n", "values.yaml:1:1: catalog: is not a catalog: it is nested too deeply"),
        ],
        ids=shown,
    )
    def test_what_is_no_catalog_is_told_at_its_key(self, catalog: str, fault: str) -> None:
        assert fault in told(f"catalog: {catalog}")[0]

    def test_one_that_holds_is_handed_over(self) -> None:
        assert read_values(f"catalog: |\n{indented(CATALOG)}").catalog == parse_catalog(CATALOG)
        assert read_values("host: x\n").catalog is None

    def test_where_another_counts_it_is_not_looked_at(self) -> None:
        assert read_values(f"catalog: |\n{indented(BROKEN)}", with_catalog=False).faults == ()


class TestHints:
    @pytest.mark.parametrize("text", ["", "hub: {config: {JupyterHub: {admin_users: [ada]}}}", "hub: {code: c.x = 1}"])
    def test_without_an_authenticator_nobody_can_log_in(self, text: str) -> None:
        (hint,) = read_values(text).hints
        assert hint.startswith("Nobody can log in yet")

    @pytest.mark.parametrize(
        "text",
        [
            "hub: {config: {JupyterHub: {authenticator_class: github}}}",
            "hub: {code: c.JupyterHub.authenticator_class = Mine}",
            "hub: {config: 5}",
            "hub: {config: {JupyterHub: }}",
        ],
    )
    def test_where_there_is_one_or_nobody_can_say_nothing_is_told(self, text: str) -> None:
        assert read_values(text).hints == ()


class TestHelmsReading:
    @pytest.mark.parametrize(
        ("text", "meaning"),
        [
            ("yes", True), ("Y", True), ("on", True), ("TRUE", True), ("n", False), ("Off", False), ("yEs", "yEs"),
            ("0", 0), ("12", 12), ("-3", -3), ("010", 8), ("08", 8.0), ("0x1F", 31), ("0b11", 3), ("1_000", 1000),
            ("18446744073709551615", 2**64 - 1), ("18446744073709551616", float(2**64)), ("1.5", 1.5), ("1e3", 1000.0),
            (".5", 0.5), ("-.inf", float("-inf")), ("+.INF", float("inf")), ("1" * 5000, float("inf")),
            ("1:30", "1:30"), ("2026-11-24", "2026-11-24"), ("_1", "_1"), ("0x", "0x"), ("-", "-"), (".", "."),
            ("1.2.3", "1.2.3"), ("\u0661", "\u0661"), ("inf", "inf"), ("", ""),
        ],
        ids=shown,
    )  # fmt: skip
    def test_a_scalar_means_what_it_means_to_helm(self, text: str, meaning: object) -> None:
        assert as_helm_reads(text) == meaning
        assert type(as_helm_reads(text)) is type(meaning)

    def test_what_is_no_number_is_read_as_none(self) -> None:
        assert str(as_helm_reads(".nan")) == "nan"

    @given(st.text(st.sampled_from("0123456789abcdefxXoObB_+-.einfNA:")))
    def test_anything_is_read(self, text: str) -> None:
        assert isinstance(as_helm_reads(text), (bool, int, float, str))


class TestHostile:
    @pytest.mark.parametrize(
        "text",
        [
            "{a: " * 5000,
            "[" * 5000,
            "hub: {config: " + "{a: " * 60 + "1" + "}" * 61,
            "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(24)),
            "hub: {config: &a {x: *a}}",
            "host: " + "x" * 1_000_000,
            "x" * 1_000_000 + ": 1",
            "catalog: " + "x" * 900_000,
            "host: \x00",
            "host: \ud800",
            "\ud800: 1",
            "? [a, b]\n: x",
            "? {a: b}\n: x",
            "1: x\ntrue: y\n~: z",
            "prepull: {timeout: " + "9" * 100_000 + "}",
            "prepull: {timeout: .inf}",
            "proxy: {service: {port: .nan}}",
            "network_policies: {closed: ['" + "1" * 100_000 + "/8']}",
            "hub: {config: {JupyterHub: [db_url], ConfigurableHTTPProxy: api_url}}",
            "<<: {host: x}",
            "<<: [1]",
            "host: !!python/object/apply:os.system [ls]",
        ],
        ids=shown,
    )  # fmt: skip
    def test_whatever_stands_there_is_told_in_short_sentences(self, text: str) -> None:
        assert all(len(fault) < 500 for fault in told(text))

    @given(st.text(max_size=200))
    def test_any_text_gives_faults_or_none(self, text: str) -> None:
        told(text)

    @given(st.lists(st.tuples(st.sampled_from(list(values_of(chart_values()))), ANYTHING), max_size=5))
    def test_any_values_give_faults_or_none(self, settings: list[tuple[Value, Any]]) -> None:
        data: dict[str, Any] = {}
        for value, anything in settings:
            inner = data
            for name in value.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[value.path[-1]] = anything
        told(yaml.safe_dump(data))

    @given(st.integers(0, len(DEFAULTS)), st.integers(0, 40), st.text(max_size=10))
    def test_any_damage_to_a_file_gives_faults_or_none(self, begin: int, length: int, text: str) -> None:
        told(DEFAULTS[:begin] + text + DEFAULTS[begin + length :])
