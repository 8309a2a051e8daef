"""`python tests/harness/cluster up|down|load FOLDER`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from harness.cluster.command_line import main  # noqa: E402 - found only now

sys.exit(main() or 0)
