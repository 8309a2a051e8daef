"""What `stateroom doctor` checks."""
