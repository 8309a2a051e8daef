"""The unified image as it is: what it offers, whom it runs as, and what it must not hold."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from harness.images import engine_with, misfits
from harness.notebook import HARDENED, OWN_PACKAGE, asker, container, python, removed, run
from stateroom.images.build import ca_bundle
from stateroom.images.sources import UNIFIED, unified

DOCUMENTATION = Path(__file__).parents[2] / "images" / "README.md"
LARGEST = 2_000_000_000  # bytes, unpacked
CELLS = {  # of each kernel; all of them say the same
    "python3": "import os; print(os.getcwd(), 6 * 7)",
    "ir": "cat(getwd(), 6 * 7)",
    "bash": "echo $PWD $((6 * 7))",
}


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


def labels(where: Container) -> Mapping[str, str]:
    return where.image.labels


def documented(heading: str) -> list[str]:
    """What the first column of the table under a heading of images/README.md names."""
    section = DOCUMENTATION.read_text().partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    return [
        name for row in re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE) for name in row[1:-1].split("`, `")
    ]


def test_the_kernels_are_the_documented_ones(image: Container) -> None:
    found = json.loads(run(image, "jupyter", "kernelspec", "list", "--json"))["kernelspecs"]
    assert sorted(found) == sorted(documented("Kernels")) == sorted(CELLS)
    assert sorted(found) == sorted(labels(image)["io.stateroom.kernels"].split())


def test_the_versions_on_the_label_are_true(image: Container) -> None:
    found = {
        "python": python(image, "import platform; print(platform.python_version())"),
        "r": run(image, "Rscript", "-e", "cat(format(getRversion()))"),
        "jupyterlab": run(image, "jupyter", "lab", "--version"),
    }
    labelled = dict(pair.split("=") for pair in labels(image)["io.stateroom.versions"].split())
    assert labelled["jupyterlab"] == found["jupyterlab"]
    # Debian's release has one minor version of each; its fixes come with a rebuild.
    assert {name: version.rpartition(".")[0] for name, version in found.items() if name != "jupyterlab"} == {
        "python": labelled["python"],
        "r": labelled["r"],
    }
    assert f"`{labels(image)['io.stateroom.versions']}`" in DOCUMENTATION.read_text()


def test_jupyterhub_is_of_the_major_version_on_the_label(image: Container) -> None:
    version = python(image, "import jupyterhub; print(jupyterhub.__version__)")
    assert version.split(".")[0] == labels(image)["io.stateroom.jupyterhub"] == "6"


@pytest.mark.parametrize("kernel", CELLS)
def test_a_kernel_runs_a_notebook_in_its_folder_through_papermill(image: Container, kernel: str) -> None:
    program = f"""
import nbformat, os, subprocess
folder = os.path.expanduser("~/notebooks/{kernel} work")
os.makedirs(folder)
os.chdir(folder)
cells = [nbformat.v4.new_code_cell({CELLS[kernel]!r})]
metadata = {{"kernelspec": {{"name": {kernel!r}, "display_name": "it"}}, "language_info": {{"name": "it"}}}}
nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), "in.ipynb")
subprocess.run(["papermill", "--cwd", folder, "in.ipynb", "out.ipynb"], check=True)
print(nbformat.read("out.ipynb", 4).cells[0].outputs[0].text)
"""
    assert python(image, program).splitlines()[-1] == f"/home/jovyan/notebooks/{kernel} work 42"


def test_a_chart_in_r_is_a_picture_and_r_leaves_nothing_in_the_home(engine: docker.DockerClient) -> None:
    program = """
import base64, nbformat.v4 as v4, nbclient
cells = [v4.new_code_cell("library(ggplot2); ggplot(mtcars, aes(mpg, wt)) + geom_point() + ggtitle('Größe')")]
notebook = v4.new_notebook(cells=cells)
nbclient.NotebookClient(notebook, kernel_name="ir").execute()
print(base64.b64decode(notebook.cells[0].outputs[-1].data["image/png"])[:4])
"""
    names = "find ~ -not -path '*/.local*' -not -path '*/.ipython*' | sort"
    with container(engine, command=["sleep", "infinity"]) as fresh:
        before = run(fresh, "sh", "-c", names)
        assert python(fresh, program).splitlines()[-1] == r"b'\x89PNG'"
        assert run(fresh, "sh", "-c", names) == before


def test_the_python_libraries_are_the_documented_ones(image: Container) -> None:
    names = documented("Python libraries")
    program = f"""
import importlib, json
from importlib.metadata import packages_distributions
for name in {names!r}:
    importlib.import_module(name)
print(json.dumps({{name: packages_distributions()[name] for name in {names!r}}}))
"""
    found = json.loads(python(image, program).splitlines()[-1])
    distributions = {distribution.lower() for of in found.values() for distribution in of}
    assert distributions == wanted("libraries.in") | {"ipywidgets", "papermill"}


def wanted(name: str) -> set[str]:
    lines = unified().files[name].decode().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_every_documented_r_package_loads(image: Container) -> None:
    packages = " ".join(documented("R packages"))
    program = f'for (name in strsplit("{packages}", " ")[[1]]) suppressWarnings(library(name, character.only = TRUE))'
    run(image, "Rscript", "-e", program)
    assert len(packages.split()) > 20


def test_r_has_the_fast_matrices_and_installs_where_the_user_may(image: Container) -> None:
    assert "openblas" in run(image, "Rscript", "-e", "cat(extSoftVersion()['BLAS'])")
    run(
        image, "sh", "-c", "mkdir /tmp/own && printf 'Package: own\\nVersion: 1.0\\nTitle: T\\n' > /tmp/own/DESCRIPTION"
    )
    run(image, "Rscript", "-e", "install.packages('/tmp/own', repos = NULL, type = 'source')")
    assert run(image, "Rscript", "-e", "cat(find.package('own'))") == "/usr/local/lib/R/site-library/own"
    assert run(image, "Rscript", "-e", "cat(getOption('repos'))").startswith("https://")


def test_a_bash_kernel_starts_without_pauses(image: Container) -> None:
    program = """
import time
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name="bash")
took = []
for _ in range(20):
    began = time.monotonic()
    client.execute_interactive("true")
    took.append(time.monotonic() - began)
print(min(took))
client.stop_channels()
manager.shutdown_kernel(now=True)
"""
    # The quickest of many, however busy the machine; bash_kernel's own pauses are in each.
    assert float(python(image, program).splitlines()[-1]) < 0.1


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
    tools = "git ssh curl wget nano vi less jq tree htop ps zip unzip xz bzip2 file"
    assert run(image, "sh", "-c", f"for tool in {tools}; do command -v $tool >/dev/null || echo $tool; done") == ""
    assert misfits(image) == []


@pytest.mark.parametrize("language", ["C.UTF-8", "en_US.UTF-8"])
def test_text_is_unicode_in_every_documented_locale(image: Container, language: str) -> None:
    assert f"`{language}`" in DOCUMENTATION.read_text()
    code, said = image.exec_run(
        ["sh", "-c", "locale charmap; Rscript -e 'cat(nchar(\"Größe\"))'"], environment={"LC_ALL": language}
    )
    assert (code, said.decode().split()) == (0, ["UTF-8", "5"])


def test_it_is_no_larger_than_it_may_be(image: Container) -> None:
    assert image.image.attrs["Size"] <= LARGEST


def test_the_bill_of_materials_is_complete(image: Container) -> None:
    bill = json.loads(run(image, "cat", "/opt/stateroom/share/sbom.json"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    listed = json.loads(run(image, "pip", "list", "--format", "json"))
    python = {f"{found['name']} {found['version']}" for found in listed}
    debian = set(run(image, "dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n").splitlines())
    billed = [(part["purl"].split("/")[0], f"{part['name']} {part['version']}") for part in bill["components"]]
    assert {entry for kind, entry in billed if kind == "pkg:pypi"} == python
    assert {entry for kind, entry in billed if kind == "pkg:deb"} == debian
    assert len(billed) == len(python) + len(debian)
    licensed = [part for part in bill["components"] if part.get("licenses")]
    assert len(licensed) > 0.8 * len(billed)


def test_a_users_own_package_can_be_installed(image: Container) -> None:
    run(image, "sh", "-c", OWN_PACKAGE)
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
    shipped = "cat /etc/ssl/certs/ca-certificates.crt $(find /opt /usr/lib/R -name cacert.pem)"
    public = certificates(run(opened, "sh", "-c", shipped))
    ours = certificates(bundle.read_text()) if bundle else {}
    for content in ours.keys() - public.keys():
        line = ours[content].splitlines()[3]  # enough of it to be told from any other
        search = f"grep -rlF '{line}' /etc /home /opt /root /tmp /usr /var || true"
        assert run(opened, "sh", "-c", search) == ""


def certificates(text: str) -> dict[str, str]:
    """Each as it stands there, by what it is in lines of any length."""
    found = re.findall(r"-----BEGIN CERTIFICATE-----\n(.*?)-----END CERTIFICATE-----", text, flags=re.DOTALL)
    return {"".join(lines.split()): lines for lines in found}


def test_a_start_compiles_nothing_and_skips_what_is_slow(engine: docker.DockerClient) -> None:
    with container(engine, command=["sleep", "infinity"]) as fresh:
        run(fresh, "touch", "/tmp/mark")
        python(fresh, "import jupyterhub.singleuser.extension, jupyterlab.labapp, ipykernel.kernelapp, pandas")
        python(fresh, "import stateroom_notebook.server, stateroom_notebook.kernel, stateroom_bash")
        assert run(fresh, "find", "/opt/stateroom", "-name", "*.pyc", "-newer", "/tmp/mark") == ""
        compiled = "${file%/*}/__pycache__/$(basename $file .py).cpython-313.pyc"
        search = (
            f"find /usr/lib/python3.13 /opt/stateroom/lib -name '*.py' | while read file; do ls {compiled} >&3; done"
        )
        assert run(fresh, "bash", "-c", f"{{ {search}; }} 3>/dev/null 2>&1") == ""
        slow = "import importlib.util; print(importlib.util.find_spec('rfc3987_syntax'))"
        assert python(fresh, slow) == "None"


@pytest.mark.parametrize(
    ("environment", "served"),
    [({}, "jupyter-lab"), ({"JUPYTERHUB_API_TOKEN": "given"}, "jupyterhub-singleuser")],
)
def test_the_command_follows_the_hubs_token(image: Container, environment: Mapping[str, str], served: str) -> None:
    program = f"""
import os, sys, jupyterhub.singleuser, jupyterlab.labapp
from stateroom_notebook.start import notebook
os.environ.update(NOTEBOOK_ARGS='--one "two words"', **{environment})
jupyterhub.singleuser.main = jupyterlab.labapp.main = lambda: print(*sys.argv)
sys.argv[1:] = ["--three"]
notebook()
"""
    said = python(image, program)
    assert said.startswith(served)
    assert said.endswith("--one two words --three")
    assert image.image.attrs["Config"]["Cmd"] == ["start-notebook.py"]


def test_hooks_run_by_name_before_any_command_and_a_failing_one_ends_nothing(engine: docker.DockerClient) -> None:
    hooks = """
cd /usr/local/bin/start-notebook.d
echo 'export SAID="$SAID one"' > 1.sh
printf '#!/bin/sh\necho run' > 2 && chmod +x 2
printf '#!/bin/sh\nexit 3' > 3 && chmod +x 3
echo 'false' > 4.sh
echo 'never' > 5
echo 'SAID="$SAID two"' > ../before-notebook.d/6.sh
"""
    with removed(engine.containers.create(UNIFIED, ["sh", "-c", 'echo "$SAID"; exit 7'])) as started:
        with prepared(engine, hooks) as folder:
            started.put_archive("/usr/local/bin", folder)
        started.start()
        assert started.wait(timeout=60)["StatusCode"] == 7
        said = started.logs(stdout=True, stderr=False).decode()
        told = started.logs(stdout=False, stderr=True).decode().splitlines()
    assert said == "run\n one two\n"
    folder_of = "WARNING: /usr/local/bin/start-notebook.d"
    assert told == [
        f"{folder_of}/3 has failed; the start goes on",
        f"{folder_of}/4.sh has failed; the start goes on",
        f"{folder_of}/5 is neither executable nor *.sh; it is ignored",
    ]


@contextmanager
def prepared(engine: docker.DockerClient, script: str) -> Iterator[bytes]:
    """What is in /usr/local/bin after a script that root has run there."""
    with removed(engine.containers.create(UNIFIED, ["-c", script], entrypoint=["sh"], user="0")) as made:
        made.start()
        assert made.wait(timeout=60)["StatusCode"] == 0, made.logs()
        chunks, _ = made.get_archive("/usr/local/bin/.")
        yield b"".join(chunks)


def said_by(engine: docker.DockerClient, command: str, **options: object) -> tuple[str, str]:
    """What a command in a fresh container writes: its output, and what else is told."""
    with removed(engine.containers.run(UNIFIED, ["sh", "-c", command], detach=True, **HARDENED, **options)) as found:
        assert found.wait(timeout=60)["StatusCode"] == 0, found.logs()
        return found.logs(stderr=False).decode().strip(), found.logs(stdout=False).decode().strip()


def test_a_plain_start_says_nothing(engine: docker.DockerClient) -> None:
    assert said_by(engine, "umask") == ("0022", "")


def test_the_variables_of_the_docker_stacks_that_need_no_root_are_followed(engine: docker.DockerClient) -> None:
    environment = {"NB_UMASK": "027", "JUPYTER_ENV_VARS_TO_UNSET": "ONE,TWO", "ONE": "1", "TWO": "2", "THREE": "3"}
    said, told = said_by(engine, 'umask; echo "$ONE$TWO$THREE$JUPYTER_ENV_VARS_TO_UNSET"', environment=environment)
    assert (said.split(), told) == (["0027", "3"], "")


def test_what_needs_root_is_told_in_one_line_and_ignored(engine: docker.DockerClient) -> None:
    environment = {"NB_USER": "ann", "NB_UID": "1234", "NB_GID": "1234", "CHOWN_HOME": "yes", "GRANT_SUDO": "yes"}
    said, told = said_by(engine, "id -u -n", environment=environment)
    assert said == "jovyan"
    assert told.count("\n") == 0
    assert all(name in told for name in environment)


def test_another_uid_of_the_group_may_work_and_install(engine: docker.DockerClient) -> None:
    command = """
set -e
touch ~/notebooks/a ~/a /opt/stateroom/lib/python3.13/site-packages/a /usr/local/lib/R/site-library/a
python -W error -c 'import getpass, matplotlib.pyplot; print(getpass.getuser())'
"""
    assert said_by(engine, command, user="5000:100") == ("jovyan", "")
    _, told = said_by(engine, "true", user="5000:5000")
    assert told == "WARNING: /home/jovyan cannot be written; start the container with the group 100"


def test_the_port_without_a_hub_is_the_given_one(engine: docker.DockerClient) -> None:
    with container(engine, environment={"JUPYTER_TOKEN": "known", "JUPYTER_PORT": "9999"}) as lab:
        assert "version" in json.loads(asker(lab, 9999)("/api"))


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
