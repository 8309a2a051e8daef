"""Finds the platform of a backend. Each has a folder of its own, which is imported only where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stateroom.operations.platform import Platform

BACKENDS = ("docker", "kubernetes")


def platform_for(backend: str) -> Platform:
    """Return the platform on which a backend runs servers."""
    # Imported here: a client takes half a second to import, which users of the other platform need not wait for.
    if backend == "kubernetes":
        from stateroom.operations.kubernetes.platform import KubernetesPlatform  # noqa: PLC0415

        return KubernetesPlatform()
    from stateroom.operations.docker.platform import DockerPlatform  # noqa: PLC0415

    return DockerPlatform()
