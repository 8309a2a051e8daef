"""What every tier shares: hostile values are tried the same way on every run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

# No examples are kept between runs: a test fails everywhere or nowhere.
settings.register_profile("stateroom", derandomize=True, database=None, deadline=None)
settings.load_profile("stateroom")
set_hypothesis_home_dir(Path(__file__).parent.parent / ".cache" / "hypothesis")

pytest_plugins = ["harness.chromium", "harness.figures"]  # fixtures of several tiers

# What they assert is told as if a test did.
pytest.register_assert_rewrite("tests.faults.scene", "tests.faults.moments")
