"""What the ledger keeps, and what it says of a release."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from running import ledger, source_tree
from running.ledger import Ledger, Proof, as_line, from_log, results, why_due
from running.outcome import Outcome

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
PROOF = Proof("unit", "2026-11-30T12:00:00+00:00", "c0ffee", "1234", 10, 0, 1.0, 60.0)


def ago(days: float) -> Proof:
    return replace(PROOF, date=(NOW - timedelta(days=days)).isoformat())


def test_only_what_passed_whole_is_proven() -> None:
    outcomes = [
        Outcome("unit", passed=3, setup_seconds=1.04, test_seconds=20),
        Outcome("hub", passed=3, failed=["test_bad"]),
        Outcome("browser", passed=3, skipped=["test_away"]),
        Outcome("faults/1", postponed="no time"),
        Outcome("faults/2", failed=["test_bad"], postponed="cut off"),
    ]
    found = results(outcomes, "1234", "c0ffee", {"unit": "abcd"})
    assert [(proof.job, proof.tree, proof.commit, proof.passed) for proof in found.proofs] == [
        ("unit", "1234", "c0ffee", 3)
    ]
    assert (found.proofs[0].setup_seconds, found.proofs[0].test_seconds, found.proofs[0].inputs) == (1.0, 20, "abcd")
    assert list(found.postponed) == ["faults/1"]


def test_parts_add_up_for_one_tree() -> None:
    known = Ledger()
    known.add([replace(PROOF, job="faults/1")], {})
    known.add([replace(PROOF, job="faults/2"), replace(PROOF, job="faults/3", tree="5678")], {})
    assert known.proven_for("1234") == {"faults/1", "faults/2"}


def test_what_was_postponed_is_so_until_it_is_proven() -> None:
    known = Ledger()
    known.add([PROOF], {"unit": "2026-12-01T00:00:00+00:00"})
    assert list(known.postponed) == ["unit"]
    known.add([replace(PROOF, date="2026-12-02T00:00:00+00:00")], {})
    assert known.postponed == {}
    known.add([], {"unit": "2026-12-01T00:00:00+00:00"})  # a log that is recorded late
    assert known.postponed == {}


def test_the_newest_proofs_are_kept_and_twice_the_same_is_once() -> None:
    known = Ledger()
    for _ in range(2):
        known.add([ago(days) for days in range(9)], {})
    assert len(known.proofs) == 5
    assert known.last("unit") == ago(0)
    assert known.last("hub") is None


@pytest.mark.parametrize(
    ("proof", "commits", "inputs", "reason"),
    [
        (None, 0, "", "never proven"),
        (ago(1), 3, "", ""),
        (ago(8), 3, "", "proven 8 days ago"),
        (ago(1), 31, "", "proven 31 commits ago"),
        (ago(1), None, "", "proven on a commit that is not in this history"),
        (ago(1), 3, "changed", "its inputs have changed"),
    ],
)
def test_what_is_old_or_not_known_is_due(proof: Proof | None, commits: int | None, inputs: str, reason: str) -> None:
    assert why_due(proof, NOW, lambda _: commits, inputs) == reason


def test_a_ledger_is_read_as_it_was_written_with_a_line_for_each_entry(tmp_path: Path) -> None:
    known = Ledger()
    known.add([PROOF, replace(PROOF, job="hub")], {"soak": "2026-12-01T00:00:00+00:00"})
    path = tmp_path / "proven.json"
    ledger.write(path, known)
    assert ledger.read(path) == known
    assert len([line for line in path.read_text().splitlines() if '"job"' in line]) == 2
    ledger.write(path, Ledger())
    assert ledger.read(path) == Ledger() == ledger.read(tmp_path / "missing.json")


def test_results_are_found_in_a_log() -> None:
    found = Ledger([PROOF], {"soak": "2026-12-01T00:00:00+00:00"})
    log = f"tests/unit ...\n2026-12-01 12:00 {as_line(found)}\x1b[0m\nledger: of something else\n1 passed\n"
    assert from_log(log) == [found]


# The source tree


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "tests").mkdir()
    (tmp_path / "code.py").write_text("1\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "-C", folder, *identity, *words], check=True, timeout=30)


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=x")


def test_what_runs_write_and_ignored_files_are_no_part_of_the_source_tree(checkout: Path) -> None:
    before = source_tree.digest(checkout)
    (checkout / source_tree.LEDGER).write_text("{}")
    (checkout / "images").mkdir()
    (checkout / "images" / "README.md").write_text("3.1 s")
    (checkout / "run.log").write_text("x")
    assert source_tree.digest(checkout) == before
    assert source_tree.is_clean(checkout)
    commit(checkout)
    assert source_tree.digest(checkout) == before


def test_each_other_change_is_another_source_tree(checkout: Path) -> None:
    digests = [source_tree.digest(checkout)]
    (checkout / "code.py").chmod(0o755)
    digests.append(source_tree.digest(checkout))
    (checkout / "code.py").write_text("2\n")
    digests.append(source_tree.digest(checkout))
    (checkout / "new.py").write_text("3\n")
    digests.append(source_tree.digest(checkout))
    assert not source_tree.is_clean(checkout)
    (checkout / "code.py").unlink()
    digests.append(source_tree.digest(checkout))
    assert len({*digests, ""}) == 6
    commit(checkout)
    assert source_tree.digest(checkout) == digests[-1]


def test_the_digest_of_some_paths_is_theirs_alone(checkout: Path) -> None:
    (checkout / "images").mkdir()
    (checkout / "images" / "Dockerfile").write_text("FROM scratch")
    before = source_tree.digest(checkout, ["images"])
    (checkout / "code.py").write_text("2\n")
    assert source_tree.digest(checkout, ["images"]) == before
    (checkout / "images" / "Dockerfile").write_text("FROM base")
    assert source_tree.digest(checkout, ["images"]) != before


def test_commits_are_counted_where_they_are_known(checkout: Path) -> None:
    first = source_tree.commit(checkout)
    (checkout / "code.py").write_text("2\n")
    commit(checkout)
    assert source_tree.commits_since(first, checkout) == 1
    assert source_tree.commits_since("0" * 40, checkout) is None
    assert source_tree.commits_since("", checkout) is None


def test_a_folder_that_is_no_checkout_has_no_digest(tmp_path: Path) -> None:
    assert (source_tree.digest(tmp_path), source_tree.commit(tmp_path)) == ("", "")
    assert not source_tree.is_clean(tmp_path)


def test_what_runs_write_is_in_the_checkout() -> None:
    assert [name for name in source_tree.WRITTEN_BY_RUNS if not (source_tree.ROOT / name).exists()] == []
