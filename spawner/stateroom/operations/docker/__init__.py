"""A hub's objects on a Docker engine."""
