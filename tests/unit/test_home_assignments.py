"""Homes that were handed to another user."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from stateroom.common.errors import HomeRefused
from stateroom.storage.assignments import HomeAssignments, assign_command
from stateroom.storage.homes import HomeRef

OLD_ADA, NEW_ADA, BOB, CARL = (HomeRef("hub", *who) for who in (("ada", 7), ("ada", 12), ("bob", 7), ("carl", 9)))


@pytest.fixture
def assignments(tmp_path: Path) -> HomeAssignments:
    return HomeAssignments(tmp_path / "homes.json")


def test_without_a_file_everyone_has_their_own(assignments: HomeAssignments) -> None:
    assert assignments.home_of(OLD_ADA) == OLD_ADA


def test_a_reused_name_gets_the_home_it_is_given(assignments: HomeAssignments) -> None:
    assignments.assign(OLD_ADA, NEW_ADA)
    assert assignments.home_of(NEW_ADA) == OLD_ADA


def test_a_renamed_user_gets_the_old_home(assignments: HomeAssignments) -> None:
    assignments.assign(OLD_ADA, BOB)
    assert assignments.home_of(BOB) == OLD_ADA
    assert assignments.home_of(CARL) == CARL


@pytest.mark.parametrize("asking", [OLD_ADA, NEW_ADA])
def test_a_home_that_was_given_away_is_nobody_elses(assignments: HomeAssignments, asking: HomeRef) -> None:
    assignments.assign(OLD_ADA, BOB)
    with pytest.raises(HomeRefused, match=r"was handed to bob \(number 7\)"):
        assignments.home_of(asking)


def test_a_home_has_one_user(assignments: HomeAssignments) -> None:
    assignments.assign(OLD_ADA, BOB)
    assignments.assign(OLD_ADA, CARL)
    assert assignments.home_of(CARL) == OLD_ADA
    assert assignments.home_of(BOB) == BOB


def test_a_user_has_one_home(assignments: HomeAssignments) -> None:
    assignments.assign(OLD_ADA, BOB)
    assignments.assign(CARL, BOB)
    assert assignments.home_of(BOB) == CARL
    assert assignments.home_of(OLD_ADA) == OLD_ADA


def test_a_home_goes_back_to_whom_it_was_made_for(assignments: HomeAssignments) -> None:
    assignments.assign(OLD_ADA, BOB)
    assignments.assign(OLD_ADA, OLD_ADA)
    assert assignments.home_of(OLD_ADA) == OLD_ADA
    assert not assignments.users()


def test_a_user_gets_back_the_own_home(assignments: HomeAssignments) -> None:
    assignments.assign(OLD_ADA, BOB)
    assignments.assign(BOB, BOB)
    assert assignments.home_of(BOB) == BOB


def test_a_home_that_is_no_more_is_forgotten(assignments: HomeAssignments) -> None:
    assignments.assign(OLD_ADA, BOB)
    assignments.forget(OLD_ADA)
    assignments.forget(CARL)
    assert assignments.home_of(NEW_ADA) == NEW_ADA


def test_a_home_is_known_by_its_name(assignments: HomeAssignments) -> None:
    assignments.assign(HomeRef("hub", "ada", 0), BOB)  # a folder, which carries no number
    assignments.assign(OLD_ADA, CARL)
    assert assignments.home_of(BOB) == BOB
    assignments.forget(NEW_ADA)
    assert not assignments.users()


def test_homes_of_another_hub_do_not_count(assignments: HomeAssignments) -> None:
    assignments.assign(OLD_ADA, BOB)
    stranger = HomeRef("other", "bob", 7)
    assert assignments.home_of(stranger) == stranger


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"version": 2}', '{"version": 1, "assigned": [{}]}', "\0", "[" * 9999]
)
def test_a_damaged_file_gives_nobody_a_home(tmp_path: Path, text: str) -> None:
    (tmp_path / "homes.json").write_text(text)
    with pytest.raises(HomeRefused, match="is damaged"):
        HomeAssignments(tmp_path / "homes.json").home_of(OLD_ADA)


def test_a_damaged_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "homes.json").write_text("{")
    with pytest.raises(HomeRefused):
        HomeAssignments(tmp_path / "homes.json").assign(OLD_ADA, BOB)
    assert (tmp_path / "homes.json").read_text() == "{"


def test_hostile_names_survive_the_file(assignments: HomeAssignments) -> None:
    hostile = HomeRef("hub", '"\\\n\ud800é`$(x)', 3)
    assignments.assign(hostile, BOB)
    assert assignments.home_of(BOB) == hostile


def test_the_file_is_private(tmp_path: Path, assignments: HomeAssignments) -> None:
    assignments.assign(OLD_ADA, BOB)
    assert stat.S_IMODE((tmp_path / "homes.json").stat().st_mode) == 0o600


def test_the_command_is_safe_to_paste() -> None:
    assert assign_command("ada", "bob") == "stateroom homes assign ada --to bob"
    assert assign_command("$(x)", "a b") == "stateroom homes assign '$(x)' --to 'a b'"
