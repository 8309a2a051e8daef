"""Servers as pods of a Kubernetes cluster."""

from stateroom.backends.kubernetes.backend import KubernetesBackend

__all__ = ["KubernetesBackend"]
