"""How images that were built here come to a cluster: through a registry, or straight to a node."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException

from stateroom.common.errors import SetupError
from stateroom.common.text import clipped

IMPORT = "ctr --namespace k8s.io images import -"

_LONGEST_REASON = 300

Share = Callable[[float], None]  # hears which share of the work is done, from 0 to 1


def name_in(registry: str, reference: str) -> str:
    """What an image is called in a registry, of which `registry` may name a part: `registry.example/notebooks`."""
    return f"{registry.rstrip('/')}/{reference}"


def push(engine: docker.APIClient, reference: str, registry: str, share: Share) -> str:
    """Push an image of the engine's to a registry; its name there. Raises SetupError.

    The engine's own logins count, as with `docker push`.
    """
    name = name_in(registry, reference)
    repository, _, tag = name.rpartition(":")
    layers: dict[str, float] = {}
    try:
        _require(engine, reference)
        engine.tag(reference, repository, tag)
        for line in engine.push(repository, tag=tag, stream=True, decode=True):
            if "error" in line:
                raise SetupError(f"{name} could not be pushed: {_reason(line['error'])}")
            if layer := line.get("id"):
                layers[layer] = _done(line)
                share(sum(layers.values()) / len(layers))
    except (DockerException, RequestException) as error:
        reason = getattr(error, "explanation", None) or error
        raise SetupError(f"{name} could not be pushed: {_reason(reason)}") from error
    return name


def load(engine: docker.APIClient, reference: str, command: str, share: Share) -> None:
    """Give an image of the engine's to a command that takes it on its input. Raises SetupError."""
    size = int(_require(engine, reference)["Size"])
    with tempfile.TemporaryFile() as said:  # and no pipe, which a command of many words would fill
        try:
            process = subprocess.Popen(
                shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said
            )
        except FileNotFoundError as error:
            raise SetupError(
                f'"{error.filename}" is not on this machine. Name the command that gives an image to your cluster\'s '
                'node with --with, such as --with "k3s ctr images import -".'
            ) from error
        try:
            with process:
                _give(engine, reference, process, lambda given: share(min(1.0, given / max(1, size))))
        except BrokenPipeError:
            pass  # it ended before it had read all; its words tell why
        except (DockerException, RequestException) as error:
            raise SetupError(f"{reference} could not be read from the engine: {_reason(error)}") from error
        if process.returncode != 0:
            said.seek(0)
            words = _reason(said.read().decode(errors="replace")) or "it said nothing."
            raise SetupError(f'"{command}" did not take {reference}: {words}')


def _give(
    engine: docker.APIClient, reference: str, process: subprocess.Popen[bytes], report: Callable[[int], None]
) -> None:
    """Write the image to the process, which is ended where the image breaks off; `report` hears how much it was."""
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    given = 0
    try:
        for part in engine.get_image(reference):
            process.stdin.write(part)
            given += len(part)
            report(given)
    except BrokenPipeError:  # there is nobody any more
        raise
    except BaseException:
        process.kill()
        raise


def _require(engine: docker.APIClient, reference: str) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = engine.inspect_image(reference)
    except ImageNotFound as error:
        raise SetupError(f"{reference} is not on this engine. `stateroom images build` builds it.") from error
    except APIError as error:
        raise SetupError(f"{reference}: {_reason(error.explanation or error)}") from error
    return found


def _done(line: Mapping[str, Any]) -> float:
    detail = line.get("progressDetail") or {}
    if line.get("status") in {"Pushed", "Layer already exists"} or str(line.get("status")).startswith("Mounted"):
        return 1.0
    total = detail.get("total")
    return min(1.0, detail.get("current", 0) / total) if total else 0.0


def _reason(words: object) -> str:
    """The last line of what a program said, as text that a screen can bear, and with an end."""
    lines = [line for line in str(words).splitlines() if line.strip()]
    text = clipped((lines or [""])[-1], _LONGEST_REASON)
    return f"{text.rstrip('.')}." if text else ""
