"""Bringing images to a cluster, as far as it needs neither engine nor registry."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import docker
import pytest
from docker.errors import APIError, ImageNotFound

from stateroom.common.errors import SetupError
from stateroom.images.transfer import IMPORT, load, name_in, push

HUB = "stateroom/hub:1"


class FakeEngine:
    """Has one image, of three parts."""

    def __init__(self, *lines: Mapping[str, Any]) -> None:
        self.lines = lines
        self.tags: list[tuple[str, str, str]] = []

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference != HUB:
            raise ImageNotFound(reference)
        return {"Size": 6}

    def tag(self, reference: str, repository: str, tag: str) -> None:
        self.tags.append((reference, repository, tag))

    def push(self, repository: str, tag: str, *, stream: bool, decode: bool) -> Iterator[Mapping[str, Any]]:
        assert (repository, tag, stream, decode) == (*self.tags[-1][1:], True, True)
        yield from self.lines

    def get_image(self, reference: str) -> Iterator[bytes]:
        assert reference == HUB
        yield from (b"ab", b"cd", b"ef")


def engine(*lines: Mapping[str, Any]) -> docker.APIClient:
    return cast("docker.APIClient", FakeEngine(*lines))


def unheard(_: float) -> None:
    pass


def test_a_registry_may_have_a_port_and_a_path() -> None:
    assert name_in("registry.example:5000/notebooks/", HUB) == "registry.example:5000/notebooks/stateroom/hub:1"


def test_a_push_tells_how_far_it_is() -> None:
    shares: list[float] = []
    lines = (
        {"status": "The push refers to repository"},
        {"id": "one", "status": "Preparing", "progressDetail": {}},
        {"id": "two", "status": "Layer already exists", "progressDetail": {}},
        {"id": "one", "status": "Pushing", "progressDetail": {"current": 50, "total": 100}},
        {"id": "one", "status": "Pushed", "progressDetail": {}},
    )
    name = push(engine(*lines), HUB, "registry.example:5000", shares.append)
    assert name == "registry.example:5000/stateroom/hub:1"
    assert shares == [0.0, 0.5, 0.75, 1.0]


def test_what_the_registry_refuses_is_told_in_one_sentence() -> None:
    with pytest.raises(SetupError) as caught:
        push(engine({"error": "denied: \x1b[1mno access\nto it"}), HUB, "registry.example", unheard)
    assert str(caught.value) == "registry.example/stateroom/hub:1 could not be pushed: to it."
    with pytest.raises(SetupError) as caught:
        push(engine({"error": "denied: requested access to the resource is denied"}), HUB, "r.example", unheard)
    assert "r.example/stateroom/hub:1 could not be pushed: denied: requested access" in str(caught.value)


def test_an_engine_that_fails_is_told_too() -> None:
    class Failing(FakeEngine):
        def tag(self, reference: str, repository: str, tag: str) -> None:
            raise APIError("500", explanation=f"{reference} {repository} {tag} is no name")

    with pytest.raises(SetupError, match="could not be pushed: stateroom/hub:1 --/stateroom/hub 1 is no name"):
        push(cast("docker.APIClient", Failing()), HUB, "--", unheard)


@pytest.mark.parametrize("bring", [push, load])
def test_an_image_that_is_not_there_is_named_with_the_remedy(bring: Any) -> None:
    with pytest.raises(SetupError, match=r"stateroom/other:1 is not on this engine\. `stateroom images build`"):
        bring(engine(), "stateroom/other:1", "cat", unheard)


def test_an_image_is_given_to_a_command(tmp_path: Path) -> None:
    shares: list[float] = []
    load(engine(), HUB, f"tee '{tmp_path / 'taken'}'", shares.append)
    assert (tmp_path / "taken").read_bytes() == b"abcdef"
    assert shares[-1] == 1.0


def test_a_command_that_is_missing_is_named_with_another() -> None:
    with pytest.raises(SetupError) as caught:
        load(engine(), HUB, "no-such-program --import", unheard)
    assert str(caught.value).startswith('"no-such-program" is not on this machine. Name the command')
    assert IMPORT.startswith("ctr ")


def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    command = f"""{sys.executable} -c "import sys; sys.exit('ctr: \\x1b[1mno socket')" """.strip()
    with pytest.raises(SetupError, match=r"did not take stateroom/hub:1: ctr: .*no socket\."):
        load(engine(), HUB, command, unheard)


def test_a_command_that_ends_before_it_has_read_all_is_told_with_its_words() -> None:
    class Large(FakeEngine):
        def get_image(self, reference: str) -> Iterator[bytes]:
            assert reference == HUB
            for _ in range(100):
                yield bytes(100_000)

    command = f"""{sys.executable} -c "import sys; sys.exit('no room')" """.strip()
    with pytest.raises(SetupError, match=r"did not take stateroom/hub:1: no room\."):
        load(cast("docker.APIClient", Large()), HUB, command, unheard)


def test_a_command_of_many_words_does_not_hang() -> None:
    program = "import sys; sys.stderr.write('x' * 1000000); sys.stdin.buffer.read()"
    load(engine(), HUB, f'{sys.executable} -c "{program}"', unheard)
