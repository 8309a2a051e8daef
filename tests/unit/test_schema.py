"""What a client of the REST API is told that it may send. That `choose` accepts it all is in test_properties."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from stateroom.catalog.load import parse_catalog
from stateroom.common.quantity import GiB, Machine, Resources
from stateroom.offers.allowance import Allowance, Person, allowance_for
from stateroom.offers.quota import left_for
from stateroom.offers.schema import schema_from_allowance
from stateroom.workloads.names import ServerRef

from .conftest import ADA

CATALOG = """\
version: 1
images:
  - {id: unified, title: Unified notebook, description: For all., image: x, default: true}
  - {id: cuda, image: x}
  - {id: classic, image: x, deprecated: Ends in March., replaced_by: unified}
  - {id: quiet, image: x, hidden: true}
  - {id: ancient, image: x, replaced_by: classic}
  - {id: private, image: x, groups: [research]}
sizes:
  - {id: standard, title: Standard, cpu: 1, memory: 2 GiB, default: true}
  - {id: gpu, cpu: 4, memory: 8 GiB, gpu: 1, images: [cuda, quiet]}
  - {id: any, cpu: 4, memory: 8 GiB, images: [unified, cuda]}
  - {id: lab, cpu: 4, memory: 8 GiB, images: [private]}
custom:
  cpu: {min: 0.5, max: 1.5, step: 0.5}
  memory: {min: 1 GiB, max: 2 GiB, step: 512 MiB}
  gpu: {max: 2}
quota: {cpu: 8, memory: 32 GiB}
groups:
  research: {total: {servers: 5}}
"""


def schema_of(text: str, person: Person = ADA) -> dict[str, Any]:
    schema = schema_from_allowance(allowance_for(parse_catalog(text), person))
    Draft202012Validator.check_schema(schema)
    return schema


def takes(schema: dict[str, Any], options: object) -> bool:
    return Draft202012Validator(schema).is_valid(options)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return schema_of(CATALOG)


def test_images_and_sizes_stand_with_what_is_said_of_them(schema: dict[str, Any]) -> None:
    assert schema["properties"]["image"] == {
        "title": "Image",
        "oneOf": [
            {"const": "unified", "title": "Unified notebook", "description": "For all."},
            {"const": "cuda", "title": "cuda"},
            {"const": "classic", "title": "classic", "deprecated": True},
        ],
        "default": "unified",
    }
    assert schema["properties"]["size"]["oneOf"][:2] == [
        {"const": "standard", "title": "Standard", "x-amounts": {"cpu": 1.0, "memory": "2 GiB", "gpu": 0}},
        {"const": "gpu", "title": "gpu", "x-amounts": {"cpu": 4.0, "memory": "8 GiB", "gpu": 1}},
    ]
    assert schema["properties"]["size"]["oneOf"][-1]["const"] == "custom"
    assert schema["properties"]["size"]["default"] == "standard"


def test_amounts_are_listed_and_their_ends_and_steps_told(schema: dict[str, Any]) -> None:
    assert {key: schema["properties"][key] for key in ("cpu", "memory", "gpu")} == {
        "cpu": {
            "title": "CPU", "enum": [0.5, 1.0, 1.5], "default": 1.0, "x-minimum": 0.5, "x-maximum": 1.5, "x-step": 0.5,
        },
        "memory": {
            "title": "Memory", "enum": ["1 GiB", "1.5 GiB", "2 GiB"], "default": "2 GiB",
            "x-minimum": "1 GiB", "x-maximum": "2 GiB", "x-step": "512 MiB",
        },
        "gpu": {"title": "GPU", "enum": [0, 1, 2], "default": 0, "x-minimum": 0, "x-maximum": 2, "x-step": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"image": "cuda"},
        {"size": "custom"},
        {"cpu": 0.5},
        {"memory": "1.5 GiB", "gpu": 2},
        {"size": "custom", "cpu": 1.5, "memory": "1 GiB", "gpu": 0, "image": "classic"},
        {"image": "cuda", "size": "gpu"},
        {"size": "any"},
        {"size": "any", "image": "cuda"},
    ],
)
def test_what_is_offered_is_taken(schema: dict[str, Any], options: dict[str, Any]) -> None:
    assert takes(schema, options)


@pytest.mark.parametrize(
    "options",
    [
        {"colour": "red"},
        {"profile": "x"},
        {"image": "quiet"},
        {"image": "ancient"},
        {"image": "private"},
        {"image": None},
        {"size": "giant"},
        {"cpu": 0.75},
        {"cpu": 2},
        {"cpu": True},
        {"memory": 1},
        {"gpu": 3},
        {"size": "standard", "cpu": 1.0},
        {"size": "standard", "gpu": 0},
        {"size": "gpu"},
        {"size": "gpu", "image": "unified"},
        {"size": "any", "image": "classic"},
        {"size": "lab"},
        {"size": "lab", "image": "unified"},
        [],
        None,
    ],
)
def test_what_is_not_offered_is_not(schema: dict[str, Any], options: object) -> None:
    assert not takes(schema, options)


def test_members_of_a_group_are_told_what_they_may_choose() -> None:
    research = schema_of(CATALOG, Person("ada", frozenset({"research"})))
    assert takes(research, {"image": "private", "size": "lab"})
    assert not takes(research, {"size": "lab"})


def test_without_custom_ranges_amounts_are_unknown(sizes_only: Allowance) -> None:
    schema = schema_from_allowance(sizes_only)
    assert set(schema["properties"]) == {"image", "size"}
    assert takes(schema, {"size": "small"})
    assert not takes(schema, {"size": "custom"})
    assert not takes(schema, {"cpu": 1})


def test_without_a_range_of_gpus_they_are_unknown(allowance: Allowance) -> None:
    assert not takes(schema_from_allowance(allowance), {"gpu": 0})


@pytest.mark.parametrize(
    ("default", "good", "bad"),
    [
        ("cpu: 2, memory: 2 GiB", [{"cpu": 1.0}, {"cpu": 1.0, "size": "custom"}], [{"memory": "1 GiB"}, {"gpu": 1}]),
        ("cpu: 1, memory: 4 GiB", [{"memory": "1 GiB"}], [{"cpu": 1.0}, {"size": "custom"}]),
        ("cpu: 0.75, memory: 1.2 GiB", [{"cpu": 1.0, "memory": "1 GiB"}], [{"cpu": 1.0}, {"memory": "1 GiB"}]),
    ],
)
def test_an_amount_for_which_the_default_size_is_no_help_must_be_named(
    default: str, good: list[dict[str, Any]], bad: list[dict[str, Any]]
) -> None:
    schema = schema_of(CATALOG.replace("cpu: 1, memory: 2 GiB", default))
    assert all(takes(schema, options) for options in [{}, {"size": "standard"}, *good])
    assert not any(takes(schema, options) for options in bad)


def test_of_very_many_steps_some_are_listed_and_the_ends_told() -> None:
    text = CATALOG.replace("cpu: {min: 0.5, max: 1.5, step: 0.5}", "cpu: {min: 1, max: 101, step: 0.01}")
    cpu = schema_of(text)["properties"]["cpu"]
    assert len(cpu["enum"]) <= 1000
    assert cpu["enum"][:2] == [1.0, 1.11]
    assert (cpu["x-minimum"], cpu["x-maximum"], cpu["x-step"]) == (1.0, 101.0, 0.01)


def test_what_is_left_is_told() -> None:
    allowance = allowance_for(parse_catalog(CATALOG), Person("ada", frozenset({"research"})))
    running = {ServerRef("hub", "ada", "x"): Resources(1500, GiB), ServerRef("hub", "bob"): Resources(1000, GiB)}
    left = left_for(ServerRef("hub", "ada"), allowance, running, {"research": ["bob"]})
    assert schema_from_allowance(allowance, left)["x-quota"] == [
        {"kind": "cpu", "used": 1.5, "limit": 8.0},
        {"kind": "memory", "used": "1 GiB", "limit": "32 GiB"},
        {"kind": "servers", "used": 2, "limit": 5, "group": "research"},
    ]
    assert "x-quota" not in schema_from_allowance(allowance)
    machine = left_for(ServerRef("hub", "ada"), allowance, running, {}, machine=Machine(2000, 20 * GiB))[-1:]
    assert schema_from_allowance(allowance, machine)["x-quota"] == [
        {"kind": "memory", "used": "2 GiB", "limit": "18 GiB", "machine": True}
    ]


def test_of_very_many_steps_some_are_listed_and_the_ends_among_them() -> None:
    many = CATALOG.replace("{min: 1 GiB, max: 2 GiB, step: 512 MiB}", "{min: 1 GiB, max: 4 GiB, step: 1 MiB}")
    memory = schema_from_allowance(allowance_for(parse_catalog(many), ADA))["properties"]["memory"]["enum"]
    assert (memory[0], memory[-1]) == ("1 GiB", "4 GiB")
    assert 500 < len(memory) < 1100
