"""What every suite shares: hostile values are tried the same way on every run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

# No examples are kept between runs: a test fails everywhere or nowhere.
# `--hypothesis-profile=nightly` tries more of them.
settings.register_profile("ci", derandomize=True, database=None, deadline=None, max_examples=25)
settings.register_profile("nightly", settings.get_profile("ci"), max_examples=500)
settings.load_profile("ci")
set_hypothesis_home_dir(Path(__file__).parent.parent / ".cache" / "hypothesis")

# Fixtures and options of several suites.
pytest_plugins = ["harness.chromium", "harness.figures", "harness.loop_clock", "harness.partition"]

# What they assert is told as if a test did.
pytest.register_assert_rewrite("tests.faults.scene", "tests.faults.moments")
