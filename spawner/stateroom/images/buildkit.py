"""BuildKit, Docker's own builder, over the engine's API.

It builds the stages of a Dockerfile that do not need each other at the same
time, and copies no layer twice. The Docker SDK can only request the older builder.
Podman has a builder of its own, which the SDK's request reaches.
"""

from __future__ import annotations

import base64
import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TextIO

import docker
from docker.errors import create_api_error_from_http_exception
from requests.exceptions import HTTPError

from stateroom.common.errors import SetupError
from stateroom.common.text import printable
from stateroom.images.build_steps import SENDING, STORING, TAIL, BuildStep, Report, failure, title_of

_TRACE = "moby.buildkit.trace"
_VERSION = "2"  # of the engine's builders, BuildKit is the second
_INTERNAL = "[internal]"
_EXPORT = "exporting to image"

# The fields of BuildKit's messages (api/services/control/control.proto).
_VERTEXES, _LOGS = 1, 3  # of StatusResponse
_DIGEST, _NAME, _STARTED, _COMPLETED, _ERROR = 1, 3, 5, 6, 7  # of Vertex
_OF, _TEXT = 1, 4  # of VertexLog
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how a field is written


@dataclass(frozen=True, slots=True)
class Vertex:
    """A step as BuildKit sees it."""

    digest: bytes
    name: str
    started: bool = False
    completed: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """Text that a step wrote: several lines, or a part of one."""

    digest: bytes
    text: str


def has_buildkit(engine: docker.APIClient) -> bool:
    """Whether the engine is Docker, which has it since 18.09, rather than Podman."""
    return any(component.get("Name") == "Engine" for component in engine.version().get("Components") or ())


def start_build(
    engine: docker.APIClient, context: bytes, tag: str, arguments: Mapping[str, str], *, nocache: bool
) -> Iterator[Mapping[str, Any]]:
    """Ask the engine to build, and yield what it reports. Raises APIError."""
    response = engine.post(
        f"{engine.base_url}/v{engine.api_version}/build",
        data=context,
        headers={"Content-Type": "application/x-tar"},
        params={"version": _VERSION, "t": tag, "buildargs": json.dumps(arguments), "nocache": str(nocache)},
        stream=True,
        timeout=None,
    )
    with response:
        try:
            response.raise_for_status()
        except HTTPError as error:
            create_api_error_from_http_exception(error)
        for line in response.iter_lines():
            if line:
                yield json.loads(line)


def follow(entries: Iterable[Mapping[str, Any]], report: Report, log: TextIO, installs: str) -> None:
    """Log and report a build by BuildKit. Raises SetupError with the step that failed and its last words."""
    known: dict[bytes, Vertex] = {}
    tails: defaultdict[bytes, deque[str]] = defaultdict(lambda: deque(maxlen=TAIL))
    step = BuildStep(0, 1, SENDING)
    report(step)
    for entry in entries:
        if "error" in entry:
            error = printable(entry["error"])
            log.write(f"{error}\n")
            raise SetupError(_failure(known.values(), tails, error, installs))
        for event in _events(entry):
            if isinstance(event, Output):
                step = _heard(event, known, tails, step, log)
                report(step)
            elif not event.name.startswith(_INTERNAL):
                step = _moved(event, known, step, log, installs)
                report(step)


def _heard(
    output: Output, known: Mapping[bytes, Vertex], tails: Mapping[bytes, deque[str]], step: BuildStep, log: TextIO
) -> BuildStep:
    stage = known[output.digest].name.partition("]")[0].lstrip("[") if output.digest in known else ""
    lines = [line for text in output.text.splitlines() if (line := printable(text).strip())]
    log.writelines(f"{stage}: {line}\n" for line in lines)
    tails[output.digest].extend(lines)
    return replace(step, line=lines[-1]) if lines else step


def _moved(vertex: Vertex, known: dict[bytes, Vertex], step: BuildStep, log: TextIO, installs: str) -> BuildStep:
    news = vertex != known.get(vertex.digest)
    known[vertex.digest] = vertex
    if news and (vertex.started or vertex.completed):
        log.write(f"{'done' if vertex.completed else 'begins'}: {vertex.name}\n")
    done = sum(found.completed for found in known.values())
    step = replace(step, number=done, total=len(known))
    if news and vertex.started and not vertex.completed:
        step = replace(step, title=_title(vertex, step.title, installs), line="")
    return step


def _title(vertex: Vertex, before: str, installs: str) -> str:
    return STORING if vertex.name == _EXPORT else title_of(vertex.name, before, installs)


def _failure(vertexes: Iterable[Vertex], tails: Mapping[bytes, deque[str]], error: str, installs: str) -> str:
    failed = next((vertex for vertex in vertexes if vertex.failed), None)
    if failed is None:
        return failure("Docker", [], error)
    number = failed.name.partition("]")[0].lstrip("[")
    return failure(f"{_title(failed, 'A step', installs)} (step {number})", tails[failed.digest], error)


def _events(entry: Mapping[str, Any]) -> Iterator[Vertex | Output]:
    if entry.get("id") != _TRACE:
        return
    for number, value in _fields(base64.b64decode(entry["aux"])):
        if number == _VERTEXES:
            yield _vertex(dict(_fields(value)))
        elif number == _LOGS:
            found = dict(_fields(value))
            yield Output(found[_OF], found.get(_TEXT, b"").decode(errors="replace"))


def _vertex(found: Mapping[int, bytes]) -> Vertex:
    return Vertex(
        found[_DIGEST],
        found.get(_NAME, b"").decode(errors="replace"),
        started=_STARTED in found,
        completed=_COMPLETED in found,
        failed=bool(found.get(_ERROR)),
    )


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Split a protobuf message into its fields; of numbers, which are of no use here, the value is empty."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind, 0)
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind == _BYTES:
            size, at = _varint(message, at)
        yield key >> 3, message[at : at + size] if kind == _BYTES else b""
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:  # noqa: PLR2004 - its highest bit says that another follows
            return value, at
