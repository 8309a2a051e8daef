from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.hostile import HOSTILE_NAMES, UNSPEAKABLE_NAMES, generated_names, shown
from stateroom.backends.docker.payload import home_source
from stateroom.catalog.storage import DockerHome
from stateroom.common.labels import MEMORY_GUARANTEE
from stateroom.common.naming import LONGEST
from stateroom.common.quantity import GiB, Resources
from stateroom.storage.homes import HomeRef
from stateroom.workloads.identity import identify
from stateroom.workloads.names import ServerRef, network_name
from stateroom.workloads.resources import Reported, actual_resources, resources_as_labels, resources_from_labels

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


@pytest.mark.hypothesis  # as the tests with generated examples: with the profile "nightly" a hundred thousand
def test_of_many_names_none_meet() -> None:
    count = 200 * settings().max_examples
    names = [*HOSTILE_NAMES, *generated_names(count)]
    homes = {HomeRef("hub", name, 1).name for name in names}
    servers = {ServerRef("hub", "ada", name).name for name in names}
    assert len(homes) == len(servers) == len(set(names)) >= count
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
    code = "from stateroom.workloads.names import ServerRef; print(ServerRef('hub', 'ü!', 's').name)"
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {ServerRef("hub", "ü!", "s").name + "\n"}


@given(any_text, any_text, any_text)
def test_a_server_is_known_again_by_its_labels(hub: str, user: str, server: str) -> None:
    ref = ServerRef(hub, user, server)
    assert identify(ref.name, ref.labels, hub) == ref


def test_what_a_server_has_is_known_again_by_its_labels() -> None:
    resources = Resources(1500, 3 * GiB, 2, 2 * GiB)
    assert resources_from_labels(resources_as_labels(resources)) == resources


@pytest.mark.parametrize(
    ("reported", "actual"),
    [
        (Reported(), Resources(1500, 4 * GiB, 2, 3 * GiB)),
        (Reported(cpu=500), Resources(500, 4 * GiB, 2, 3 * GiB)),
        (Reported(memory=8 * GiB), Resources(1500, 8 * GiB, 2, 6 * GiB)),
        (Reported(memory=8 * GiB, memory_guarantee=GiB), Resources(1500, 8 * GiB, 2, GiB)),
        (Reported(cpu=0, memory=0, gpu=0), Resources(0, 0, 0, 0)),
        (Reported(gpu=1), Resources(1500, 4 * GiB, 1, 3 * GiB)),
    ],
)
def test_what_the_engine_enforces_counts_and_labels_fill_in_the_rest(reported: Reported, actual: Resources) -> None:
    labels = resources_as_labels(Resources(1500, 4 * GiB, 2, 3 * GiB))
    assert actual_resources(reported, labels) == actual


def test_of_a_container_without_labels_what_the_engine_reports_is_known() -> None:
    assert actual_resources(Reported(cpu=500, memory=GiB), {}) == Resources(500, GiB)


@pytest.mark.parametrize("text", [None, "", "much", "-1", "9" * 19])
def test_what_is_guaranteed_to_a_server_without_a_word_on_it_is_not_known(text: str | None) -> None:
    labels = {**resources_as_labels(Resources(1500, 3 * GiB, 2, 2 * GiB)), MEMORY_GUARANTEE: text}
    kept = {key: value for key, value in labels.items() if value is not None}
    assert resources_from_labels(kept) == Resources(1500, 3 * GiB, 2)


def test_labels_of_others_are_no_server_of_ours() -> None:
    ours = ServerRef("hub", "alice", "gpu").labels
    name = ServerRef("hub", "alice", "gpu").name
    assert identify(name, ours, "hub") is not None
    assert identify(name, None, "hub") is None
    assert identify(name, {}, "hub") is None
    assert identify(name, ours, "other") is None
    assert identify(name, HomeRef("hub", "alice", 1).labels, "hub") is None
    assert identify("a-copy-of-it", ours, "hub") is None
    for missing in ours:
        assert identify(name, {key: value for key, value in ours.items() if key != missing}, "hub") is None


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
