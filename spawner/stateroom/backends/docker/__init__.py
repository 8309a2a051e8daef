"""Servers as containers of a Docker engine, or of Podman through its Docker-compatible API."""

from stateroom.backends.docker.backend import DockerBackend
from stateroom.backends.docker.payload import DockerSettings

__all__ = ["DockerBackend", "DockerSettings"]
