"""What the checkout consists of: the digest by which the ledger knows a source tree, and its commits."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from running.processes import ROOT

LEDGER = "tests/proven.json"
# What runs write into the checkout: the ledger, and the benchmarks' figures.
WRITTEN_BY_RUNS = frozenset(
    {
        LEDGER,
        "images/README.md",
        "tests/benchmark/README.md",
        "tests/benchmark/burst.svg",
        "tests/benchmark/burst_cluster.svg",
    }
)
_DIGEST_LETTERS = 20
_GIT_SECONDS = 60


def digest(root: Path = ROOT, below: Sequence[str] = ()) -> str:
    """Return the digest of all tracked and new files but those that runs write, or of those below some paths.

    A commit's digest is that of its clean checkout. "" if this is no checkout.
    """
    found = hashlib.sha256()
    if not (listed := _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *below)):
        return ""
    for name in sorted(set(listed.split("\0")) - WRITTEN_BY_RUNS - {""}):
        path = root / name
        if path.is_symlink():
            kind, content = "link", str(path.readlink()).encode()
        elif path.is_file():
            kind, content = "program" if os.access(path, os.X_OK) else "file", path.read_bytes()
        else:
            continue  # deleted, and not yet committed
        found.update(f"{kind} {name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return found.hexdigest()[:_DIGEST_LETTERS]


def is_clean(root: Path = ROOT) -> bool:
    """Whether the checkout is its commit, apart from what runs write."""
    changed = _git(root, "status", "--porcelain", "--", ".", *(f":(exclude){name}" for name in WRITTEN_BY_RUNS))
    return bool(commit(root)) and not changed


def commit(root: Path = ROOT) -> str:
    """Return the commit that is checked out, or ""."""
    return _git(root, "rev-parse", "HEAD").strip()


@cache
def commits_since(earlier: str, root: Path = ROOT) -> int | None:
    """Count the commits after an earlier one; None if this checkout does not know it."""
    counted = _git(root, "rev-list", "--count", f"{earlier}..HEAD").strip() if earlier else ""
    return int(counted) if counted else None


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
