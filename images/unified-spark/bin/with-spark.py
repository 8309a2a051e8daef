#!/opt/stateroom/bin/python -IS
"""Run a command, such as a kernel, with the Spark and the configuration that are current now.

`with-spark COMMAND ...` looks both up once and becomes the command. What changes
later reaches what is started later, and never what runs: Spark is the folder
that the link `current` leads to, not the link, and the configuration is a copy.

What cannot be used is left aside for the image's own, for a person shall get a
kernel. STATEROOM_SPARK_WARNING then says so; our Python kernel shows it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OWN_SPARK = Path("/opt/spark")
VERSIONS = "/srv/spark"  # the folder with `current`, unless STATEROOM_SPARK names another
CONFIGURATION = "/etc/spark/conf"  # unless SPARK_CONF_DIR, which is Spark's own word for it, names another
PYTHON = "/opt/stateroom/bin/python"
PRIVATE = "/tmp/spark-kernel-"  # noqa: S108 - nobody else is in the container; the process's number and a time follow

SETTLED = 0.5  # seconds since the last edit, after which a configuration counts as written
PATIENCE = 3  # seconds until it must have settled
LEAST_HEAP = 512  # MiB; Spark itself refuses less than 450

VERSION = re.compile(r"^__version__.*=\s*[\"']([^\"']+)", re.MULTILINE)
SETTING = re.compile(r"^[ \t]*([^\s=:#!]+)[ \t]*[=:]?[ \t]*(.*?)[ \t]*$", re.MULTILINE)


class Unusable(Exception):
    """A Spark or a configuration that cannot be used, and why."""


@dataclass(frozen=True, slots=True)
class Spark:
    """One Spark, by the folder that it is really in."""

    home: Path
    package: Path  # `pyspark`, for Python
    py4j: Path
    version: str


def main(command: list[str], given: Mapping[str, str]) -> None:
    """Become the command."""
    if not command:
        sys.exit("with-spark runs a command with the current Spark; name one, such as: with-spark spark-submit job.py")
    environment, chosen = environment_now(given, Path(f"{PRIVATE}{os.getpid()}-{time.time_ns()}"))
    sys.stderr.write(f"{chosen} {environment['STATEROOM_SPARK_WARNING']}".rstrip() + "\n")
    os.environ.update(environment)  # the command is looked for on the new path
    try:
        os.execvp(command[0], command)  # noqa: S606 - there is no shell on purpose
    except OSError as error:
        sys.exit(f"with-spark could not run {command[0]}: {error.strerror}.")


def environment_now(given: Mapping[str, str], private: Path) -> tuple[dict[str, str], str]:
    """The variables that a command is given beside those that are there, and what was chosen, for the log."""
    warnings: list[str] = []
    spark = current_spark(Path(given.get("STATEROOM_SPARK", VERSIONS)) / "current", warnings)
    configuration = Path(given.get("SPARK_CONF_DIR", CONFIGURATION))
    environment = {}
    try:
        make_private(private)
        settings = write_configuration(configuration, private / "conf", given.get("MEM_LIMIT", ""), warnings)
        environment["SPARK_CONF_DIR"] = str(private / "conf")
        if "spark.local.dir" not in settings and "SPARK_LOCAL_DIRS" not in given:
            environment["SPARK_LOCAL_DIRS"] = str(private / "local")
        if "spark.remote" in settings and "SPARK_REMOTE" not in given:
            # Spark's client in Python reads no file.
            environment["SPARK_REMOTE"] = settings["spark.remote"]
        if spark:
            environment |= variables(spark, private, given)
    except OSError as error:
        warnings.append(f"Spark cannot be used: {error.filename or private} could not be written: {error.strerror}.")
    environment["STATEROOM_SPARK_WARNING"] = " ".join(warnings)
    chosen = f"Spark {spark.version} at {spark.home}" if spark else "No Spark"
    return environment, f"{chosen}, configured by {configuration}."


def current_spark(link: Path, warnings: list[str]) -> Spark | None:
    """What the link leads to, else the image's own."""
    try:
        return spark_at(link)
    except Unusable as error:
        warnings.append(f"The Spark that {link} names cannot be used: {error}.")
    try:
        own = spark_at(OWN_SPARK)
    except Unusable as error:
        warnings.append(f"Nor can the image's own: {error}.")
        return None
    warnings.append(f"This is the image's own Spark {own.version} instead.")
    return own


def spark_at(place: Path) -> Spark:
    """The Spark there, laid out as Apache's archive is or as pip installs it. Raises Unusable."""
    try:
        home = place.resolve(strict=True)
        package = next((path for path in (home / "python" / "pyspark", home) if (path / "version.py").is_file()), None)
        if package is None:
            raise Unusable(f"{home} has no python/pyspark")
        if not (home / "jars").is_dir():
            raise Unusable(f"{home} has no jars")
        py4j = next(iter(sorted((home / "python" / "lib").glob("py4j-*-src.zip"))), None)
        if py4j is None:
            raise Unusable(f"{home} has no python/lib/py4j-*-src.zip")
        version = VERSION.search((package / "version.py").read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise Unusable(f"{error.filename or place}: {error.strerror}") from error
    except RuntimeError as error:
        raise Unusable(f"{place} is a link to itself") from error  # as Python before 3.13 has it
    if version is None:
        raise Unusable(f"{package / 'version.py'} names no version")
    return Spark(home, package, py4j, version[1])


def make_private(folder: Path) -> None:
    """A folder of this process's own. Those that nobody uses any more go, and with them what Spark left there."""
    others = list(folder.parent.glob(f"{Path(PRIVATE).name}*"))
    used = environments() if others else b""
    for other in others:
        # The process itself may have left others behind, which are told by their variables.
        number = other.name.split("-")[2]
        if not Path("/proc", number).exists() and f"SPARK_CONF_DIR={other}/".encode() not in used:
            shutil.rmtree(other, ignore_errors=True)
    folder.mkdir(mode=0o700)


def environments() -> bytes:
    """The variables of all processes, as far as they are ours."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue  # it has ended, or is somebody else's
    return b"".join(found)


def write_configuration(source: Path, target: Path, memory_limit: str, warnings: list[str]) -> dict[str, str]:
    """Copy the configuration, completed by what fits this server; the settings that it makes itself."""
    try:
        copy_settled(source, target)
    except Unusable as error:
        target.mkdir()
        warnings.append(f"Spark's configuration cannot be used: {error}. Spark runs without it.")
    defaults = target / "spark-defaults.conf"
    # Bytes that are no UTF-8 come out as they went in.
    text = defaults.read_text(encoding="utf-8", errors="surrogateescape") if defaults.exists() else ""
    settings = dict(SETTING.findall(text))
    heap = driver_memory(memory_limit)
    if heap and "spark.driver.memory" not in settings:
        defaults.write_text(f"{text}\nspark.driver.memory {heap}\n", encoding="utf-8", errors="surrogateescape")
    return settings


def copy_settled(source: Path, target: Path) -> None:
    """Copy a folder's files as they are at one moment, and not in the middle of an edit. Raises Unusable."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            before = state_of(source)
            settled = not any(0 <= time.time() - time_ns / 1e9 < SETTLED for _, _, time_ns in before.values())
            if settled:
                target.mkdir()
                for path in before:
                    if path != source:
                        shutil.copyfile(path, target / path.name)
                if state_of(source) == before:
                    return
            reason = f"{source} does not stop changing"
        except OSError as error:
            # A file that is just being replaced is there the next time.
            reason = f"{error.filename or source}: {error.strerror}"
        shutil.rmtree(target, ignore_errors=True)
        if time.monotonic() > end:
            raise Unusable(reason)
        time.sleep(0.1)


def state_of(folder: Path) -> dict[Path, tuple[str, int, int]]:
    """Where the folder and its files really are, and their sizes and times of change."""
    # Names that begin with two dots are the inside of a mounted ConfigMap.
    files = (path for path in folder.iterdir() if not path.name.startswith("..") and not path.is_dir())
    found = {path: path.stat() for path in (folder, *files)}
    return {path: (str(path.resolve()), status.st_size, status.st_mtime_ns) for path, status in found.items()}


def driver_memory(limit: str) -> str:
    """Half of the server's memory, the rest being for Python, Lab and what Java needs beside; "" without a limit."""
    return f"{max(LEAST_HEAP, int(limit) // 2**21)}m" if limit.isdecimal() else ""


def variables(spark: Spark, private: Path, given: Mapping[str, str]) -> dict[str, str]:
    """What Spark and Python look for."""
    python = spark.package.parent
    if spark.package == spark.home:
        # Laid out by pip: beside the package are others, which are no business of this kernel's.
        python = private / "python"
        python.mkdir()
        (python / "pyspark").symlink_to(spark.package)
    paths = [str(python), str(spark.py4j), given.get("PYTHONPATH", "")]
    return {
        "SPARK_HOME": str(spark.home),
        "PATH": f"{spark.home / 'bin'}:{given.get('PATH', os.defpath)}",
        "PYTHONPATH": ":".join(path for path in paths if path),
        # The one of the executors may be elsewhere, which an admin knows.
        "PYSPARK_PYTHON": given.get("PYSPARK_PYTHON", PYTHON),
        "PYSPARK_DRIVER_PYTHON": given.get("PYSPARK_DRIVER_PYTHON", PYTHON),
    }


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
