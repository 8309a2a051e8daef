"""What BuildKit tells of a build, as the engine's API hands it on."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import docker
import pytest
import requests
from docker.errors import APIError

from stateroom.common.errors import SetupError
from stateroom.images.build_steps import BuildStep
from stateroom.images.buildkit import follow, has_buildkit, start_build

SYSTEM = b"sha256:1"
LIBRARIES = b"sha256:2"
WHEN = b"\x08\x01"  # a Timestamp of one second


def field(number: int, value: bytes | int) -> bytes:
    """A field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    head, rest = value & 127, value >> 7
    return bytes([head | 128]) + varint(rest) if rest else bytes([head])


def vertex(digest: bytes, name: str, *, started: bool = True, completed: bool = False, error: str = "") -> bytes:
    message = field(1, digest) + field(2, b"sha256:0") + field(3, name.encode()) + field(4, 0)
    message += field(5, WHEN) if started else b""
    message += field(6, WHEN) if completed else b""
    return field(1, message + (field(7, error.encode()) if error else b""))


def output(digest: bytes, text: str) -> bytes:
    return field(3, field(1, digest) + field(2, WHEN) + field(3, 1) + field(4, text.encode()))


def trace(*messages: bytes) -> Mapping[str, Any]:
    return {"id": "moby.buildkit.trace", "aux": base64.b64encode(b"".join(messages)).decode()}


APT = "[system 2/2] RUN /build/install.sh git"
PIP = "[libraries 1/1] RUN uv pip install --requirement /libraries.lock"
BOTH = trace(vertex(SYSTEM, APT, started=False), vertex(LIBRARIES, PIP, started=False))


@pytest.fixture
def steps() -> list[BuildStep]:
    return []


def test_stages_side_by_side_are_told_as_they_begin_and_end(steps: list[BuildStep]) -> None:
    log = io.StringIO()
    entries = [
        trace(vertex(b"sha256:3", "[internal] load remote build context")),
        BOTH,
        trace(vertex(SYSTEM, APT)),
        trace(output(SYSTEM, "Get:1 git\nGet:2 perl\n")),
        trace(vertex(LIBRARIES, PIP)),
        trace(vertex(SYSTEM, APT, completed=True)),
        {"id": "moby.image.id", "aux": {"ID": "sha256:4"}},
        {"stream": "Successfully tagged it\n"},
    ]
    follow(entries, steps.append, log, "the libraries")
    assert steps[0] == BuildStep(0, 1, "Sending the files to Docker")
    assert BuildStep(0, 2, "Installing Debian packages", "Get:2 perl") in steps
    assert BuildStep(0, 2, "Installing the libraries") in steps
    assert (steps[-1].number, steps[-1].total, steps[-1].title) == (1, 2, "Installing the libraries")
    assert log.getvalue().splitlines() == [
        f"begins: {APT}",
        "system 2/2: Get:1 git",
        "system 2/2: Get:2 perl",
        f"begins: {PIP}",
        f"done: {APT}",
    ]


def test_the_quick_steps_pass_under_the_title_before_and_the_last_work_has_one(steps: list[BuildStep]) -> None:
    names = ["[final 1/3] COPY --from=libraries /a /a", "[final 2/3] COPY etc /etc", "exporting to image"]
    follow([trace(vertex(name.encode(), name)) for name in names], steps.append, io.StringIO(), "the libraries")
    assert [step.title for step in steps[1:]] == ["Putting the image together"] * 2 + ["Storing the image"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("E: Unable to locate package nosuch\n", 'failed with "E: Unable to locate package nosuch"'),
        ("\x1b[91mno such file\x1b[0m\n", '"no such file"'),
        ("OSError: [Errno 28] No space left on device\n", "the disk is full"),
        ("", "exit code: 100"),
    ],
)
def test_a_failed_build_names_the_step_and_its_own_last_words(text: str, said: str) -> None:
    log = io.StringIO()
    entries = [
        BOTH,
        trace(
            vertex(SYSTEM, APT), vertex(LIBRARIES, PIP), output(SYSTEM, text), output(LIBRARIES, "ERROR: not mine\n")
        ),
        trace(vertex(SYSTEM, APT, completed=True, error="exit code: 100")),
        {"errorDetail": {"message": "exit code: 100"}, "error": "exit code: 100"},
    ]
    with pytest.raises(SetupError) as caught:
        follow(entries, lambda _: None, log, "the libraries")
    assert said in str(caught.value)
    assert "disk" in said or "Installing Debian packages (step system 2/2)" in str(caught.value)
    assert "exit code: 100" in log.getvalue()


def test_an_error_of_no_step_is_the_engines(steps: list[BuildStep]) -> None:
    with pytest.raises(SetupError, match='Docker failed with "dockerfile parse error"'):
        follow([{"error": "dockerfile parse error"}], steps.append, io.StringIO(), "the libraries")


class Engine(docker.APIClient):
    """Answers a request to build with these lines."""

    def __init__(self, status: int, *entries: Mapping[str, Any]) -> None:
        super().__init__("http://engine.example:2375", version="1.41")
        self.answer = requests.Response()
        self.answer.status_code = status
        self.answer.raw = io.BytesIO("\r\n".join(json.dumps(entry) for entry in entries).encode())
        self.asked: dict[str, Any] = {}

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.asked = {"url": request.url, "body": request.body, **options}
        return self.answer


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine = Engine(*request.param)
    yield engine
    engine.close()


@pytest.mark.parametrize("answering", [(200, {"stream": "a"}, {"stream": "b"})], indirect=True)
def test_the_engine_is_asked_for_its_second_builder(answering: Engine) -> None:
    entries = list(start_build(answering, b"context", "it:1", {"BASE": "debian"}, nocache=False))
    assert entries == [{"stream": "a"}, {"stream": "b"}]
    assert answering.asked["body"] == b"context"
    url = answering.asked["url"]
    assert url.startswith("http://engine.example:2375/v1.41/build?version=2&t=it%3A1&buildargs=%7B%22BASE%22")
    assert answering.asked["timeout"] is None


@pytest.mark.parametrize("answering", [(500, {"message": "no space left on device"})], indirect=True)
def test_a_refused_build_is_the_engines_error(answering: Engine) -> None:
    with pytest.raises(APIError, match="no space left"):
        list(start_build(answering, b"context", "it:1", {}, nocache=True))


@pytest.mark.parametrize(
    ("components", "has"), [(["Engine", "containerd"], True), (["Podman Engine", "Conmon"], False), ([], False)]
)
def test_docker_has_it_and_podman_has_not(components: list[str], has: bool) -> None:
    class Versioned:
        def version(self) -> dict[str, Any]:
            return {"Components": [{"Name": name} for name in components]}

    assert has_buildkit(Versioned()) is has
