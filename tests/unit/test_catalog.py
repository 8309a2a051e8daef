from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from stateroom.catalog import Catalog, parse_duration, parse_id
from stateroom.errors import CatalogError
from stateroom.loading import parse_catalog
from stateroom.quantity import GiB

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
    assert parse_id(name) == name


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "ä", "a b", "x" * 64, "a\n", 1, None, True, [], {}, "a/b", ".."])
def test_what_is_no_id_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        parse_id(name)


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


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hub: My Hub", 'hub: "My Hub" is not an id'),
        ("surprise: 1", "surprise: there is no such key"),
        ("environment: {JUPYTERHUB_API_TOKEN: x}", '"JUPYTERHUB_API_TOKEN" is set by the hub; remove it'),
        ("environment: {JPY_API_TOKEN: x}", '"JPY_API_TOKEN" is set by the hub; remove it'),
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
        ("stateroom/unified:1", "", "images[0].image"),
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
