from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.hostile import HOSTILE_NAMES, UNSPEAKABLE_NAMES, generated_names, shown
from stateroom.backends.docker.payload import home_source
from stateroom.catalog import DockerHome
from stateroom.names import (
    LONGEST,
    RESERVED_MEMORY,
    HomeRef,
    ServerRef,
    network_name,
    resources_as_labels,
    resources_from_labels,
    server_from_labels,
)
from stateroom.quantity import GiB, Resources

DNS_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
any_text = st.text(alphabet=st.characters(), max_size=80)  # lone surrogates included

NASTY = HOSTILE_NAMES + UNSPEAKABLE_NAMES


@pytest.mark.parametrize("user", NASTY, ids=shown)
def test_any_name_becomes_a_valid_one(user: str) -> None:
    for name in names_of(user):
        assert_is_valid(name)


@given(any_text, any_text, any_text)
def test_whatever_the_parts_the_name_is_valid(hub: str, user: str, server: str) -> None:
    assert_is_valid(ServerRef(hub, user, server).name)
    assert_is_valid(HomeRef(hub, user, 1).name)
    assert_is_valid(network_name(hub))


def test_no_two_nasty_names_meet() -> None:
    servers = {ServerRef("hub", user, server).name for user, server in itertools.product(NASTY, NASTY)}
    assert len(servers) == len(set(NASTY)) ** 2
    homes = {HomeRef("hub", user, 1).name for user in NASTY}
    assert len(homes) == len(set(NASTY))


def test_of_a_hundred_thousand_names_none_meet() -> None:
    names = [*HOSTILE_NAMES, *generated_names(100_000)]
    homes = {HomeRef("hub", name, 1).name for name in names}
    servers = {ServerRef("hub", "ada", name).name for name in names}
    assert len(homes) == len(servers) == len(set(names)) >= 100_000
    assert all(len(name) <= LONGEST and DNS_LABEL.fullmatch(name) for name in homes | servers)


@pytest.mark.parametrize("user", NASTY, ids=shown)
def test_a_host_folder_is_directly_below_the_one_that_the_catalog_names(user: str) -> None:
    folder = home_source(HomeRef("hub", user, 1), DockerHome(path="/srv/homes"))
    assert Path(os.path.normpath(folder)).parent == Path("/srv/homes")


@given(st.tuples(any_text, any_text, any_text), st.tuples(any_text, any_text, any_text))
def test_different_parts_have_different_names(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (ServerRef(*one).name == ServerRef(*other).name) == (one == other)


def test_moving_a_letter_between_parts_changes_the_name() -> None:
    spread = [
        ("ab", "c", "d"),
        ("a", "bc", "d"),
        ("a", "b", "cd"),
        ("abcd", "", ""),
        ("", "abcd", ""),
        ("", "", "abcd"),
    ]
    assert len({ServerRef(*parts).name for parts in spread}) == len(spread)


def test_two_hubs_on_one_engine_do_not_meet() -> None:
    assert ServerRef("one", "alice").name != ServerRef("two", "alice").name
    assert HomeRef("one", "alice", 1).name != HomeRef("two", "alice", 1).name
    assert network_name("one") != network_name("two")


def test_a_home_is_one_for_all_servers_and_ids_of_a_user() -> None:
    assert HomeRef("hub", "alice", 1).name == HomeRef("hub", "alice", 2).name


def test_names_are_readable_and_never_change() -> None:
    """Names that change would lose every running server and every home at an update."""
    assert ServerRef("hub", "alice").name == "stateroom-alice-phzqn2bbbj6vmocd"
    assert ServerRef("hub", "Alice@example.org", "gpu").name == "stateroom-alice-example-org-gpu-xopleca42x5bllki"
    assert HomeRef("hub", "alice", 1).name == "stateroom-home-alice-yqazegf2pspdjryr"
    assert network_name("hub") == "stateroom-net-uzb2g5dy5wzcwaom"


def test_names_are_the_same_in_every_process() -> None:
    code = "from stateroom.names import ServerRef; print(ServerRef('hub', 'ü!', 's').name)"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {ServerRef("hub", "ü!", "s").name + "\n"}


@given(any_text, any_text, any_text)
def test_a_server_is_known_again_by_its_labels(hub: str, user: str, server: str) -> None:
    ref = ServerRef(hub, user, server)
    assert server_from_labels(ref.labels, hub) == ref


def test_what_a_server_has_is_known_again_by_its_labels() -> None:
    resources = Resources(1500, 3 * GiB, 2, 2 * GiB)
    assert resources_from_labels(resources_as_labels(resources)) == resources


@pytest.mark.parametrize("text", [None, "", "much", "-1", "9" * 19])
def test_what_is_reserved_for_a_server_without_a_word_on_it_is_not_known(text: str | None) -> None:
    labels = {**resources_as_labels(Resources(1500, 3 * GiB, 2, 2 * GiB)), RESERVED_MEMORY: text}
    kept = {key: value for key, value in labels.items() if value is not None}
    assert resources_from_labels(kept) == Resources(1500, 3 * GiB, 2)


def test_labels_of_others_are_no_server_of_ours() -> None:
    ours = ServerRef("hub", "alice", "gpu").labels
    assert server_from_labels({}, "hub") is None
    assert server_from_labels(ours, "other") is None
    assert server_from_labels(HomeRef("hub", "alice", 1).labels, "hub") is None
    for missing in ours:
        assert server_from_labels({key: value for key, value in ours.items() if key != missing}, "hub") is None


def test_labels_of_a_home_tell_a_reused_name_apart() -> None:
    assert HomeRef("hub", "alice", 1).labels != HomeRef("hub", "alice", 2).labels


def test_a_server_is_spoken_of_by_user_and_name() -> None:
    assert (str(ServerRef("hub", "alice")), str(ServerRef("hub", "alice", "gpu"))) == ("alice", "alice/gpu")


def names_of(user: str) -> list[str]:
    return [ServerRef("hub", user).name, ServerRef("hub", user, user).name, HomeRef("hub", user, 1).name]


def assert_is_valid(name: str) -> None:
    assert len(name) <= LONGEST == 63
    assert DNS_LABEL.fullmatch(name)


def test_a_sibling_is_another_server_of_the_same_user() -> None:
    ref = ServerRef("hub-1", "ada")
    assert ref.is_sibling_of(ServerRef("hub-1", "ada", "second"))
    for other in (ref, ServerRef("hub-1", "bob"), ServerRef("hub-2", "ada", "second")):
        assert not ref.is_sibling_of(other)
