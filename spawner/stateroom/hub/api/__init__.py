"""Stateroom's part of the hub's REST API."""
