"""`stateroom images check` on an engine: images that are as they should be, and some that are not."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from harness.command import Outcome, run
from harness.images import engine_with
from stateroom.common.labels import HELPER
from stateroom.images.sources import UNIFIED, unified

DERIVED = "stateroom.test/checked"
# A kernel whose program is not there, one that answers and prints nothing of use, and a label that tells of neither.
KERNELS = """\
USER 0
RUN mkdir -p /usr/local/share/jupyter/kernels && cd /usr/local/share/jupyter/kernels && \\
    for name in gone odd apl; do cp -r /opt/stateroom/share/jupyter/kernels/python3 $name; done && \\
    echo '{"argv": ["/no/such/program"], "display_name": "Gone", "language": "python"}' >gone/kernel.json && \\
    sed -i 's/"language": "python"/"language": "bash"/' odd/kernel.json && \\
    sed -i 's/"language": "python"/"language": "apl"/' apl/kernel.json
USER 1000
LABEL io.stateroom.kernels="python3 scala" io.stateroom.jupyterhub="5"
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker.DockerClient]:
    """An engine that has the image of these files."""
    with engine_with(tmp_path_factory.mktemp("image") / "build.log", unified()) as engine:
        yield engine


@pytest.fixture
def catalog(engine: docker.DockerClient, tmp_path: Path) -> Path:
    """A catalog that says of the image what its label says."""
    kernels = ", ".join(engine.images.get(UNIFIED).labels["io.stateroom.kernels"].split())
    return written(tmp_path, f'{{id: lab, image: "{UNIFIED}", kernels: [{kernels}], default: true}}')


def written(folder: Path, image: str) -> Path:
    catalog = folder / "catalog.yaml"
    size = "{id: standard, cpu: 1, memory: 2 GiB, default: true}"
    catalog.write_text(f"version: 1\nimages: [{image}]\nsizes: [{size}]\n")
    return catalog


def checked(engine: docker.DockerClient, catalog: Path, changes: str) -> Outcome:
    """What is said of an image with these changes."""
    derived, _ = engine.images.build(
        fileobj=io.BytesIO(f"FROM {UNIFIED}\n{changes}".encode()), tag=f"{DERIVED}:1", rm=True, forcerm=True
    )
    try:
        return run("images", "check", "--catalog", catalog, f"{DERIVED}:1")
    finally:
        engine.images.remove(derived.id, force=True)


def nameless_volumes(engine: docker.DockerClient) -> set[str]:
    return {volume.name for volume in engine.volumes.list() if re.fullmatch("[0-9a-f]{64}", volume.name)}


def faults(outcome: Outcome) -> dict[str, str]:
    """The failing lines, by what they are about; of the kernels' by the kernel."""
    lines = [line.split(maxsplit=2) for line in outcome.out.splitlines() if line.startswith("FAIL")]
    return {text.split()[0] if name == "Kernel" else name: text for _, name, text in lines}


def test_the_unified_image_is_as_its_label_and_the_catalog_say(engine: docker.DockerClient, catalog: Path) -> None:
    before = nameless_volumes(engine)
    out = run("images", "check", "--catalog", catalog).assert_success().out
    assert f"lab, {UNIFIED}" in out
    for kernel in engine.images.get(UNIFIED).labels["io.stateroom.kernels"].split():
        assert f"ok   Kernel    {kernel} runs, " in out
    assert "as the label io.stateroom.kernels and the catalog say" in out
    assert "nproc says 1 with 1 CPU" in out
    assert engine.containers.list(all=True, filters={"label": f"{HELPER}=image-trial"}) == []
    assert nameless_volumes(engine) <= before


def test_broken_kernels_and_a_label_that_lies_are_told(engine: docker.DockerClient, catalog: Path) -> None:
    outcome = checked(engine, catalog, KERNELS)
    assert outcome.status == 1
    told = faults(outcome)
    assert set(told) == {"Hub", "Kernels", "gone", "odd"}, outcome
    assert "gone does not run: [Errno 2] No such file or directory: '/no/such/program'" in told["gone"]
    assert "odd does not run" in told["odd"]
    assert "apl" in told["Kernels"]
    assert "but the label io.stateroom.kernels says python3 and scala. Correct" in told["Kernels"]
    assert "but the label io.stateroom.jupyterhub says 5" in told["Hub"]
    assert "apl answers (nothing is known to run in apl)" in outcome.out


def test_an_image_whose_command_serves_nothing_is_told(engine: docker.DockerClient, catalog: Path) -> None:
    program = '["sh", "-c", "echo there is nothing to serve; exit 3"]'
    told = faults(checked(engine, catalog, f"CMD {program}\n"))
    assert set(told) == {"Server"}
    assert 'it ended with 3; it last wrote "there is nothing to serve"' in told["Server"]


def test_an_image_that_runs_as_root_is_refused(engine: docker.DockerClient, catalog: Path) -> None:
    told = faults(checked(engine, catalog, "USER root\n"))
    assert set(told) == {"Image"}
    assert "runs as root" in told["Image"]


def test_an_image_without_python_says_so(engine: docker.DockerClient, catalog: Path) -> None:
    told = faults(checked(engine, catalog, "ENV PATH=/nowhere\n"))
    assert set(told) == {"Image"}
    assert "python3" in told["Image"]


def test_an_image_that_is_not_there_says_how_to_get_it(engine: docker.DockerClient, tmp_path: Path) -> None:
    assert engine.ping()
    catalog = written(tmp_path, '{id: lab, image: "stateroom.test/nosuch:1", default: true}')
    outcome = run("images", "check", "--catalog", catalog)
    assert outcome.status == 1
    assert "it is not on this engine. `docker pull stateroom.test/nosuch:1` brings it." in outcome.out
    listed = run("images", "list", "--catalog", catalog).assert_success().out
    assert "not here" in listed
    assert UNIFIED in listed
