"""The commands' side of Docker: the engine, and what a hub has on it."""
