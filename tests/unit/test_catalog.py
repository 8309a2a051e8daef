from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.scalars import ID, parse_capacity, parse_share
from stateroom.common.errors import CatalogError
from stateroom.common.quantity import GiB, format_duration, parse_duration

LEAST = """\
version: 1
images:
  - {id: unified, image: "stateroom/unified:1", default: true}
sizes:
  - {id: standard, cpu: 1, memory: 2 GiB, default: true}
"""


def test_images_and_sizes_are_enough_and_the_rest_has_defaults() -> None:
    catalog = parse_catalog(LEAST)
    assert catalog.custom is None
    assert catalog.home.mount == "notebooks"
    assert catalog.home.when_user_is_deleted == "keep"
    assert catalog.start.timeout == 120
    assert catalog.default_image.label == "unified"
    assert (catalog.default_size.cpu, catalog.default_size.memory) == (1000, 2 * GiB)


def test_a_catalog_does_not_change_once_made() -> None:
    catalog = parse_catalog(LEAST)
    with pytest.raises(ValidationError):
        catalog.sizes[0].cpu = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", ["a", "0", "a.b-c_d", "x" * 63])
def test_an_id_is_short_and_plain(name: str) -> None:
    assert ID.parse(name) == name


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "ä", "a b", "x" * 64, "a\n", 1, None, True, [], {}, "a/b", ".."])
def test_what_is_no_id_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        ID.parse(name)


@pytest.mark.parametrize(
    ("written", "seconds"), [("90 s", 90), ("90s", 90), ("2 min", 120), ("8 h", 28_800), ("0.5 h", 1800), ("5 sec", 5)]
)
def test_a_length_of_time_is_read_as_seconds(written: str, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    "written", [90, 1.5, None, True, "", "90", "min", "-1 s", "1 d", "1e3 s", "nan s", [], "1 s s"]
)
def test_what_is_no_length_of_time_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="is not a length of time"):
        parse_duration(written)


@pytest.mark.parametrize("kernels", ["[a b]", "['']", "[[a]]", "python3", "[ä]"])
def test_what_is_no_kernels_name_is_refused(kernels: str) -> None:
    with pytest.raises(CatalogError, match="kernel"):
        parse_catalog(LEAST.replace("default: true", f"kernels: {kernels}, default: true", 1))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hub: My Hub", 'hub: "My Hub" is not an id'),
        ("surprise: 1", "surprise: there is no such key"),
        ("environment: {JUPYTERHUB_API_TOKEN: x}", '"JUPYTERHUB_API_TOKEN" is set by the hub; remove it'),
        ("environment: {JPY_API_TOKEN: x}", '"JPY_API_TOKEN" is set by the hub; remove it'),
        ("environment: {MEM_LIMIT: lots}", '"MEM_LIMIT" tells each server what it has; remove it'),
        ("environment: {STATEROOM_HUB: x}", '"STATEROOM_HUB" tells each server what it has; remove it'),
        ("environment: {a-b: x}", '"a-b" is not a variable\'s name'),
        ("environment: {A: [1]}", "environment.A"),
        ("start: {timeout: 0 s}", "start.timeout"),
        ("start: {timeout: 5}", '"5" is not a length of time'),
        ("home: {mount: /srv}", '"/srv" is not a folder below the home directory'),
        ("home: {mount: ..}", '".." is not a folder'),
        ("home: {mount: a/../b}", '"a/../b" is not a folder'),
        ("home: {mount: ''}", '"" is not a folder'),
        ("home: {when_user_is_deleted: burn}", "home.when_user_is_deleted"),
        ("home: {docker: {volume: shared}}", "home.docker.volume"),
        ("home: {docker: {volume: per-user, path: /srv}}", "names a volume and a path; keep one of the two"),
        ("home: {docker: {path: srv}}", '"srv" is not an absolute path'),
        ("home: {docker: {path: '/a:b'}}", "holds ':' or '..'"),
        ("home: {docker: {path: /a/../b}}", "holds ':' or '..'"),
        ("home: {when_user_is_deleted: delete, docker: {path: /srv}}", "Stateroom deletes no host folders"),
        ("custom: {cpu: {min: 1, max: 2, step: 1}}", "custom.memory: is missing"),
        (CPU := "custom: {memory: {min: 1 GiB, max: 2 GiB, step: 1 GiB}, cpu: {min: 2, max: 1, step: 1}}", "below min"),
        (CPU.replace("max: 1,", "max: 3.5,"), "write 3 or 4"),
        (CPU.replace("min: 2,", "min: 0,"), "custom.cpu.min"),
        (CPU.replace("step: 1}}", "step: 0}}"), "custom.cpu.step"),
        (
            CPU.replace("step: 1}}", "step: 1}, gpu: {min: 2, max: 1}}").replace(
                "min: 2, max: 1, s", "min: 1, max: 2, s"
            ),
            "custom.gpu: max (1) is below min (2)",
        ),
        ("guarantee: {cpu: 0}", '"0" is not a share; write a number from 0.0001 to 1'),
        ("guarantee: {memory: 1.01}", '"1.01" is not a share'),
        ("docker: {capacity: {memory: 0}}", '"0" is not a share of the machine; write a number from 0.0001 to 10'),
        ("docker: {capacity: {memory: 90%}}", '"90%" is not a share of the machine'),
        ("docker: {capacity: {memory: 20 GiB}}", '"20 GiB" is not a share of the machine'),
        ("docker: {capacity: {cpu: 1}}", "docker.capacity.cpu: there is no such key"),
        ("quota: {servers: 0}", "0 is too little; write at least 1"),
        ("quota: {servers: 1.5}", '"1.5" is not a whole number'),
        ("quota: {cpu: 0}", "0 is too little; write at least 0.01"),
        ("quota: {memory: 1 MiB}", "1 MiB is too little; write at least 64 MiB"),
        ("quota: {gpu: -1}", '"-1" is not a whole number'),
        ("idle: {stop_after: 59 s}", "59 s is too little; write at least 1 min"),
        ("idle: {stop_after: 999999 h}", '"999999 h" is too long a time; leave it out for no end'),
        ("groups: {'': }", '"" is not a name; write it as the hub shows it'),
        ("groups: {' a': }", '" a" is not a name'),
        ('groups: {"a\\tb": }', '"a b" is not a name'),
        (f"users: {{{'x' * 256}: }}", "is not a name"),
        (
            "groups: {a: {identity: {supplemental_groups: [0]}}}",
            '"0" is not the number of a group; write for example 2001',
        ),
        ("groups: {a: {identity: {supplemental_groups: [2147483648]}}}", "is not the number of a group"),
        (f"groups: {{a: {{identity: {{supplemental_groups: [{'9' * 5000}]}}}}}}", "is not the number of a group"),
        ("groups: {a: {identity: {supplemental_groups: 2001}}}", '"2001" is no value for this; write a list'),
        ("groups: {a: {identity: {service_account: A}}}", '"A" is not a name in Kubernetes'),
        ("groups: {a: {identity: {network: host}}}", '"host" is no network for servers; name one of their own'),
        ("docker: {network: bridge}", '"bridge" is no network for servers; name one of their own'),
        ('docker: {network: "container:x"}', '"container:x" is not a network\'s name; write letters'),
        ("groups: {a: {identity: {environment: {JPY_X: a}}}}", '"JPY_X" is set by the hub; remove it'),
        ("users: {a: {total: {}}}", "users.a.total: there is no such key"),
        ("kubernetes: {namespace: -a}", '"-a" is not a name in Kubernetes'),
        ("kubernetes: {tolerations: [{key: a, operator: Is}]}", '"Is" is not known here; write Exists or Equal'),
        ("kubernetes: {tolerations: [{operator: Exists}]}", "kubernetes.tolerations[0].key: is missing"),
        ("home: {kubernetes: {size: 10}}", '"10" is not an amount of memory'),
        ("home: {when_user_is_deleted: burn}", '"burn" is not known here; write keep or delete'),
        ("environment: [a]", "a list is no value for this; write keys with their values"),
        ("home: text", '"text" is no value for this; write keys with their values'),
    ],
)
def test_what_makes_no_sense_is_refused(line: str, expected: str) -> None:
    assert expected in " ".join(problems(f"{LEAST}{line}\n"))


@pytest.mark.parametrize(
    ("found", "replacement", "expected"),
    [
        ("version: 1", "version: 2", "version"),
        ("version: 1\n", "", "version: is missing"),
        ("cpu: 1", "cpu: 0", "sizes[0].cpu"),
        ("cpu: 1", "cpu: 1e999", '"1e999" is not an amount of CPU'),
        ("cpu: 1", "cpu: .nan", '".nan" is not an amount of CPU'),
        ("memory: 2 GiB", "memory: 2", '"2" is not an amount of memory'),
        ("memory: 2 GiB", "memory: 1 KiB", "sizes[0].memory"),
        ("memory: 2 GiB, ", "", "sizes[0].memory: is missing"),
        ("id: standard", "id: custom", '"custom" is kept for CPU and memory that users choose themselves'),
        ("id: standard", "id: One", '"One" is not an id'),
        ("2 GiB, default: true", "2 GiB", "exactly one entry is the default, found none"),
        ("stateroom/unified:1", "two words", "it holds white space"),
        ("stateroom/unified:1", "", "images[0].image: is empty; write a text"),
        ("default: true}\nsizes", "default: maybe}\nsizes", '"maybe" is no value for this; write true or false'),
        ("id: unified,", f"id: unified, title: {'x' * 201},", "is longer than 200 letters; shorten it"),
        ("id: unified,", f"id: unified, deprecated: {'x' * 501},", "is longer than 500 letters; shorten it"),
        ("id: unified,", "id: unified, title: [a],", "a list is no value for this; write a text"),
        ("id: unified,", "id: unified, title: ~,", "nothing is no value for this; write a text"),
        ("id: unified,", "id: unified, groups: a,", '"a" is no value for this; write a list, such as [one, two]'),
        ("id: unified,", "id: unified, replaced_by: A B,", '"A B" is not an id'),
        ("cpu: 1", "cpu: 1, gpu: 0.5", '"0.5" is not a whole number; write for example 1'),
        ('  - {id: unified, image: "stateroom/unified:1", default: true}', "  []", "images"),
        ("sizes:\n  - {id: standard, cpu: 1, memory: 2 GiB, default: true}\n", "", "sizes: is missing"),
    ],
)
def test_a_fault_names_its_place_and_what_was_found(found: str, replacement: str, expected: str) -> None:
    assert found in LEAST
    assert expected in " ".join(problems(LEAST.replace(found, replacement)))


@pytest.mark.parametrize(
    ("found", "replacement", "limit"),
    [("cpu: 1", "cpu: 0.001", "0.01"), ("memory: 2 GiB", "memory: 1 KiB", "64 MiB")],
)
def test_a_limit_is_told_in_the_unit_that_was_written(found: str, replacement: str, limit: str) -> None:
    sentence = " ".join(problems(LEAST.replace(found, replacement))).rpartition(": ")[2]
    assert limit in sentence


def test_two_defaults_are_refused_by_name() -> None:
    second = "  - {id: large, cpu: 4, memory: 8 GiB, default: true}\n"
    assert 'found "standard", "large"' in " ".join(problems(LEAST + second))


def test_an_id_used_twice_is_refused() -> None:
    second = "  - {id: standard, cpu: 4, memory: 8 GiB}\n"
    assert '"standard" is the id of sizes[0] too' in " ".join(problems(LEAST + second))


def test_values_of_the_environment_stay_as_they_were_written() -> None:
    catalog = parse_catalog(LEAST + 'environment: {A: 1, B: 0.10, C: "yes", D: text, E: ""}\n')
    assert catalog.environment == {"A": "1", "B": "0.10", "C": "yes", "D": "text", "E": ""}


@pytest.mark.parametrize(
    ("written", "share"), [("1", 1), ("0.25", 0.25), (".5", 0.5), ("0.123456", 0.123456), (1, 1), (0.0001, 0.0001)]
)
def test_a_share_is_a_number_up_to_one(written: Any, share: float) -> None:
    assert parse_share(written) == share


def test_of_the_machine_servers_may_reserve_nine_tenths_unless_the_catalog_says_otherwise() -> None:
    assert parse_catalog(LEAST).docker.capacity.memory == 0.9
    assert parse_catalog(LEAST + "docker: {capacity: {memory: 1.5}}\n").docker.capacity.memory == 1.5


@pytest.mark.parametrize(("written", "share"), [("10", 10), (10.0, 10), ("0.9", 0.9), (".5", 0.5), (0.0001, 0.0001)])
def test_a_share_of_the_machine_may_promise_its_memory_more_than_once(written: Any, share: float) -> None:
    assert parse_capacity(written) == share


@pytest.mark.parametrize("written", ["0", "10.1", "100", "-1", "90%", "1e1", "nan", "", None, True, [], 0, 11, 1e-5])
def test_what_is_no_share_of_the_machine_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="is not a share of the machine"):
        parse_capacity(written)


@pytest.mark.parametrize(
    "written",
    ["0", "1.1", "-0.5", "50%", "0.1234567", "1e-3", "nan", "", None, True, [], 0, 2, 1e-5, float("nan"), float("inf")],
)
def test_what_is_no_share_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        parse_share(written)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (90, "90 s"),
        (120, "2 min"),
        (28_800, "8 h"),
        (5400, "90 min"),
        (0.5, "0.5 s"),
        (1e-9, "0.000000001 s"),
        (0, "0 s"),
    ],
)
def test_a_length_of_time_is_written_in_its_largest_whole_unit(seconds: float, written: str) -> None:
    assert format_duration(seconds) == written


@given(
    st.integers(0, 10**9 - 1), st.text("0123456789", min_size=1, max_size=9), st.sampled_from(["s", "sec", "min", "h"])
)
def test_a_length_of_time_as_written_reads_back_the_same(whole: int, decimals: str, unit: str) -> None:
    try:
        seconds = parse_duration(f"{whole}.{decimals} {unit}")
    except ValueError as refused:
        assert "too long" in str(refused)
    else:
        assert parse_duration(format_duration(seconds)) == seconds


def test_an_image_may_be_replaced_at_once_or_after_a_while() -> None:
    text = LEAST.replace("sizes:", "  - {id: old, image: x, replaced_by: unified}\nsizes:")
    assert parse_catalog(text).images[1].retired
    assert not parse_catalog(text.replace("replaced_by", "deprecated: Soon., replaced_by")).images[1].retired
    assert not parse_catalog(text.replace("replaced_by: unified", "deprecated: Soon.")).images[1].retired


def test_every_field_is_explained() -> None:
    unexplained = [
        f"{model.__name__}.{name}"
        for model in models_of(Catalog)
        for name, field in model.model_fields.items()
        if not (field.description or "").endswith(".")
    ]
    assert unexplained == []


def models_of(model: type[BaseModel]) -> list[type[BaseModel]]:
    found = [model]
    for field in model.model_fields.values():
        for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(part, type) and issubclass(part, BaseModel):
                found += models_of(part)
    return found


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(CatalogError) as refused:
        parse_catalog(text)
    return refused.value.problems
