"""What a container has: decided here, for every engine.

An engine reports what it enforces now, which anyone with access to it can
change. The labels say what the container was made with, and fill in what an
engine does not report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stateroom.common.labels import MEMORY_GUARANTEE, is_number, resource
from stateroom.common.quantity import KINDS, Resources


@dataclass(frozen=True, slots=True)
class Reported:
    """What an engine reports of a container's resources, in the units of `Resources`; None for what it does not."""

    cpu: int | None = None
    memory: int | None = None
    gpu: int | None = None
    memory_guarantee: int | None = None


def actual_resources(reported: Reported, labels: Mapping[str, str]) -> Resources:
    """Return what a container has now.

    A guarantee of memory that was not changed itself follows the memory in proportion.
    """
    made = resources_from_labels(labels)
    amounts = {kind.name: _first(getattr(reported, kind.name, None), kind.of(made)) for kind in KINDS}
    guarantee = _first(reported.memory_guarantee, _share_of(amounts["memory"], made))
    return Resources(**amounts, memory_guarantee=guarantee)


def resources_as_labels(resources: Resources) -> Mapping[str, str]:
    """What a server has, in thousandths of a core, bytes and GPUs, for whoever counts what runs."""
    amounts = {resource(kind.name): str(kind.of(resources)) for kind in KINDS}
    return {**amounts, MEMORY_GUARANTEE: str(resources.memory_guarantee)}


def resources_from_labels(labels: Mapping[str, str]) -> Resources:
    """What `resources_as_labels` wrote; 0 for what is no number."""
    amounts = {kind.name: _number(labels.get(resource(kind.name), "")) for kind in KINDS}
    return Resources(**amounts, memory_guarantee=_number(labels.get(MEMORY_GUARANTEE, "")))


def _first(reported: int | None, otherwise: int) -> int:
    return otherwise if reported is None else reported


def _share_of(memory: int, made: Resources) -> int:
    return memory * made.memory_guarantee // made.memory if made.memory else made.memory_guarantee


def _number(text: str) -> int:
    return int(text) if is_number(text) else 0
