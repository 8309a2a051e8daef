"""The image with Spark: a kernel finds the Spark and the configuration that are current when it starts."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from harness.images import engine_with, misfits
from harness.kernels import KernelAt
from stateroom.images.sources import UNIFIED, UNIFIED_SPARK, unified_spark

DOCUMENTATION = Path(__file__).parents[2] / "images" / "README.md"
HARDENED = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "init": True}
LIMITS = {"mem_limit": 2**31, "cpu_period": 100_000, "cpu_quota": 150_000}
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # halves the time until a first result, in Java's own words
PATIENCE = 60  # seconds; the first session of a Spark takes ten

TOKEN = "known"
SESSION = "from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n"
TELL = f"""{SESSION}
import pyspark
print("\\ntold", pyspark.__version__, spark.version, spark.conf.get("spark.sql.shuffle.partitions"))
"""
JOBS = f"""{SESSION}
import json
import pandas
from pyspark.sql.functions import pandas_udf

@pandas_udf("long")
def plus(values: pandas.Series) -> pandas.Series:
    return values + 1

context = spark.sparkContext
found = dict(
    threads=context.defaultParallelism,
    memory=spark.conf.get("spark.driver.memory"),
    udf=spark.range(4).select(plus("id").alias("x")).agg({{"x": "sum"}}).first()[0],
    rdd=context.parallelize(range(4)).map(lambda x: x * x).sum(),
    frame=len(spark.createDataFrame(pandas.DataFrame({{"a": [1, 2, 3]}})).toPandas()),
)
print("\\nfound", json.dumps(found))
"""

CONFIGURE = """
printf 'spark.sql.shuffle.partitions {}\\n' > /etc/spark/conf/.new
mv /etc/spark/conf/.new /etc/spark/conf/spark-defaults.conf
"""

# Another Spark beside the image's: the same, but for its Python and for the jar that knows the version of its Java.
OTHER_SPARK = r"""
mkdir -p /srv/spark/other/jars
cd /srv/spark/other
ln -s /opt/spark/bin bin
ln -s /opt/spark/jars/*.jar jars
cp -r /opt/spark/python python
echo '__version__ += ".other"' >> python/pyspark/version.py
python - <<'END'
import pathlib, re, zipfile
(link,) = pathlib.Path("jars").glob("spark-common-utils_*.jar")
original = link.resolve()
link.unlink()
with zipfile.ZipFile(original) as old, zipfile.ZipFile(link, "w") as new:
    for name in old.namelist():
        content = old.read(name)
        if name == "spark-version-info.properties":
            content = re.sub(rb"(?m)^version=.*$", lambda found: found[0] + b".other", content)
        new.writestr(name, content)
END
ln -sfn other /srv/spark/current
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker.DockerClient]:
    """An engine that has the image of these files."""
    with engine_with(tmp_path_factory.mktemp("image") / "build.log", unified_spark()) as engine:
        yield engine


@pytest.fixture(scope="module")
def server(engine: docker.DockerClient) -> Iterator[Container]:
    """A notebook server that answers, with a server's limits."""
    environment = {"JUPYTER_TOKEN": TOKEN, "MEM_LIMIT": str(LIMITS["mem_limit"]), "JDK_JAVA_OPTIONS": SHORT_LIVED}
    found = engine.containers.run(UNIFIED_SPARK, detach=True, environment=environment, **HARDENED, **LIMITS)
    try:
        end = time.monotonic() + PATIENCE
        while run(found, "jupyter", "server", "list", "--jsonlist") == "[]":
            assert time.monotonic() < end, found.logs().decode()
        yield found
    finally:
        found.remove(force=True, v=True)


@pytest.fixture
def new_kernel(server: Container) -> Iterator[Callable[[], KernelAt]]:
    """What starts a kernel that can use Spark; all are stopped afterwards, for each takes half a gigabyte."""
    server.reload()
    address = next(iter(server.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
    kernels: list[KernelAt] = []

    def start() -> KernelAt:
        kernels.append(KernelAt(f"http://{address}:8888", TOKEN, "pyspark"))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.stop()


def run(where: Container, *command: str, **options: str) -> str:
    code, output = where.exec_run(list(command), **options)
    text = output.decode().strip()
    assert code == 0, text
    return text


def as_admin(where: Container, script: str) -> str:
    """What is done here to the folders' content, an admin does to the volumes mounted there."""
    return run(where, "sh", "-ec", script, user="0")


def told(by: KernelAt) -> list[str]:
    """The version of the kernel's Spark, by its Python and its Java, and the setting that the test changes."""
    (line,) = re.findall(r"^told (.*)$", by.run(TELL), flags=re.MULTILINE)
    return line.split()


def test_the_kernels_are_the_documented_ones(server: Container) -> None:
    found = json.loads(run(server, "jupyter", "kernelspec", "list", "--json"))["kernelspecs"]
    assert sorted(found) == sorted(server.image.labels["io.stateroom.kernels"].split())
    assert "and `pyspark`" in DOCUMENTATION.read_text()


def test_its_packages_fit_together_and_nothing_of_the_build_is_left(server: Container) -> None:
    assert misfits(server) == []
    search = "find / -xdev -path /home -prune -o -name ca.crt -print -o -path /build -print -o -name 'pandas-3*' -print"
    assert as_admin(server, search) == ""
    assert as_admin(server, "for tool in cc gcc make javac uv; do ! command -v $tool; done") == ""
    assert as_admin(server, "ls -A /etc/spark/conf /srv/spark/") == "/etc/spark/conf:\n\n/srv/spark/:\ncurrent"


def test_the_versions_on_the_label_are_true(engine: docker.DockerClient, server: Container) -> None:
    below = engine.images.get(UNIFIED).labels["io.stateroom.versions"]
    said = run(server, "sh", "-c", "with-spark spark-submit --version 2>&1")
    spark = re.findall(r"version (4[\d.]+)", said)[0]
    java = re.findall(r"OpenJDK 64-Bit Server VM, (\d+)", said)[0]
    labelled = server.image.labels["io.stateroom.versions"]
    assert labelled == f"{below} spark={spark} java={java}"
    assert f"`{labelled}`" in DOCUMENTATION.read_text()


def test_the_bill_of_materials_is_that_of_the_whole_image(server: Container) -> None:
    bill = json.loads(run(server, "cat", "/opt/stateroom/share/sbom.json"))
    assert bill["metadata"]["component"]["name"] == "stateroom/unified-spark"
    billed: dict[str, set[str]] = {}
    for part in bill["components"]:
        billed.setdefault(part["purl"].split("/")[0], set()).add(f"{part['name']} {part['version']}")
    listed = json.loads(run(server, "pip", "list", "--format", "json"))
    python = {f"{found['name']} {found['version']}" for found in listed}
    (spark,) = billed["pkg:pypi"] - python
    assert spark.startswith("pyspark 4.")
    assert python <= billed["pkg:pypi"]
    debian = run(server, "dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n").splitlines()
    assert billed["pkg:deb"] == set(debian)
    jars = run(server, "sh", "-c", "ls /opt/spark/jars/*.jar").splitlines()
    assert len(billed["pkg:maven"] | billed["pkg:generic"]) == len(jars)
    assert len(billed["pkg:maven"]) > 200


def test_jobs_run_in_the_servers_limits_with_python_and_pandas(new_kernel: Callable[[], KernelAt]) -> None:
    said = new_kernel().run(JOBS)
    (found,) = re.findall(r"^found (.*)$", said, flags=re.MULTILINE)
    assert json.loads(found) == {"threads": 2, "memory": "1024m", "udf": 10, "rdd": 14, "frame": 3}
    assert "FutureWarning" not in said


def test_a_move_of_current_and_an_edit_reach_new_kernels_and_not_running_ones(
    server: Container, new_kernel: Callable[[], KernelAt]
) -> None:
    before = first_process(server)
    as_admin(server, CONFIGURE.format(5))
    busy, waiting = new_kernel(), new_kernel()
    first = told(busy)
    version = first[0]
    assert first == [version, version, "5"]
    assert "up" in waiting.run("print('up')")

    as_admin(server, OTHER_SPARK)
    as_admin(server, CONFIGURE.format(7))
    new = new_kernel()
    assert told(new) == [f"{version}.other", f"{version}.other", "7"]
    assert new.run("print(spark.range(5).count())").split()[-1] == "5"
    assert told(busy) == first
    busy.run("spark.stop()\nprint('stopped')")
    assert told(waiting) == first  # although it starts its Spark only now
    assert first_process(server) == before


def first_process(server: Container) -> tuple[int, str]:
    """The number of a container's first process, and when it began."""
    server.reload()
    state = server.attrs["State"]
    return state["Pid"], state["StartedAt"]


def test_a_kernel_without_a_usable_current_has_the_images_own_and_says_so(
    server: Container, new_kernel: Callable[[], KernelAt]
) -> None:
    as_admin(server, "ln -sfn /srv/spark/gone /srv/spark/current")
    kernel = new_kernel()
    said = kernel.run("print('hello')")
    assert "The Spark that /srv/spark/current names cannot be used" in said
    assert "hello" in said
    assert kernel.run("print('again')") == "again\n"
