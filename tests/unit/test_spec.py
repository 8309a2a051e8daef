from __future__ import annotations

import dataclasses
import json

import pytest

from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.scalars import OWN_VARIABLES
from stateroom.common.quantity import GiB, MiB, Resources
from stateroom.offers.allowance import Allowance, Person, allowance_for
from stateroom.offers.choice import choose
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import (
    SECRET_VARIABLES,
    Server,
    reports_every,
    require_passable,
    server_for,
    threads,
)

from .conftest import ADA, CATALOG

TOKEN = "f00d" * 8


@pytest.fixture
def spec(catalog: Catalog, allowance: Allowance) -> Server:
    own = {"LANG": "C.UTF-8", "JUPYTERHUB_X": "no", "OMP_NUM_THREADS": "4"}
    return server_for(
        catalog,
        allowance_for(catalog.model_copy(update={"environment": own}), ADA),
        choose({"cpu": 1.5, "memory": "3 GiB"}, allowance),
        ref=ServerRef("hub", "alice", "gpu"),
        home=HomeRef("hub", "alice", 7),
        base_url="/user/alice/gpu/",
        variables={
            "JUPYTERHUB_API_TOKEN": TOKEN,
            "JPY_API_TOKEN": TOKEN,
            "JUPYTERHUB_X": "yes",
            "JUPYTERHUB_USER": "alice",
            "MEM_LIMIT": "what a trait of the hub's says",
        },
    )


def test_a_spec_holds_what_was_chosen(spec: Server) -> None:
    assert spec.container.image == "stateroom/unified:1"
    assert spec.container.resources == Resources(1500, 3 * GiB, memory_guarantee=3 * GiB)
    assert (spec.base_url, spec.workspace, spec.container.pull_timeout) == ("/user/alice/gpu/", "notebooks", 1200)


def test_all_servers_of_a_user_share_the_home(spec: Server) -> None:
    assert spec.home == HomeRef("hub", "alice", 7)


def test_the_server_is_told_its_limits_in_the_hubs_words(spec: Server) -> None:
    told = {name: spec.container.environment[name] for name in OWN_VARIABLES if name.endswith(("_LIMIT", "_GUARANTEE"))}
    assert told == {
        "CPU_LIMIT": "1.5",
        "CPU_GUARANTEE": "0.375",
        "MEM_LIMIT": "3221225472",
        "MEM_GUARANTEE": "3221225472",
        "GPU_LIMIT": "0",
    }


def test_the_server_is_told_what_it_is() -> None:
    told = spec_of("", {}, "research", "a, b", '"]\0', "\udc80").container.environment
    assert (told["STATEROOM_HUB"], told["STATEROOM_IMAGE"]) == ("hub", "unified")
    assert told["STATEROOM_IMAGE_REFERENCE"] == "stateroom/unified:1"
    assert json.loads(told["STATEROOM_GROUPS"]) == ['"]\0', "a, b", "research", "\udc80"]
    assert told["STATEROOM_GROUPS"].isascii()
    assert told["STATEROOM_GROUPS"].isprintable()
    assert spec_of("", {}).container.environment["STATEROOM_GROUPS"] == "[]"


def test_more_groups_than_a_variable_can_hold_keep_nobody_from_a_start() -> None:
    spec = spec_of("", {}, *(f"{number:0100}" for number in range(2000)))
    assert "STATEROOM_GROUPS" not in spec.container.environment
    require_passable(spec)


def test_what_the_catalog_may_not_set_is_what_a_server_is_told_of_itself() -> None:
    plain = set(spec_of("", {}).container.environment) - {*threads(1000), "JUPYTERHUB_ACTIVITY_INTERVAL"}
    assert plain == set(OWN_VARIABLES)


@pytest.mark.parametrize(("cpu", "number"), [(10, 1), (500, 1), (1000, 1), (1001, 2), (1500, 2), (4000, 4)])
def test_a_part_of_a_core_is_a_thread(cpu: int, number: int) -> None:
    assert set(threads(cpu).values()) == {str(number)}


def test_numbers_of_threads_are_a_default_that_the_catalog_beats(spec: Server) -> None:
    assert (spec.container.environment["OMP_NUM_THREADS"], spec.container.environment["MC_CORES"]) == ("4", "2")


def test_the_hubs_variables_win_over_the_catalogs(spec: Server) -> None:
    assert spec.container.environment["LANG"] == "C.UTF-8"
    assert spec.container.environment["JUPYTERHUB_X"] == "yes"


def test_tokens_are_secrets_and_nothing_else(spec: Server) -> None:
    assert dict(spec.container.secrets) == dict.fromkeys(SECRET_VARIABLES, TOKEN)
    assert not set(SECRET_VARIABLES) & set(spec.container.environment)
    assert TOKEN not in spec.container.environment.values()


def test_a_spec_can_be_printed_without_telling_its_secrets(spec: Server) -> None:
    assert TOKEN not in repr(spec)
    assert TOKEN not in str(spec)
    assert "secrets" not in repr(spec)


def test_a_spec_does_not_change(spec: Server) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.base_url = "/"  # type: ignore[misc]


def spec_of(more: str, options: dict[str, object], *groups: str) -> Server:
    """A spec from the catalog of most tests with `more` in it."""
    catalog = parse_catalog(CATALOG + more)
    allowance = allowance_for(catalog, Person("ada", frozenset(groups)))
    ref = ServerRef("hub", "ada")
    return server_for(
        catalog,
        allowance,
        choose(options, allowance),
        ref=ref,
        home=HomeRef("hub", "ada", 7),
        base_url="/user/ada/",
        variables={},
    )


def test_gpus_reach_the_spec() -> None:
    assert spec_of("  gpu: {max: 2}\n", {"gpu": 2}).container.resources == Resources(1000, 2 * GiB, 2, 2 * GiB)
    assert spec_of("", {}).container.resources.gpu == 0


@pytest.mark.parametrize(
    ("guarantee", "cpu", "memory"),
    [
        ("", 250, 2 * GiB),
        ("guarantee: {cpu: 1, memory: 1}\n", 1000, 2 * GiB),
        ("guarantee: {cpu: 0.5, memory: 0.75}\n", 500, 1536 * MiB),
        ("guarantee: {cpu: 0.0001, memory: 0.0001}\n", 0, 214_748),
    ],
)
def test_a_guarantee_is_a_share_of_what_was_chosen(guarantee: str, cpu: int, memory: int) -> None:
    spec = spec_of(guarantee, {})
    resources = spec.container.resources
    assert (resources.cpu_guarantee, resources.memory_guarantee) == (cpu, memory)


def test_a_groups_identity_reaches_the_spec() -> None:
    groups = """\
environment: {TEAM: none, LANG: C.UTF-8}
groups:
  research:
    identity:
      environment: {TEAM: research}
      supplemental_groups: [2001, 2002]
      service_account: research
      network: lab
"""
    spec = spec_of(groups, {}, "research").container
    assert (spec.environment["TEAM"], spec.environment["LANG"]) == ("research", "C.UTF-8")
    assert (spec.supplemental_groups, spec.service_account, spec.network) == ((2001, 2002), "research", "lab")
    other = spec_of(groups, {}).container
    assert (other.environment["TEAM"], other.supplemental_groups) == ("none", ())
    assert (other.service_account, other.network) == (None, None)


@pytest.mark.parametrize(
    ("idle", "seconds"),
    [
        ("", 300),
        ("idle: {stop_after: 8 h}\n", 300),
        ("idle: {stop_after: 30 min}\n", 300),
        ("idle: {stop_after: 29 min}\n", 290),
        ("idle: {stop_after: 60 s}\n", 10),
        ("idle: {stop_after: 100 s}\n", 16),
    ],
)
def test_a_server_reports_its_use_often_enough_for_the_idle_rule(idle: str, seconds: int) -> None:
    assert reports_every(parse_catalog(CATALOG + idle)) == seconds
    assert spec_of(idle, {}).container.environment["JUPYTERHUB_ACTIVITY_INTERVAL"] == str(seconds)
