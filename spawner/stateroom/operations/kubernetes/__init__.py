"""A hub's objects in a Kubernetes namespace."""
