"""How far a pull has come, from the engine's lines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stateroom.backends.docker.pulls import PullMeter

MIB = 1024**2


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> PullMeter:
    meter = PullMeter(clock)
    for name in ("a", "b"):
        meter.take({"id": name, "status": "Pulling fs layer", "progressDetail": {}})
    return meter


def fetched(meter: PullMeter, name: str, current: int, total: int = 100) -> None:
    detail = {"current": current * MIB, "total": total * MIB}
    meter.take({"id": name, "status": "Downloading", "progressDetail": detail})


def message(meter: PullMeter) -> str:
    return meter.progress().message


def test_before_the_first_byte_it_says_what_is_done() -> None:
    meter = PullMeter()
    meter.take({"status": "Pulling from library/debian", "id": "bookworm"})
    assert message(meter) == "Fetching the image; this happens once for each machine"
    assert meter.progress().done == 0


def test_bytes_are_told_and_that_there_may_be_more(meter: PullMeter) -> None:
    fetched(meter, "a", 50)
    assert message(meter) == "Fetching the image: 50 MiB of 100 MiB or more"


def test_a_time_left_is_drawn_from_the_pull_itself(meter: PullMeter, clock: Clock) -> None:
    fetched(meter, "a", 1)
    fetched(meter, "b", 0)
    clock.now = 1.0
    assert message(meter) == "Fetching the image: 1 MiB of 200 MiB"
    clock.now = 10.0
    fetched(meter, "a", 50)
    assert message(meter) == "Fetching the image: 50 MiB of 200 MiB, about 30 s left"
    fetched(meter, "a", 100)
    fetched(meter, "b", 99)
    assert message(meter).endswith("about 5 s left")


def test_a_long_time_left_is_told_in_minutes(meter: PullMeter, clock: Clock) -> None:
    fetched(meter, "a", 1)
    fetched(meter, "b", 1)
    clock.now = 4.0
    assert message(meter).endswith(", about 7 min left")


def test_unpacking_is_told_by_layers(meter: PullMeter) -> None:
    for name in ("a", "b"):
        fetched(meter, name, 100)
        meter.take({"id": name, "status": "Download complete", "progressDetail": {}})
    meter.take({"id": "a", "status": "Pull complete", "progressDetail": {}})
    assert message(meter) == "Unpacking the image: 1 of 2 layers"


def test_the_share_grows_from_nothing_to_all(meter: PullMeter) -> None:
    shares = [meter.progress().done]
    for name in ("a", "b"):
        for current in (10, 60, 100):
            fetched(meter, name, current)
            shares.append(meter.progress().done)
        for current in (50, 100):
            detail = {"current": current * MIB, "total": 100 * MIB}
            meter.take({"id": name, "status": "Extracting", "progressDetail": detail})
            shares.append(meter.progress().done)
        meter.take({"id": name, "status": "Pull complete"})
        shares.append(meter.progress().done)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)


def test_layers_that_are_here_already_count_as_done(meter: PullMeter) -> None:
    meter.take({"id": "a", "status": "Already exists"})
    assert meter.progress().done == 0.5


values = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.dictionaries(st.text(max_size=8), st.integers()))
statuses = st.sampled_from(["Downloading", "Extracting", "Pull complete", "Already exists", "Waiting"])
details = st.fixed_dictionaries({"current": st.integers(), "total": st.integers()})
lines = st.fixed_dictionaries(
    {}, optional={"id": values, "status": st.one_of(statuses, values), "progressDetail": st.one_of(details, values)}
)


@given(st.lists(lines, max_size=30))
def test_whatever_a_registry_says_it_stays_between_nothing_and_all(said: list[dict[str, Any]]) -> None:
    meter = PullMeter()
    for line in said:
        meter.take(line)
        assert 0 <= meter.progress().done <= 1
        assert message(meter).isprintable()
