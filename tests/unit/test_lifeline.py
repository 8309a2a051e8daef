"""A process that is tied to its parent does not outlive it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.hub import wait_for

TIED = "import os, sys, time; from stateroom.common.parent_death import end_with_parent"
CHILD = f"{TIED}; end_with_parent(os.getppid()); print(os.getpid(), flush=True); time.sleep(60)"
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def test_it_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        parent.kill()
    wait_for(lambda: not runs(child), "the child's end", seconds=20)


def test_it_ends_at_once_when_its_parent_has_ended_already() -> None:
    late = f"{TIED}; end_with_parent({os.getpid() + 1}); print('goes on')"
    outcome = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True, check=False, timeout=120)
    assert (outcome.returncode, outcome.stdout) == (0, "")


def runs(pid: int) -> bool:
    """Whether a process runs still; a dead one may wait for a parent that nobody gave it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
