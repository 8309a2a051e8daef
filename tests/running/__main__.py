"""`python tests/running`: what `./test` starts."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from running.main import main  # noqa: E402 - found only now

sys.exit(main(sys.argv[1:]))
