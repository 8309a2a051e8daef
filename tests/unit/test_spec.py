from __future__ import annotations

import dataclasses

import pytest

from stateroom.catalog import Catalog
from stateroom.choice import choose
from stateroom.names import HomeRef, ServerRef
from stateroom.policy import Allowance, allowance_for
from stateroom.quantity import GiB
from stateroom.spec import SECRET_VARIABLES, ServerSpec, build_spec

from .conftest import ADA

TOKEN = "f00d" * 8


@pytest.fixture
def spec(catalog: Catalog, allowance: Allowance) -> ServerSpec:
    own = {"LANG": "C.UTF-8", "MEM_LIMIT": "lots", "JUPYTERHUB_X": "no"}
    return build_spec(
        catalog,
        allowance_for(catalog.model_copy(update={"environment": own}), ADA),
        choose({"cpu": 1.5, "memory": "3 GiB"}, allowance),
        ref=ServerRef("hub", "alice", "gpu"),
        user_id=7,
        base_url="/user/alice/gpu/",
        variables={
            "JUPYTERHUB_API_TOKEN": TOKEN,
            "JPY_API_TOKEN": TOKEN,
            "JUPYTERHUB_X": "yes",
            "JUPYTERHUB_USER": "alice",
        },
    )


def test_a_spec_holds_what_was_chosen(spec: ServerSpec) -> None:
    assert (spec.image, spec.cpu, spec.memory) == ("stateroom/unified:1", 1500, 3 * GiB)
    assert (spec.base_url, spec.mount, spec.pull_timeout) == ("/user/alice/gpu/", "notebooks", 1200)


def test_all_servers_of_a_user_share_the_home(spec: ServerSpec) -> None:
    assert spec.home == HomeRef("hub", "alice", 7)


def test_the_server_is_told_its_limits_in_the_hubs_words(spec: ServerSpec) -> None:
    assert spec.environment["CPU_LIMIT"] == "1.5"
    assert spec.environment["MEM_LIMIT"] == "3221225472"


def test_the_hubs_variables_win_over_the_catalogs(spec: ServerSpec) -> None:
    assert spec.environment["LANG"] == "C.UTF-8"
    assert spec.environment["JUPYTERHUB_X"] == "yes"


def test_tokens_are_secrets_and_nothing_else(spec: ServerSpec) -> None:
    assert dict(spec.secrets) == dict.fromkeys(SECRET_VARIABLES, TOKEN)
    assert not set(SECRET_VARIABLES) & set(spec.environment)
    assert TOKEN not in spec.environment.values()


def test_a_spec_can_be_printed_without_telling_its_secrets(spec: ServerSpec) -> None:
    assert TOKEN not in repr(spec)
    assert TOKEN not in str(spec)
    assert "secrets" not in repr(spec)


def test_a_spec_does_not_change(spec: ServerSpec) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.memory = 1  # type: ignore[misc]
