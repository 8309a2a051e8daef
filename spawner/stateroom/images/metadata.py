"""What an engine has of an image, in our words: its size, what its labels say, and its largest parts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stateroom.common.quantity import MB
from stateroom.common.text import clipped

KERNELS_LABEL = "io.stateroom.kernels"  # their names, with spaces between
VERSIONS_LABEL = "io.stateroom.versions"  # such as "python=3.13 r=4.5"
JUPYTERHUB_LABEL = "io.stateroom.jupyterhub"  # the major version

_WORTH_TELLING = 10 * MB
_LONGEST_TITLE = 59

# How the engine tells a step that needs no shell, one that needs one, and one of BuildKit's.
_NO_SHELL = re.compile(r"^/bin/sh -c #\(nop\)\s+")
_SHELL = re.compile(r"^(?:RUN )?(?:\|\d+ .*?)?(?:RUN )?/bin/sh -c\s+(?:set -e?x;\s+)?")
_BUILDKIT = " # buildkit"
_COPIED = re.compile(r"^(COPY|ADD) .*\s(\S+)$")
_NOISE = re.compile(r"apt-get update && |DEBIAN_FRONTEND=\S+ |(?<= )--\S+ ")


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image that the engine has. What it has no label for is None. `layers` are digests, the lowest first."""

    id: str
    size: int
    labels: Mapping[str, str]
    layers: tuple[str, ...] = ()

    @property
    def kernels(self) -> tuple[str, ...] | None:
        """The kernels that it says it has."""
        said = self.labels.get(KERNELS_LABEL)
        return None if said is None else tuple(said.split())

    @property
    def jupyterhub(self) -> str | None:
        """The major version of JupyterHub that it says it has."""
        return self.labels.get(JUPYTERHUB_LABEL)

    @property
    def versions(self) -> tuple[str, ...]:
        """What it says of versions, such as "python 3.13"."""
        said = [word.replace("=", " ", 1) for word in self.labels.get(VERSIONS_LABEL, "").split()]
        return (*said, *([f"jupyterhub {self.jupyterhub}"] if self.jupyterhub else []))


@dataclass(frozen=True, slots=True)
class Part:
    """One layer of an image: its bytes, and the step that made it."""

    size: int
    step: str


def image_from(inspected: Mapping[str, Any]) -> StoredImage:
    """From the engine's description."""
    return StoredImage(
        str(inspected["Id"]),
        int(inspected.get("Size", 0)),
        (inspected.get("Config") or {}).get("Labels") or {},
        tuple(inspected.get("RootFS", {}).get("Layers") or ()),
    )


def largest_parts(history: Iterable[Mapping[str, Any]]) -> list[Part]:
    """The layers of some size, the largest first, from what the engine knows of their making."""
    parts = [Part(step["Size"], _told(step["CreatedBy"] or "")) for step in history]
    return sorted((part for part in parts if part.size >= _WORTH_TELLING), key=lambda part: -part.size)


def _told(made_by: str) -> str:
    words = " ".join(_NO_SHELL.sub("", made_by).removesuffix(_BUILDKIT).split())
    if copied := _COPIED.match(words):
        return f"{copied[1]} to {copied[2]}" if copied[2] != "/" else "the base image"
    words = _NOISE.sub("", _SHELL.sub("RUN ", words))
    return clipped(words, _LONGEST_TITLE) or "the base image"
