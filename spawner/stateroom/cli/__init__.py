"""The command line: `stateroom`, with a file for each command."""
