"""Time `./run` on a bare machine, before and after: the first run, the later ones, their phases, and the floor.

Bare is a machine without a container engine, without images, and without caches of packages. The floor is the time
in which the same packages are fetched and unpacked, by as many processes as there are cores, and nothing else is done.
The first run has to take at most a third of the time before, or 1.25 of the floor; a later one, as the median of
seven, at most half.

Nothing of the machine's is removed unless --make-bare asks for it: that removes the container engine with all of its
images, containers and volumes, and the caches, before each first run. It is for root on a machine to throw away.
"""

# ruff: noqa: T201 - it talks to the person who waits

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
IMAGE = "stateroom/unified:1"
PORT = 18080
LATER_RUNS = 7
LONGEST = 1800  # seconds that a run may take
THIRD, OF_THE_FLOOR, HALF = 1 / 3, 1.25, 1 / 2
ENGINE = ("docker.io", "docker-ce", "containerd", "containerd.io", "runc", "mmdebstrap")  # Debian packages
ENGINE_PID = Path("/var/run/docker.pid")
STORES = ("/var/lib/docker", "/var/lib/containerd")
CACHES = (".cache/pip", ".cache/uv", ".cache/ms-playwright", ".npm")  # in the home


@dataclass(frozen=True, slots=True)
class Run:
    """One run of `./run`: the seconds after which each line came; the last says that the hub answers."""

    lines: Sequence[tuple[float, str]]

    @property
    def seconds(self) -> float:
        return self.lines[-1][0]


@dataclass(frozen=True, slots=True)
class Side:
    """A commit, with its first run and its later ones on the same machine."""

    commit: str
    first: Run
    later: Sequence[Run]

    @property
    def second(self) -> float:
        """The median of the later runs, in seconds."""
        return median(run.seconds for run in self.later)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where a target is missed, 2 where the machine is not bare."""
    asked = arguments(words)
    if asked.make_bare and os.geteuid() != 0:
        sys.exit("--make-bare removes Debian packages: run it as root, on a machine to throw away.")
    if not asked.make_bare and (found := in_the_way()):
        print("The machine is not bare. On a machine to throw away, --make-bare removes:")
        print("\n".join(f"  {thing}" for thing in found))
        return 2
    commits = [commit for commit in (asked.before, asked.after) if commit]
    if len(commits) > 1 and not asked.make_bare:
        sys.exit("A second commit needs a machine that is bare again: add --make-bare, or measure one at a time.")
    sides: list[Side] = []
    floor = 0.0
    for commit in commits:
        if asked.make_bare:
            make_bare()
        sides.append(measured(commit))
        print_side(sides[-1])
        if commit == asked.after and not asked.no_floor:
            floor = measured_floor()
            print(f"floor: {floor:.1f} s")
    return 0 if all(verdicts(sides, floor)) else 1


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bare_run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", metavar="COMMIT", help="the commit to compare with; none if left out")
    parser.add_argument("--after", metavar="COMMIT", default="HEAD", help="the commit to measure (HEAD)")
    parser.add_argument("--make-bare", action="store_true", help="remove the engine, its images and all caches first")
    parser.add_argument("--no-floor", action="store_true", help="do not measure the floor")
    return parser.parse_args(words)


def in_the_way() -> list[str]:
    """What a bare machine has not, and this one has."""
    packages = [f"the Debian package {name}" for name in ENGINE if is_installed(name)]
    folders = [str(path) for path in (*map(Path, STORES), *caches()) if path.is_dir() and any(path.iterdir())]
    return [*packages, *folders]


def caches() -> list[Path]:
    return [Path.home() / name for name in CACHES]


def is_installed(package: str) -> bool:
    asked = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout == "installed"


def make_bare() -> None:
    """Remove the engine, which ends its containers, its images, and what package managers keep."""
    for unit in ("docker.socket", "docker", "containerd"):
        subprocess.run(["systemctl", "stop", unit], capture_output=True, check=False)
    end_engine()
    if present := [name for name in ENGINE if is_installed(name)]:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "purge", "--yes", *present], env=quiet, stdout=subprocess.DEVNULL, check=True)
    subprocess.run(["apt-get", "clean"], check=True)
    for folder in (*map(Path, STORES), *caches()):
        shutil.rmtree(folder, ignore_errors=True)
    Path("/var/run/docker.sock").unlink(missing_ok=True)


def end_engine(seconds: float = 60) -> None:
    """End the engine that a run has started without systemd."""
    if not ENGINE_PID.exists():
        return
    pid, until = int(ENGINE_PID.read_text()), time.monotonic() + seconds
    try:
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < until:
            os.kill(pid, 0)
            time.sleep(0.2)
    except ProcessLookupError:
        return
    sys.exit("The Docker engine does not end.")


def measured(commit: str) -> Side:
    """All runs of a commit, in a clone of its own; all that they started is stopped afterwards."""
    with tempfile.TemporaryDirectory(prefix="bare-run-") as folder:
        clone, data = Path(folder) / "clone", Path(folder) / "data"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        # A commit by its own name, since HEAD is another one in a clone.
        name = subprocess.run(
            ["git", "-C", ROOT, "rev-parse", commit], capture_output=True, text=True, check=True
        ).stdout.strip()
        subprocess.run(["git", "-C", clone, "checkout", "--quiet", name], check=True)
        first = timed(clone, data)
        return Side(name[:8], first, [timed(clone, data) for _ in range(LATER_RUNS)])


def timed(clone: Path, data: Path) -> Run:
    """Run `./run` until it says where the hub is, then end it."""
    began = time.monotonic()
    lines: list[tuple[float, str]] = []
    with ended(["./run", "--data", str(data), "--port", str(PORT)], clone) as process:
        assert process.stdout
        for line in process.stdout:
            lines.append((time.monotonic() - began, line.rstrip()))
            if line.startswith("Stateroom "):
                return Run(lines)
    raise SystemExit("\n".join(["`./run` did not bring up a hub:", *(line for _, line in lines)]))


@contextmanager
def ended(command: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    guard = subprocess.Popen(["sh", "-c", f"sleep {LONGEST}; kill {process.pid}"], start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(guard.pid, signal.SIGTERM)
        guard.wait()
        process.terminate()
        process.communicate(timeout=120)


def measured_floor() -> float:
    """Fetch and unpack the packages of the image and of the engine, without the hub's own; the seconds it takes."""
    debian = debian_packages()
    # Stateroom's own package is in no index.
    python = "".join(line for line in in_image("pip", "freeze", "--all").splitlines(True) if "stateroom" not in line)
    with tempfile.TemporaryDirectory(prefix="bare-floor-") as folder:
        subprocess.run([sys.executable, "-m", "venv", f"{folder}/uv"], check=True)
        subprocess.run([f"{folder}/uv/bin/pip", "install", "--quiet", "--no-cache-dir", "uv"], check=True)
        (Path(folder) / "python.lock").write_text(python)
        began = time.monotonic()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            wheels = pool.submit(fetch_wheels, Path(folder))
            list(pool.map(lambda uri: fetch_deb(uri, Path(folder)), debian))
            wheels.result()
        return time.monotonic() - began


def debian_packages() -> list[str]:
    """The addresses of all Debian packages in the image, and of the engine's on this machine."""
    listed = in_image(
        "sh",
        "-c",
        "apt-get update >/dev/null && cd /tmp && "
        "dpkg-query --show --showformat '${Package}=${Version}\\n' | grep -v stateroom-left-out | "
        "xargs apt-get download --print-uris -qq",
    )
    engine = subprocess.run(
        ["apt-get", "download", "--print-uris", "-qq", *(name for name in ENGINE if is_installed(name))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [line.split()[0].strip("'") for line in (*listed.splitlines(), *engine.splitlines()) if line]


def in_image(*command: str) -> str:
    whole = ["docker", "run", "--rm", "--user", "0", "--entrypoint", "", IMAGE, *command]
    return subprocess.run(whole, capture_output=True, text=True, check=True).stdout


def fetch_deb(uri: str, folder: Path) -> None:
    file = folder / uri.rpartition("/")[2]
    subprocess.run(
        ["curl", "--silent", "--fail", "--location", "--retry", "3", "--retry-all-errors", "--output", file, uri],
        check=True,
    )
    subprocess.run(["dpkg-deb", "--extract", file, folder / "debian"], check=True)


def fetch_wheels(folder: Path) -> None:
    command = [f"{folder}/uv/bin/uv", "pip", "install", "--quiet", "--no-deps", "--python-version", "3.13"]
    more = ["--only-binary", ":all:", "--cache-dir", f"{folder}/cache", "--target", f"{folder}/python"]
    subprocess.run([*command, *more, "--requirement", f"{folder}/python.lock"], check=True)


def print_side(side: Side) -> None:
    each = " ".join(f"{run.seconds:.2f}" for run in side.later)
    print(f"{side.commit}, second run: {side.second:.2f} s, the median of {each}")
    for which, run in (("first", side.first), ("second", side.later[0])):
        print(f"{side.commit}, {which} run: {run.seconds:.1f} s")
        for seconds, line in run.lines:
            print(f"  {seconds:7.1f}  {line}")


def verdicts(sides: Sequence[Side], floor: float) -> Iterator[bool]:
    """Print each target with its figure; whether it is met."""
    after = sides[-1]
    before = sides[0] if len(sides) > 1 else None
    ratios: Mapping[str, tuple[float, float]] = {
        **({"first run, of the time before": (after.first.seconds / before.first.seconds, THIRD)} if before else {}),
        **({"first run, of the floor": (after.first.seconds / floor, OF_THE_FLOOR)} if floor else {}),
    }
    for what, (ratio, most) in ratios.items():
        print(f"{what}: {ratio:.2f} (at most {most:.2f})")
    if ratios:
        yield any(ratio <= most for ratio, most in ratios.values())
    if before:
        ratio = after.second / before.second
        print(f"second run, of the time before: {ratio:.2f} (at most {HALF:.2f})")
        yield ratio <= HALF


if __name__ == "__main__":
    sys.exit(main())
