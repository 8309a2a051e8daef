"""How the images that ship with Stateroom are built.

An image carries a hash of the files it was made from, so that one look tells
whether it is the one that belongs to this version, and a build happens only
when it is not. Their base comes from a registry where one answers; elsewhere
mmdebstrap makes it.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException

from stateroom.common.errors import SetupError
from stateroom.common.text import printable, quoted
from stateroom.images.base import OWN_BASE, REGISTRY_BASE, debian_base
from stateroom.images.build_steps import SENDING, TAIL, BuildStep, Report, failure, timed, title_of
from stateroom.images.buildkit import follow, has_buildkit, start_build
from stateroom.images.metadata import Part, StoredImage, image_from, largest_parts
from stateroom.images.sources import UNIFIED, Recipe

SOURCE_LABEL = "io.stateroom.source"
STAGE_LABEL = "io.stateroom.stage"  # on the stage that makes what the image copies, with the recipe's name

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_IMAGE_ID = re.compile(r" ---> ([0-9a-f]{12})")
_ENGINE_WORDS = "Removing intermediate container"  # the engine's, after what a step itself wrote


def build(engine: docker.APIClient, recipe: Recipe, report: Report, log: Path, *, rebuild: bool = False) -> bool:
    """Build the image unless the engine has it from these very files; whether it was built.

    `rebuild` builds it from nothing, with a new base. `log` gets all that the
    build writes. A base that is ours is built first. Raises SetupError.
    """
    if recipe.base:
        build(engine, recipe.base, report, log, rebuild=rebuild)
    report = timed(report, recipe.seconds)
    with _said_in_one_sentence(recipe, log):
        if not rebuild and is_current(engine, recipe):
            return False
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as written:
            predecessors = {_image_id(engine, name) for name in (recipe.reference, REGISTRY_BASE, OWN_BASE)}
            base = recipe.base.reference if recipe.base else debian_base(engine, report, written, renew=rebuild)
            used = _run_build(engine, recipe, base, report, written, rebuild=rebuild)
        _remove_superseded(engine, recipe, predecessors, used)
    return True


def _run_build(
    engine: docker.APIClient, recipe: Recipe, base: str, report: Report, log: TextIO, *, rebuild: bool
) -> frozenset[str]:
    """Let the engine build on a base. Returns the short ids of the intermediate images, where the engine keeps them."""
    context = build_context(_labelled(recipe), ca_bundle(os.environ))
    arguments = {"BASE": base}
    if has_buildkit(engine):
        follow(start_build(engine, context, recipe.reference, arguments, nocache=rebuild), report, log, recipe.installs)
        return frozenset()
    entries = engine.build(
        fileobj=io.BytesIO(context),
        custom_context=True,
        tag=recipe.reference,
        buildargs=arguments,
        nocache=rebuild,
        rm=True,
        forcerm=True,
        decode=True,
    )
    return follow_build(entries, report, log, recipe.installs)


def _labelled(recipe: Recipe) -> Mapping[str, bytes]:
    """Return a recipe's files with a last step that adds the hash, so that the image's history names it."""
    label = f"\nLABEL {SOURCE_LABEL}={recipe.digest}\n"
    return {**recipe.files, "Dockerfile": recipe.files["Dockerfile"] + label.encode()}


def is_current(engine: docker.APIClient, recipe: Recipe) -> bool:
    """Whether the engine has the image, made from these very files, and on its base as that is now."""
    image = stored_image(engine, recipe.reference)
    if image is None or image.labels.get(SOURCE_LABEL) != recipe.digest:
        return False
    if recipe.base is None:
        return True
    below = stored_image(engine, recipe.base.reference)
    return below is not None and image.layers[: len(below.layers)] == below.layers


def stored_image(engine: docker.APIClient, reference: str) -> StoredImage | None:
    """What the engine has under a reference, None if nothing. Raises SetupError for what cannot be one."""
    try:
        return image_from(engine.inspect_image(reference))
    except ImageNotFound:
        return None
    except APIError as error:
        if error.status_code != requests.codes.bad_request:
            raise
        raise SetupError(f"{quoted(reference)} is no name of an image. Write one such as {UNIFIED}.") from error


def parts_of(engine: docker.APIClient, image: StoredImage) -> list[Part]:
    """The image's layers of some size, the largest first."""
    return largest_parts(engine.history(image.id))


def ca_bundle(environment: Mapping[str, str]) -> Path | None:
    """The certificates that this machine trusts; behind a proxy, the build needs them too."""
    named = (environment.get("PIP_CERT"), environment.get("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt")
    return next((Path(name) for name in named if name and Path(name).is_file()), None)


def build_context(files: Mapping[str, bytes], bundle: Path | None) -> bytes:
    """A tar of an image's files, with the CA bundle as `ca.crt` for the build's first stage.

    The modes do not depend on how the files were installed: scripts may be run, the rest may be read.
    """
    if bundle:
        files = {**files, "ca.crt": bundle.read_bytes()}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            entry.mode = 0o755 if data.startswith(b"#!") else 0o644
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def follow_build(entries: Iterable[Mapping[str, Any]], report: Report, log: TextIO, installs: str) -> frozenset[str]:
    """Log and report what the engine tells of a build; the short ids of the images it went through.

    Raises SetupError with the step that failed and its last words.
    """
    step = BuildStep(0, 1, SENDING)
    used: set[str] = set()
    tail: deque[str] = deque(maxlen=TAIL)
    report(step)
    try:
        for line in _lines(entries):
            log.write(f"{line}\n")
            if found := _IMAGE_ID.fullmatch(line):
                used.add(found[1])
            elif found := _STEP.fullmatch(line):
                step = BuildStep(int(found[1]), int(found[2]), title_of(found[3], step.title, installs))
                tail.clear()
                report(step)
            elif line.strip() and not line.startswith(_ENGINE_WORDS):
                tail.append(line.strip())
                step = replace(step, line=line.strip())
                report(step)
    except _EngineError as error:
        log.write(f"{error}\n")
        raise SetupError(failure(f"{step.title} (step {step.number} of {step.total})", tail, str(error))) from error
    return frozenset(used)


class _EngineError(Exception):
    """The engine's own word for the end of a build."""


def _lines(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    # An entry is any piece of output: several lines, or a part of one.
    rest = ""
    for entry in entries:
        *whole, rest = (rest + str(entry.get("stream", ""))).split("\n")
        yield from map(printable, whole)
        if "error" in entry:
            yield printable(rest)
            raise _EngineError(printable(entry["error"]))
    yield printable(rest)


@contextmanager
def _said_in_one_sentence(recipe: Recipe, log: Path) -> Iterator[None]:
    prefix = f"The {recipe.title} could not be built: "
    try:
        yield
    except SetupError as error:
        raise SetupError(f"{prefix}{error} The whole log is in {log}.") from error
    except (DockerException, RequestException) as error:
        reason = str(getattr(error, "explanation", None) or error)
        raise SetupError(f"{prefix}{failure('Docker', [], reason)}", detail=repr(error)) from error
    except OSError as error:
        raise SetupError(f"{prefix}{error.filename or log}: {error.strerror}.") from error


def _image_id(engine: docker.APIClient, reference: str) -> str | None:
    image = stored_image(engine, reference)
    return image.id if image else None


def is_build(engine: docker.APIClient, image: str) -> bool:
    """Whether an image is one of ours as it was built: what somebody made of it has our label too, but in no last step.

    False for one that is gone.
    """
    try:
        steps = engine.history(image)
    except ImageNotFound:
        return False
    return bool(steps) and SOURCE_LABEL in steps[0]["CreatedBy"]


def _remove_superseded(
    engine: docker.APIClient, recipe: Recipe, predecessors: set[str | None], used: frozenset[str]
) -> None:
    # Each build leaves its predecessor and what the image was made in without a name, gigabytes
    # of them. This build's own stage stays: it is what makes the next build quick. So do those
    # of other recipes. A build before the last may have been left for a container that is gone by now.
    unnamed = {image["Id"] for image in engine.images(filters={"dangling": True})}
    stage = f"{STAGE_LABEL}={recipe.name}"
    stages = {image["Id"] for image in engine.images(filters={"dangling": True, "label": stage})}
    labelled = {image["Id"] for image in engine.images(filters={"dangling": True, "label": SOURCE_LABEL})}
    builds = {image for image in labelled if is_build(engine, image)}
    for image in stages | builds | (unnamed & predecessors):
        if image.removeprefix("sha256:")[:12] not in used:
            try:
                engine.remove_image(image)
            except APIError:
                continue  # a server still runs from it, or another image is made of it
