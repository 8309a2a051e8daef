"""The cluster's control groups, and what is mounted."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from harness.cluster.settings import CGROUP


def make_cgroups() -> None:
    for hierarchy in cgroup_hierarchies():
        (hierarchy / CGROUP).mkdir(exist_ok=True)


def remove_cgroups() -> None:
    """From the leaves up. A group is free a moment after its last process has ended."""
    until = time.monotonic() + 5
    for hierarchy in mounts("cgroup", "cgroup2"):  # runc makes its groups in all
        for group in sorted(hierarchy.glob(f"{CGROUP}/**/"), reverse=True):
            while group.exists() and time.monotonic() < until:
                with contextlib.suppress(OSError):
                    group.rmdir()
                    break
                time.sleep(0.02)


def cgroup_hierarchies() -> list[Path]:
    """Those of version 1: one for each controller."""
    return mounts("cgroup")


def mounts(*kinds: str) -> list[Path]:
    """Where something is mounted, in the order of the mounting."""
    lines = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return [Path(words[1]) for words in lines if not kinds or words[2] in kinds]
