"""Trying an image out: a container of it, hardened and limited as a server is, in which its server and kernels run.

It has no network, an empty home, and the variables of a server. What runs
inside is `probe.py`, handed to the image's own Python.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import docker
from docker.errors import APIError, NotFound

from stateroom.backends.docker.engine import read_passwd, start_container
from stateroom.backends.docker.payload import (
    DockerSettings,
    ImageFacts,
    container_payload,
    facts_from_image,
    home_archive,
)
from stateroom.catalog.storage import DockerHome
from stateroom.common.errors import ImageUnfit
from stateroom.common.labels import HELPER
from stateroom.common.quantity import format_duration
from stateroom.workloads.server import Server

_PROBE = Path(__file__).with_name("probe.py")
_LOOK, _TRIAL = {HELPER: "image-look"}, {HELPER: "image-trial"}
_LONGEST = 900  # seconds for all of it; the probe gives its server and each kernel a minute


@dataclass(frozen=True, slots=True)
class KernelRun:
    """What came of one kernel; `ran` if its language is known, so that it was given code and not only asked."""

    name: str
    language: str
    ran: bool
    seconds: float
    problem: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of an image: facts from inside, its server's start, and its kernels."""

    user: int
    home: str
    writable: bool
    cores: str
    jupyterhub: str
    singleuser: bool
    server_seconds: float
    server_problem: str
    kernels: tuple[KernelRun, ...]


def try_out(engine: docker.APIClient, spec: Server, told: Callable[[str], None]) -> Trial:
    """Run a trial of the spec's image, which the engine has; `told` hears what is done.

    Raises ImageUnfit for an image that cannot run a server, or not the trial.
    """
    inspected = engine.inspect_image(spec.container.image)
    facts = facts_from_image(spec.container.image, inspected, read_passwd(engine, inspected["Id"], _LOOK))
    lines: list[Mapping[str, Any]] = []
    with _container(engine, _payload(spec, facts)) as container:
        engine.put_archive(container, "/", home_archive(spec, facts))
        _start(engine, container, spec.container.image)
        for line in _said(engine, container):
            if line["kind"] == "doing":
                told(line["what"])
            lines.append(line)
        if not lines or lines[-1]["kind"] != "end":
            raise ImageUnfit(_broken_off(spec.container.image, engine, container))
    return trial_from_lines(lines)


def trial_from_lines(lines: Sequence[Mapping[str, Any]]) -> Trial:
    """What the probe told."""
    by_kind = {line["kind"]: line for line in lines}
    facts, server = by_kind["facts"], by_kind["server"]
    return Trial(
        **{key: facts[key] for key in ("user", "home", "writable", "cores", "jupyterhub", "singleuser")},
        server_seconds=server["seconds"],
        server_problem=server["problem"],
        kernels=tuple(
            KernelRun(**{key: line[key] for key in KernelRun.__slots__}) for line in lines if line["kind"] == "kernel"
        ),
    )


def _payload(spec: Server, facts: ImageFacts) -> dict[str, Any]:
    """A server's own container, but for the network, the home and what runs in it."""
    payload = container_payload(spec, facts, DockerSettings("none", DockerHome()))
    return {
        **payload,
        "Entrypoint": ["python3", "-"],
        "Cmd": [json.dumps(facts.command)],
        "Labels": _TRIAL,
        "Volumes": {f"{facts.home}/{spec.workspace}": {}},
        "HostConfig": {**payload["HostConfig"], "NetworkMode": "none", "Binds": []},
    }


@contextmanager
def _container(engine: docker.APIClient, payload: Mapping[str, Any]) -> Iterator[str]:
    """One that is removed afterwards, and before it what a killed command left."""
    left = {"label": [f"{key}={value}" for key, value in _TRIAL.items()], "status": "exited"}
    for old in engine.containers(all=True, filters=left):
        _remove(engine, old["Id"])
    container = str(engine.create_container_from_config(payload)["Id"])
    try:
        yield container
    finally:
        _remove(engine, container)


def _remove(engine: docker.APIClient, container: str) -> None:
    with suppress(NotFound):
        engine.remove_container(container, force=True, v=True)


def _start(engine: docker.APIClient, container: str, image: str) -> None:
    try:
        start_container(engine, container, _PROBE.read_bytes())
    except APIError as error:
        raise ImageUnfit(
            f'The image "{image}" cannot be tried out: "{error.explanation}". It needs python3 on its PATH.'
        ) from error


def _said(engine: docker.APIClient, container: str) -> Iterator[Mapping[str, Any]]:
    """The probe's lines, until it ends or takes too long."""
    watchdog = Timer(_LONGEST, lambda: _remove(engine, container))
    watchdog.daemon = True
    watchdog.start()
    rest = b""
    try:
        for chunk in engine.logs(container, stdout=True, stderr=False, stream=True, follow=True):
            *whole, rest = (rest + chunk).split(b"\n")
            # Something of the image's own may write before the probe does.
            yield from (json.loads(line) for line in whole if line.startswith(b'{"kind": '))
    finally:
        watchdog.cancel()


def _broken_off(image: str, engine: docker.APIClient, container: str) -> str:
    try:
        ended = engine.wait(container)["StatusCode"]
        written = engine.logs(container, stdout=False, stderr=True, tail=5).decode("utf-8", "replace").split("\n")
    except NotFound:
        return f'The trial of the image "{image}" took longer than {format_duration(_LONGEST)}. Look into its kernels.'
    if engine.inspect_container(container)["State"].get("OOMKilled"):
        return f'The trial of the image "{image}" ran out of memory. Give the default size more.'
    last = next((line.strip() for line in reversed(written) if line.strip()), "nothing")
    return f'The trial of the image "{image}" broke off with {ended}: "{last}".'
