"""What the Spark image's kernels find when they start: which Spark, and what configuration."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from stateroom.images.sources import folder_of

PROGRAM = folder_of("unified-spark") / "bin" / "with-spark.py"
LONG_AGO = time.time() - 3600


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("with_spark", PROGRAM)
    assert isinstance(spec, ModuleSpec)
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["with_spark"] = module  # where its data classes look for their own module
    spec.loader.exec_module(module)
    return module


with_spark = loaded()


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image's own Spark, and less patience."""
    monkeypatch.setattr(with_spark, "OWN_SPARK", apache(tmp_path / "own", "4.0.0"))
    monkeypatch.setattr(with_spark, "PATIENCE", 0.3)
    monkeypatch.setattr(with_spark, "SETTLED", 0.1)


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """An admin's Sparks, of which 4.1.0 is current."""
    folder = tmp_path / "versions"
    apache(folder / "4.1.0", "4.1.0")
    (folder / "current").symlink_to("4.1.0")
    return folder


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    folder = tmp_path / "configuration"
    folder.mkdir()
    write(folder / "spark-defaults.conf", "spark.executor.memory 3g\n")
    return settled(folder)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp" / f"spark-kernel-{os.getpid()}-2"


def apache(home: Path, version: str) -> Path:
    """A Spark as Apache lays it out."""
    write(home / "python" / "pyspark" / "version.py", f'__version__: str = "{version}"\n')
    write(home / "python" / "lib" / "py4j-0.10.9.9-src.zip", "")
    (home / "jars").mkdir()
    return home


def by_pip(site: Path, version: str) -> Path:
    """A Spark as pip lays it out, beside other packages."""
    home = site / "pyspark"
    write(home / "version.py", f'__version__ = "{version}"\n')
    write(home / "python" / "pyspark" / "shell.py", "")
    write(home / "python" / "lib" / "py4j-0.10.9.9-src.zip", "")
    (home / "jars").mkdir()
    write(site / "pandas" / "__init__.py", "")
    return home


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def settled(folder: Path) -> Path:
    """The folder, as if its last edit were long ago."""
    for path in (*folder.iterdir(), folder):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return folder


def found(private: Path, versions: Path, configuration: Path, **given: str) -> dict[str, str]:
    """The variables of a kernel that starts now."""
    places = {"STATEROOM_SPARK": str(versions), "SPARK_CONF_DIR": str(configuration)}
    environment, _ = with_spark.environment_now({**places, **given}, private)
    return dict(environment)


def defaults(environment: Mapping[str, str]) -> str:
    return (Path(environment["SPARK_CONF_DIR"]) / "spark-defaults.conf").read_text()


class TestSpark:
    def test_it_is_what_the_link_leads_to_and_not_the_link(
        self, private: Path, versions: Path, configuration: Path
    ) -> None:
        environment = found(private, versions, configuration, PYTHONPATH="/mine", PATH="/bin")
        home = (versions / "4.1.0").resolve()
        assert environment["SPARK_HOME"] == str(home)
        assert environment["PYTHONPATH"] == f"{home}/python:{home}/python/lib/py4j-0.10.9.9-src.zip:/mine"
        assert environment["PATH"] == f"{home}/bin:/bin"
        assert environment["STATEROOM_SPARK_WARNING"] == ""

    def test_of_what_pip_installed_nothing_but_spark_is_seen(
        self, private: Path, versions: Path, configuration: Path, tmp_path: Path
    ) -> None:
        home = by_pip(tmp_path / "site-packages", "4.2.0")
        (versions / "current").unlink()
        (versions / "current").symlink_to(home)
        environment = found(private, versions, configuration)
        assert environment["SPARK_HOME"] == str(home)
        python, py4j = map(Path, environment["PYTHONPATH"].split(":"))
        assert [path.name for path in python.iterdir()] == ["pyspark"]
        assert (python / "pyspark" / "version.py").is_file()
        assert py4j.is_file()

    @pytest.mark.parametrize(
        ("spoilt", "said"),
        [
            ("rm -r current", "current: No such file or directory"),
            ("rm current; ln -s current current", "link"),
            ("rm -r 4.1.0/jars", "has no jars"),
            ("rm -r 4.1.0/python/pyspark", "has no python/pyspark"),
            ("rm -r 4.1.0/python/lib", "has no python/lib/py4j"),
            ("echo > 4.1.0/python/pyspark/version.py", "names no version"),
        ],
    )
    def test_the_images_own_takes_the_place_of_one_that_cannot_be_used_and_the_user_is_told(
        self, private: Path, versions: Path, configuration: Path, spoilt: str, said: str
    ) -> None:
        subprocess.run(spoilt, shell=True, cwd=versions, check=True, timeout=120)
        environment = found(private, versions, configuration)
        assert environment["SPARK_HOME"] == str(with_spark.OWN_SPARK)
        assert said in environment["STATEROOM_SPARK_WARNING"]
        assert environment["STATEROOM_SPARK_WARNING"].endswith("This is the image's own Spark 4.0.0 instead.")

    def test_without_any_spark_there_is_a_kernel(
        self, private: Path, tmp_path: Path, configuration: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(with_spark, "OWN_SPARK", tmp_path / "gone")
        environment = found(private, tmp_path / "nothing", configuration)
        assert "SPARK_HOME" not in environment
        assert "Nor can the image's own" in environment["STATEROOM_SPARK_WARNING"]

    def test_an_admins_words_about_python_and_scratch_space_stay(
        self, private: Path, versions: Path, configuration: Path
    ) -> None:
        environment = found(private, versions, configuration, PYSPARK_PYTHON="/x/python", SPARK_LOCAL_DIRS="/scratch")
        assert environment["PYSPARK_PYTHON"] == "/x/python"
        assert "SPARK_LOCAL_DIRS" not in environment
        assert environment["PYSPARK_DRIVER_PYTHON"] == "/opt/stateroom/bin/python"


class TestConfiguration:
    def test_a_copy_stays_as_it_is(self, private: Path, versions: Path, configuration: Path) -> None:
        environment = found(private, versions, configuration)
        write(configuration / "spark-defaults.conf", "spark.executor.memory 4g\n")
        assert defaults(environment) == "spark.executor.memory 3g\n"
        assert environment["SPARK_LOCAL_DIRS"].startswith(str(private))

    def test_the_drivers_memory_is_half_of_the_servers(
        self, private: Path, versions: Path, configuration: Path
    ) -> None:
        environment = found(private, versions, configuration, MEM_LIMIT=str(8 * 2**30))
        assert defaults(environment).split() == ["spark.executor.memory", "3g", "spark.driver.memory", "4096m"]

    @pytest.mark.parametrize(("limit", "memory"), [("", ""), ("much", ""), (str(2**29), "512m"), (str(2**31), "1024m")])
    def test_the_drivers_memory(self, limit: str, memory: str) -> None:
        assert with_spark.driver_memory(limit) == memory

    @pytest.mark.parametrize("line", ["spark.driver.memory 7g", "spark.driver.memory=7g", "  spark.driver.memory: 7g"])
    def test_what_it_says_itself_counts(self, private: Path, versions: Path, configuration: Path, line: str) -> None:
        write(configuration / "spark-defaults.conf", f"# spark.local.dir /no\n{line}\nspark.local.dir /scratch")
        settled(configuration)
        environment = found(private, versions, configuration, MEM_LIMIT=str(8 * 2**30))
        assert "4096m" not in defaults(environment)
        assert "SPARK_LOCAL_DIRS" not in environment

    @pytest.mark.parametrize("line", ["spark.remote sc://a:1", "spark.remote = sc://a:1 ", "\tspark.remote:sc://a:1"])
    def test_a_server_of_spark_connect_is_named_to_python_too(
        self, private: Path, versions: Path, configuration: Path, line: str
    ) -> None:
        write(configuration / "spark-defaults.conf", f"\n{line}\nspark.x 1\n")
        settled(configuration)
        assert found(private, versions, configuration)["SPARK_REMOTE"] == "sc://a:1"

    def test_a_mounted_configmap_is_read_through_its_links(self, private: Path, versions: Path, tmp_path: Path) -> None:
        mount = tmp_path / "mount"
        write(mount / "..2026" / "spark-defaults.conf", "spark.a 1\n")
        (mount / "..data").symlink_to("..2026")
        (mount / "spark-defaults.conf").symlink_to("..data/spark-defaults.conf")
        settled(mount)
        environment = found(private, versions, mount)
        assert defaults(environment) == "spark.a 1\n"
        assert [path.name for path in Path(environment["SPARK_CONF_DIR"]).iterdir()] == ["spark-defaults.conf"]

    def test_one_that_is_being_written_is_waited_for(
        self, private: Path, versions: Path, configuration: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(with_spark, "PATIENCE", 5)
        monkeypatch.setattr(with_spark, "SETTLED", 0.5)
        write(configuration / "spark-defaults.conf", "spark.exec")
        rest = threading.Timer(0.1, write, (configuration / "spark-defaults.conf", "spark.executor.memory 4g\n"))
        rest.start()
        environment = found(private, versions, configuration)
        rest.join(30)
        assert defaults(environment) == "spark.executor.memory 4g\n"

    @pytest.mark.parametrize("spoilt", ["rm -r .", "mv spark-defaults.conf x; ln -s y spark-defaults.conf"])
    def test_a_kernel_starts_without_one_that_cannot_be_read_and_the_user_is_told(
        self, private: Path, versions: Path, configuration: Path, spoilt: str
    ) -> None:
        subprocess.run(
            spoilt.replace("-r .", f"-r {configuration}"), shell=True, cwd=configuration, check=True, timeout=120
        )
        environment = found(private, versions, configuration)
        assert "configuration cannot be used" in environment["STATEROOM_SPARK_WARNING"]
        assert "No such file" in environment["STATEROOM_SPARK_WARNING"]
        assert environment["SPARK_HOME"] == str((versions / "4.1.0").resolve())
        assert list(Path(environment["SPARK_CONF_DIR"]).iterdir()) == []

    def test_a_disk_that_takes_nothing_leaves_a_kernel(
        self, versions: Path, configuration: Path, tmp_path: Path
    ) -> None:
        write(tmp_path / "file", "")
        environment = found(tmp_path / "file" / "x", versions, configuration)
        assert list(environment) == ["STATEROOM_SPARK_WARNING"]
        assert "could not be written" in environment["STATEROOM_SPARK_WARNING"]


def test_what_kernels_that_ended_left_goes_with_the_next_start(
    private: Path, versions: Path, configuration: Path
) -> None:
    gone = 2**22 + 1  # no process has a number so high
    ended, survived = (private.parent / f"spark-kernel-{gone}-{time}" for time in (1, 2))
    running = private.parent / f"spark-kernel-{os.getpid()}-1"
    for folder in (ended, survived, running):
        write(folder / "local" / "blocks", "")
    with subprocess.Popen(["sleep", "60"], env={"SPARK_CONF_DIR": f"{survived}/conf"}) as left_behind:
        found(private, versions, configuration)
        left_behind.kill()
    assert not ended.exists()
    assert running.exists()
    assert survived.exists()


def test_it_becomes_the_command(versions: Path, configuration: Path) -> None:
    places = {"STATEROOM_SPARK": str(versions), "SPARK_CONF_DIR": str(configuration), "PATH": os.environ["PATH"]}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-IS", str(PROGRAM), *command]
        return subprocess.run(program, env=places, capture_output=True, text=True, check=False, timeout=120)

    outcome = run("sh", "-c", "echo $SPARK_HOME; exit 3")
    assert (outcome.returncode, outcome.stdout) == (3, f"{(versions / '4.1.0').resolve()}\n")
    assert outcome.stderr == f"Spark 4.1.0 at {(versions / '4.1.0').resolve()}, configured by {configuration}.\n"
    assert "could not run nosuch: No such file" in run("nosuch").stderr
    assert "name one" in run().stderr
