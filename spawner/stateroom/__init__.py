"""Personal notebook servers for JupyterHub, on Docker and on Kubernetes, from one catalog file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stateroom.common.version import __version__

if TYPE_CHECKING:
    from stateroom.hub.configure import configure as configure
    from stateroom.hub.spawner import StateroomSpawner as StateroomSpawner

__all__ = ["StateroomSpawner", "__version__", "configure"]


def __getattr__(name: str) -> Any:
    """Import the hub's side only when asked for, so that the core stays free of JupyterHub."""
    if name == "StateroomSpawner":
        from stateroom.hub.spawner import StateroomSpawner  # noqa: PLC0415

        return StateroomSpawner
    if name == "configure":
        from stateroom.hub.configure import configure  # noqa: PLC0415

        return configure
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
