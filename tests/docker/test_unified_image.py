"""The unified image as it is: what it offers, whom it runs as, and what it must not hold."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container
from docker.types import Mount

from harness.images import engine_with
from stateroom.images import ca_bundle
from stateroom.recipes import UNIFIED, unified

DOCUMENTATION = Path(__file__).parents[2] / "images" / "README.md"
HARDENED = {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "init": True}
PATIENCE = 30  # seconds


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker.DockerClient]:
    """An engine that has the image of these files."""
    with engine_with(tmp_path_factory.mktemp("image") / "build.log", unified()) as engine:
        yield engine


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient) -> Iterator[Container]:
    """A running container of the image that does nothing, hardened as servers are."""
    with container(engine, command=["sleep", "infinity"]) as found:
        yield found


@pytest.fixture(scope="module")
def opened(engine: docker.DockerClient) -> Iterator[Container]:
    """The image as root sees it, who may read everything."""
    with removed(engine.containers.run(UNIFIED, ["sleep", "infinity"], detach=True, init=True, user="0")) as found:
        yield found


def container(
    engine: docker.DockerClient, command: list[str] | None = None, environment: Mapping[str, str] | None = None
) -> AbstractContextManager[Container]:
    """A container with a fresh volume at ~/notebooks."""
    home = Mount(target="/home/jovyan/notebooks", source="", type="volume")
    return removed(
        engine.containers.run(
            UNIFIED, command, detach=True, mounts=[home], environment=dict(environment or {}), **HARDENED
        )
    )


@contextmanager
def removed(found: Container) -> Iterator[Container]:
    """The container, gone afterwards with its volumes."""
    try:
        yield found
    finally:
        found.remove(force=True, v=True)


def run(where: Container, *command: str) -> str:
    code, output = where.exec_run(list(command))
    text = output.decode().strip()
    assert code == 0, text
    return text


def python(where: Container, program: str) -> str:
    return run(where, "python", "-c", program)


def labels(where: Container) -> Mapping[str, str]:
    return where.image.labels


def test_the_kernels_are_the_documented_ones(image: Container) -> None:
    found = json.loads(run(image, "jupyter", "kernelspec", "list", "--json"))["kernelspecs"]
    documented = re.findall(r"^\| `([a-z0-9]+)` \|", DOCUMENTATION.read_text(), flags=re.MULTILINE)
    assert sorted(found) == sorted(documented)
    assert sorted(found) == sorted(labels(image)["io.stateroom.kernels"].split())


def test_jupyterhub_is_of_the_major_version_on_the_label(image: Container) -> None:
    version = python(image, "import jupyterhub; print(jupyterhub.__version__)")
    assert version.split(".")[0] == labels(image)["io.stateroom.jupyterhub"] == "6"


@pytest.mark.parametrize(
    ("kernel", "code", "expected"),
    [("python3", "import os; print(os.getcwd(), 6 * 7)", "{} 42"), ("bash", "echo $PWD $((6 * 7))", "{} 42")],
)
def test_a_kernel_runs_in_the_folder_of_its_notebook(image: Container, kernel: str, code: str, expected: str) -> None:
    program = f"""
import nbclient, nbformat.v4 as v4, os
folder = os.path.expanduser("~/notebooks/{kernel} work")
os.makedirs(folder)
notebook = v4.new_notebook(cells=[v4.new_code_cell({code!r})])
nbclient.NotebookClient(notebook, kernel_name={kernel!r}, resources={{"metadata": {{"path": folder}}}}).execute()
print(notebook.cells[0].outputs[0].text)
"""
    folder = f"/home/jovyan/notebooks/{kernel} work"
    assert python(image, program).splitlines()[-1] == expected.format(folder)


def test_the_user_is_not_root_and_owns_the_home(image: Container) -> None:
    assert image.image.attrs["Config"]["User"] == "1000"
    assert run(image, "id", "-u", "-n") == "jovyan"
    assert run(image, "sh", "-c", "echo $(id -u) $(id -g) $HOME $PWD") == "1000 100 /home/jovyan /home/jovyan"
    assert run(image, "stat", "--format=%u %g", "/home/jovyan/notebooks") == "1000 100"
    assert run(image, "sh", "-c", "echo kept > ~/notebooks/a && cat ~/notebooks/a") == "kept"


def test_it_runs_without_capabilities_or_new_privileges(image: Container) -> None:
    status = run(image, "grep", "-E", "^(CapBnd|CapEff|NoNewPrivs):", "/proc/self/status")
    assert status.split() == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


def test_the_libraries_work_without_a_display(image: Container) -> None:
    program = """
import numpy, pandas, matplotlib.pyplot as plot
pandas.DataFrame({"x": numpy.arange(4)}).plot()
plot.savefig("/home/jovyan/notebooks/figure.png")
print(open("/home/jovyan/notebooks/figure.png", "rb").read(4))
"""
    assert python(image, program) == r"b'\x89PNG'"


def test_the_users_tools_are_there(image: Container) -> None:
    assert run(image, "bash", "-lc", "command -v python") == "/opt/stateroom/bin/python"
    assert run(image, "git", "--version").startswith("git version")
    run(image, "pip", "check")


def test_a_users_own_package_can_be_installed(image: Container) -> None:
    program = """
import zipfile
with zipfile.ZipFile("/tmp/own-1-py3-none-any.whl", "w") as wheel:
    wheel.writestr("own.py", "")
    wheel.writestr("own-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: own\\nVersion: 1\\n")
    wheel.writestr("own-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
    wheel.writestr("own-1.dist-info/RECORD", "")
"""
    python(image, program)
    run(image, "pip", "install", "--no-index", "/tmp/own-1-py3-none-any.whl")
    python(image, "import own")


def test_no_setting_of_the_build_is_left(image: Container) -> None:
    assert not re.search(r"CERT|CA_BUNDLE|INDEX|FIND_LINKS|PROXY", run(image, "env"), flags=re.IGNORECASE)
    assert run(image, "pip", "config", "list") == ":env:.disable-pip-version-check='1'"


def test_nothing_of_the_build_is_left(opened: Container) -> None:
    search = "find / -xdev -path /proc -prune -o -name ca.crt -print -o -name pip.conf -print -o -path /build -print"
    assert run(opened, "sh", "-c", search) == ""
    tools = "for tool in cc gcc g++ make uv; do command -v $tool; done; true"
    assert run(opened, "sh", "-c", tools) == ""
    absent = "import importlib.util as u; print([n for n in ('setuptools', 'wheel', 'ensurepip') if u.find_spec(n)])"
    assert python(opened, absent) == "[]"


def test_no_certificate_of_this_machine_is_left(opened: Container) -> None:
    bundle = ca_bundle(os.environ)
    shipped = "cat /etc/ssl/certs/ca-certificates.crt $(find /opt -path '*/certifi/cacert.pem')"
    public = certificates(run(opened, "sh", "-c", shipped))
    for certificate in certificates(bundle.read_text()) - public if bundle else ():
        line = certificate.splitlines()[3]  # enough of it to be told from any other
        search = f"grep -rlF '{line}' /etc /home /opt /root /tmp /usr /var || true"
        assert run(opened, "sh", "-c", search) == ""


def certificates(text: str) -> set[str]:
    return set(re.findall(r"-----BEGIN CERTIFICATE-----\n(.*?)-----END CERTIFICATE-----", text, flags=re.DOTALL))


def test_a_start_compiles_nothing_and_skips_what_is_slow(engine: docker.DockerClient) -> None:
    with container(engine, command=["sleep", "infinity"]) as fresh:
        run(fresh, "touch", "/tmp/mark")
        python(fresh, "import jupyterhub.singleuser.extension, jupyterlab.labapp, ipykernel.kernelapp, pandas")
        assert run(fresh, "find", "/opt/stateroom", "-name", "*.pyc", "-newer", "/tmp/mark") == ""
        slow = "import importlib.util; print(importlib.util.find_spec('rfc3987_syntax'))"
        assert python(fresh, slow) == "None"


@pytest.mark.parametrize(("token", "served"), [("", "jupyter lab"), ("given", "jupyterhub-singleuser")])
def test_the_command_follows_the_hubs_token(image: Container, token: str, served: str) -> None:
    fakes = f"""
mkdir -p /tmp/fakes && cd /tmp/fakes
for name in jupyter jupyterhub-singleuser; do printf '#!/bin/sh\\necho %s "$@"' $name > $name; chmod +x $name; done
export PATH=/tmp/fakes:$PATH NOTEBOOK_ARGS='--one "two words"'
{f"export JUPYTERHUB_API_TOKEN={token}" if token else ""}
exec start-notebook.py --three
"""
    said = run(image, "sh", "-c", fakes)
    assert said.startswith(served)
    assert said.endswith("--one two words --three")
    assert image.image.attrs["Config"]["Cmd"] == ["start-notebook.py"]


def test_lab_serves_and_asks_no_other_machine(engine: docker.DockerClient) -> None:
    with container(engine, environment={"JUPYTER_TOKEN": "known"}) as lab:
        ask = asker(lab)
        assert json.loads(ask("/lab/api/news")) == {"news": []}
        assert json.loads(ask("/lab/api/update"))["notification"] is None
        settings = json.loads(ask("/lab/api/settings/@jupyterlab/apputils-extension:notification"))
        assert settings["schema"]["properties"]["fetchNews"]["default"] == "false"
        assert settings["schema"]["properties"]["checkForUpdates"]["default"] is False
        page = ask("/lab")
        assert re.search(r'"extensionManager": {[^}]*"can_install": false', page), page


def test_a_terminal_opens_where_files_are_kept(engine: docker.DockerClient) -> None:
    with container(engine, environment={"JUPYTER_TOKEN": "known"}) as lab:
        asker(lab)("/api/terminals", data=json.dumps({"cwd": ""}).encode())
        assert run(lab, "sh", "-c", "readlink /proc/$(pgrep -x bash)/cwd") == "/home/jovyan/notebooks"


def asker(lab: Container) -> Callable[..., str]:
    """What asks the server and gives its answer; the server has answered once."""
    lab.reload()
    address = next(iter(lab.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]

    def ask(path: str, data: bytes | None = None) -> str:
        request = urllib.request.Request(
            f"http://{address}:8888{path}", data=data, headers={"Authorization": "token known"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.read().decode()

    end = time.monotonic() + PATIENCE
    while True:
        try:
            ask("/api")
            return ask
        except OSError:
            assert time.monotonic() < end, lab.logs().decode()
            time.sleep(0.05)
