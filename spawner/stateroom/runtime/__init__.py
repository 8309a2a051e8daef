"""The state of a process that runs servers: one object owns it."""
