"""The hub of `stateroom up`: its data folder, processes, logs and proxy."""
