"""`python engine.py up|down FOLDER`: a Docker engine for the tests, had as `stateroom up` has it."""

from __future__ import annotations

import sys
from pathlib import Path

from stateroom.cli.screen import Screen
from stateroom.common.errors import SetupError
from stateroom.operations.docker.engine import answering, ensure_engine, stop_engine
from stateroom.operations.local.data import DataFolder


def main(verb: str, folder: str) -> str:
    """Bring an engine up, or end the one that was started from this folder; what went wrong, or ""."""
    data = DataFolder(Path(folder))
    try:
        if verb == "up":
            data.make()
            ensure_engine(data, Screen()).close()
        elif engine := answering():
            stop_engine(engine, data)
            engine.close()
    except SetupError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
