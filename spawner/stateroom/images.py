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
import shutil
import subprocess
import tarfile
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from requests.exceptions import RequestException

from stateroom.errors import SetupError
from stateroom.inventory import Part, StoredImage, image_from, largest_parts
from stateroom.recipes import UNIFIED, Recipe
from stateroom.wording import quoted

SOURCE_LABEL = "io.stateroom.source"
STAGE_LABEL = "io.stateroom.stage"  # on the stage that makes what the image copies, with the recipe's name

_REGISTRY_BASE = "debian:trixie-slim"
_OWN_BASE = "stateroom/base:trixie"
_RELEASE = "trixie"
_SUITES = ("", "-updates", "-security")  # of a release: what it is, its late updates, its security fixes

# What debian:trixie-slim leaves out too. Licences stay.
_LEFT_OUT = (
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/lintian/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
)

_REGISTRY_PATIENCE = 5  # seconds; a registry that answers does so in one
_LONGEST_REASON = 200
_TAIL = 30  # lines in which the cause of a failure is looked for

_STEP = re.compile(r"Step (\d+)/(\d+) : (.*)")
_IMAGE_ID = re.compile(r" ---> ([0-9a-f]{12})")
_ENGINE_WORDS = "Removing intermediate container"  # the engine's, after what a step itself wrote
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")

# What the long steps of the Dockerfile are called for the person who waits.
_TITLES = (
    ("apt-get install", "Installing Debian packages"),
    ("COPY --from", "Putting the image together"),
)


@dataclass(frozen=True, slots=True)
class BuildStep:
    """Where a build stands: step `number` of `total`, what it does, and the last line it wrote."""

    number: int
    total: int
    title: str
    line: str = ""


Report = Callable[[BuildStep], None]


def build(engine: docker.APIClient, recipe: Recipe, report: Report, log: Path, *, rebuild: bool = False) -> bool:
    """Build the image unless the engine has it from these very files; whether it was built.

    `rebuild` builds it from nothing, with a new base. `log` gets all that the
    build writes. A base that is ours is built first. Raises SetupError.
    """
    if recipe.base:
        build(engine, recipe.base, report, log, rebuild=rebuild)
    with _said_in_one_sentence(recipe, log):
        if not rebuild and is_current(engine, recipe):
            return False
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as written:
            predecessors = {_image_id(engine, name) for name in (recipe.reference, _REGISTRY_BASE, _OWN_BASE)}
            base = recipe.base.reference if recipe.base else _base(engine, report, written, renew=rebuild)
            entries = engine.build(
                fileobj=io.BytesIO(build_context(recipe.files, ca_bundle(os.environ))),
                custom_context=True,
                tag=recipe.reference,
                buildargs={"BASE": base},
                labels={SOURCE_LABEL: recipe.digest},
                nocache=rebuild,
                rm=True,
                forcerm=True,
                decode=True,
            )
            used = follow_build(entries, report, written, recipe.installs)
        _remove_superseded(engine, recipe, predecessors, used)
    return True


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
    step = BuildStep(0, 1, "Sending the files to Docker")
    used: set[str] = set()
    tail: deque[str] = deque(maxlen=_TAIL)
    report(step)
    try:
        for line in _lines(entries):
            log.write(f"{line}\n")
            if found := _IMAGE_ID.fullmatch(line):
                used.add(found[1])
            elif found := _STEP.fullmatch(line):
                step = BuildStep(int(found[1]), int(found[2]), _title(found[3], step.title, installs))
                tail.clear()
                report(step)
            elif line.strip() and not line.startswith(_ENGINE_WORDS):
                tail.append(line.strip())
                step = replace(step, line=line.strip())
                report(step)
    except _EngineError as error:
        log.write(f"{error}\n")
        raise SetupError(_failure(f"{step.title} (step {step.number} of {step.total})", tail, str(error))) from error
    return frozenset(used)


class _EngineError(Exception):
    """The engine's own word for the end of a build."""


def _lines(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    # An entry is any piece of output: several lines, or a part of one.
    rest = ""
    for entry in entries:
        *whole, rest = (rest + str(entry.get("stream", ""))).split("\n")
        yield from map(_plain, whole)
        if "error" in entry:
            yield _plain(rest)
            raise _EngineError(_plain(str(entry["error"])))
    yield _plain(rest)


def _plain(text: str) -> str:
    return _CONTROL.sub("", text)


def _title(instruction: str, before: str, installs: str) -> str:
    if "pip install" in instruction:
        return f"Installing {installs}"
    # The quick steps between pass under the title of the one before.
    return next((title for part, title in _TITLES if part in instruction), before)


def _failure(work: str, tail: Iterable[str], error: str) -> str:
    words = [line for line in tail if line]
    if any("no space left on device" in line.lower() for line in (*words, error)):
        return "the disk is full; the build needs about 4 GB where Docker keeps its images."
    marked = [line for line in words if line.startswith(("ERROR:", "E:", "fatal:"))]
    reason = (marked or words or [error])[-1]
    return f'{work} failed with "{_shortened(reason, _LONGEST_REASON)}".'


def _shortened(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


@contextmanager
def _said_in_one_sentence(recipe: Recipe, log: Path) -> Iterator[None]:
    prefix = f"The {recipe.title} could not be built: "
    try:
        yield
    except SetupError as error:
        raise SetupError(f"{prefix}{error} The whole log is in {log}.") from error
    except (DockerException, RequestException) as error:
        reason = str(getattr(error, "explanation", None) or error)
        raise SetupError(f"{prefix}{_failure('Docker', [], reason)}", detail=repr(error)) from error
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


def _base(engine: docker.APIClient, report: Report, log: TextIO, *, renew: bool) -> str:
    """The reference of a Debian base image, which is on the engine afterwards."""
    if not renew:
        for reference in (_REGISTRY_BASE, _OWN_BASE):
            if _image_id(engine, reference):
                return reference
    report(BuildStep(0, 1, f"Asking the registry for {_REGISTRY_BASE}"))
    if _pulled(engine, log):
        return _REGISTRY_BASE
    report(BuildStep(0, 1, "No registry answers; making a Debian base with mmdebstrap"))
    _bootstrap(engine, log)
    return _OWN_BASE


def _pulled(engine: docker.APIClient, log: TextIO) -> bool:
    try:
        with _patience(engine, _REGISTRY_PATIENCE):
            engine.inspect_distribution(_REGISTRY_BASE)
        repository, _, tag = _REGISTRY_BASE.partition(":")
        entries = engine.pull(repository, tag=tag, stream=True, decode=True)
        log.writelines(f"{entry.get('error') or entry.get('status', '')}\n" for entry in entries)
    except (APIError, RequestException) as error:
        log.write(f"No base image from a registry: {error}\n")
        return False
    return _image_id(engine, _REGISTRY_BASE) is not None


@contextmanager
def _patience(engine: docker.APIClient, seconds: int) -> Iterator[None]:
    before, engine.timeout = engine.timeout, seconds
    try:
        yield
    finally:
        engine.timeout = before


def _bootstrap(engine: docker.APIClient, log: TextIO) -> None:
    program = shutil.which("mmdebstrap") or _install_mmdebstrap(log)
    with tempfile.TemporaryDirectory(prefix="stateroom-base-") as folder:
        archive = Path(folder) / "base.tar"
        options = ["--variant=minbase", "--format=tar", *_LEFT_OUT]
        _run([program, *options, _RELEASE, str(archive), *_mirrors()], log)
        repository, _, tag = _OWN_BASE.partition(":")
        answer = engine.import_image_from_file(str(archive), repository=repository, tag=tag)
    if '"error"' in answer:
        raise SetupError(_failure("Importing the Debian base", [], answer))


def _install_mmdebstrap(log: TextIO) -> str:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SetupError(
            "no registry answers and mmdebstrap is not installed. "
            f"Run `apt-get install mmdebstrap` as root, or load the image {_REGISTRY_BASE} into Docker."
        )
    # One of the machine's sources may fail without being one that matters here.
    _run(["apt-get", "update"], log, check=False)
    _run(["apt-get", "install", "--yes", "mmdebstrap", "debian-archive-keyring"], log)
    return "mmdebstrap"


def _mirrors() -> list[str]:
    """Where this machine gets Debian from, for our release, as far as a container without certificates can use it.

    None where this machine is no Debian: mmdebstrap then takes Debian's own.
    """
    if not shutil.which("apt-get"):
        return []
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Origin: Debian"],
        capture_output=True,
        text=True,
        check=False,
    )
    return sources_for(_RELEASE, listed.stdout)


def sources_for(release: str, listed: str) -> list[str]:
    """The lines for apt of a release on the mirrors that another release uses (`URI CODENAME COMPONENT` a line).

    None where the release itself, without its updates, would be missing.
    """
    found = set()
    for line in listed.splitlines():
        uri, codename, component = line.split()
        _, dash, rest = codename.partition("-")
        if uri.startswith("http://") and dash + rest in _SUITES:
            found.add(f"deb {uri} {release}{dash}{rest} {component}")
    return sorted(found) if any(line.split()[2] == release for line in found) else []


def _run(command: list[str], log: TextIO, *, check: bool = True) -> None:
    ended = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        check=False,
    )
    log.write(ended.stdout)
    if check and ended.returncode:
        tail = [_plain(line).strip() for line in ended.stdout.splitlines()[-_TAIL:]]
        raise SetupError(_failure(Path(command[0]).name, tail, f"exit status {ended.returncode}"))
