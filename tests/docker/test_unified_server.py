"""The server of the unified image while it runs: what makes it fast changes nothing that a user could tell."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import docker
import pytest
import requests
from docker.models.containers import Container

from harness.hub import wait_for
from harness.images import engine_with
from harness.kernels import KernelAt
from harness.notebook import OWN_PACKAGE, PATIENCE, TOKEN, address, asker, container, python, run
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.load import parse_catalog
from stateroom.common.quantity import MiB
from stateroom.images.sources import folder_of, unified
from stateroom.offers.allowance import Person, allowance_for
from stateroom.offers.choice import choose
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import server_for

CATALOG = """
version: 1
images: [{id: unified, image: "stateroom/unified:1", default: true}]
sizes: [{id: one, title: One, cpu: 1, memory: 2 GiB, default: true}]
"""

# An extension of a user's own, which answers with what a program prints inside the server.
PROBE = """
import contextlib, io
from jupyter_server.base.handlers import APIHandler

class Probe(APIHandler):
    def post(self):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(self.request.body.decode(), {"server": self.serverapp})
        self.finish(printed.getvalue())

def _jupyter_server_extension_points():
    return [{"module": "probe"}]

def _load_jupyter_server_extension(server):
    server.web_app.add_handlers(".*", [("/probe", Probe)])
"""
WITH_PROBE = """
echo "$PROBE" > /opt/stateroom/lib/python3.13/site-packages/probe.py
mkdir ~/.jupyter
echo '{"ServerApp": {"jpserver_extensions": {"probe": true}}}' > ~/.jupyter/jupyter_server_config.json
echo 'c.KernelRestarter.time_to_dead = 2.5' > ~/.jupyter/jupyter_server_config.py
exec start-notebook.py
"""

# What a program could tell of the interpreter that it runs in.
SELF = """
import gc, glob, json, locale, os, re, resource, signal, sys, threading, time, warnings
status = open("/proc/self/status").read()
print(json.dumps({
    "environment": {name: text for name, text in os.environ.items() if name != "JPY_SESSION_NAME"},
    "putenv": os.popen("env | grep -v JPY_SESSION_NAME | grep -v ^_= | sort").read(),
    "path": sys.path,
    "arguments": [re.sub("kernel-.*json", "", text) for text in [*sys.argv, *sys.orig_argv]],
    "flags": repr(sys.flags),
    "options": repr(sys._xoptions),
    "locale": [locale.setlocale(category) for category in (locale.LC_CTYPE, locale.LC_TIME, locale.LC_ALL)],
    "encodings": [sys.getfilesystemencoding(), sys.stdin.encoding, sys.stdout.encoding],
    "handlers": {number.name: repr(signal.getsignal(number)) for number in signal.valid_signals()
                 if isinstance(number, signal.Signals)},
    "signals": re.findall("^(Sig(?:Blk|Ign|Cgt).*)$", status, flags=re.MULTILINE),
    "files": sorted(re.sub("[0-9]+", "", os.readlink(file)) for file in glob.glob("/proc/self/fd/*")
                    if os.path.lexists(file)),
    "folder": os.getcwd(),
    "umask": os.umask(0o22),
    "limits": [resource.getrlimit(kind) for kind in range(16)],
    "leads": [os.getpid() == os.getpgid(0) == os.getsid(0), os.getppid()],
    "priority": [os.nice(0), os.sched_getscheduler(0), len(os.sched_getaffinity(0))],
    "threads": sorted(re.sub("[0-9]+", "", thread.name) for thread in threading.enumerate()),
    "gc": [gc.get_threshold(), gc.isenabled(), gc.get_freeze_count(), sys.getrecursionlimit()],
    "warnings": [repr(entry) for entry in warnings.filters],
    "main": [repr(sys.modules["__main__"]), repr(getattr(sys.modules["__main__"], "__spec__", 0)), __name__],
    "modules": sorted(sys.modules),
    "hooks": [repr(type(hook)) for hook in [*sys.meta_path, *sys.path_hooks, sys.excepthook, sys.displayhook]],
    "zone": time.tzname,
}))
"""

Ask: TypeAlias = Callable[[str], str]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[docker.DockerClient]:
    """An engine that has the image of these files."""
    with engine_with(tmp_path_factory.mktemp("image") / "build.log", unified()) as engine:
        yield engine


@pytest.fixture(scope="module")
def lab(engine: docker.DockerClient) -> Iterator[Container]:
    """A server of one core and 2 GiB, as Stateroom would start it, with a user's own extension."""
    spec = spec_of_one_core(parse_catalog(CATALOG))
    environment = {**spec.container.environment, "JUPYTER_TOKEN": TOKEN, "PROBE": PROBE}
    resources = spec.container.resources
    limits = {"nano_cpus": resources.cpu * 10**6, "mem_limit": resources.memory, "memswap_limit": resources.memory}
    with container(engine, ["bash", "-c", WITH_PROBE], environment, **limits) as found:
        asker(found)
        yield found


def spec_of_one_core(catalog: Catalog) -> Any:
    allowance = allowance_for(catalog, Person("ada", frozenset()))
    return server_for(
        catalog,
        allowance,
        choose({}, allowance),
        ref=ServerRef("hub", "ada"),
        home=HomeRef("hub", "ada", 7),
        base_url="/user/ada/",
        variables={},
    )


@pytest.fixture(scope="module")
def inside(lab: Container) -> Ask:
    """What a program prints that runs inside the server."""
    server = address(lab)

    def ask(program: str) -> str:
        headers = {"Authorization": f"token {TOKEN}"}
        answer = requests.post(f"{server}/probe", data=program.encode(), headers=headers, timeout=PATIENCE)
        assert answer.ok, lab.logs(tail=20).decode()
        return answer.text.strip()

    return ask


@pytest.fixture
def new_kernel(lab: Container) -> Iterator[Callable[..., KernelAt]]:
    """What starts a kernel of a notebook; all are ended afterwards."""
    yield lambda name="python3", notebook="a.ipynb": KernelAt(address(lab), TOKEN, name, notebook)
    end_all_kernels(lab)


def end_all_kernels(lab: Container) -> None:
    kernels, headers = f"{address(lab)}/api/kernels", {"Authorization": f"token {TOKEN}"}
    for kernel in requests.get(kernels, headers=headers, timeout=PATIENCE).json():
        requests.delete(f"{kernels}/{kernel['id']}", headers=headers, timeout=PATIENCE).raise_for_status()


def spare(inside: Ask) -> int:
    """The process that waits to be a kernel."""
    look = "from stateroom_notebook import spare; print(spare._spare.process.pid if spare._spare else 0)"
    return wait_for(lambda: int(inside(look)), "a spare kernel", PATIENCE)


def process_of(kernel: KernelAt) -> int:
    return int(kernel.run("import os; print(os.getpid())"))


# Deferred modules


def test_a_start_runs_none_of_the_deferred_modules_and_each_works_when_it_is_used(lab: Container) -> None:
    program = """
from stateroom_notebook import deferred
deferred.defer_all()
import sys, jupyterhub.singleuser, jupyterlab.labapp
for name in deferred.DEFERRED:
    assert type(sys.modules[name]) is deferred._Deferred, name
import sqlalchemy, jupyterhub.orm, jupyterhub.handlers.pages, IPython.paths, requests
assert type(IPython) is type(requests) is deferred._Deferred
assert requests.__version__ and type(requests) is deferred._Deferred
assert str(sqlalchemy.func.now()) and sqlalchemy.create_engine("sqlite://").connect()
assert jupyterhub.orm.User.__tablename__ == "users"
assert jupyterhub.roles.get_default_roles()
assert jupyterhub.handlers.base.BaseHandler
assert jupyterhub.handlers.pages.HealthCheckHandler.__name__ == "HealthCheckHandler"
assert jupyterhub.handlers.pages.default_handlers
from requests.adapters import HTTPAdapter
assert requests.get and requests.exceptions.ConnectionError
assert IPython.get_ipython() is None and IPython.display.HTML
from requests import *
assert Session and get is requests.get
assert not any(type(sys.modules[name]) is deferred._Deferred for name in deferred.DEFERRED)
"""
    assert python(lab, program) == ""


def test_what_is_not_there_is_passed_over_and_what_looks_at_every_module_finds_no_fault(lab: Container) -> None:
    program = """
import inspect, sys
from stateroom_notebook.deferred import defer, defer_all, _Deferred
defer("nowhere", {}), defer("nowhere.at.all", {}), defer("json.nowhere", {})
assert not any("nowhere" in name for name in sys.modules)
defer_all()
for module in list(sys.modules.values()):
    getattr(module, "__version__", None), getattr(module, "__wrapped__", None)
inspect.getmodule(object())
print(type(sys.modules["jupyterhub.orm"]) is type(sys.modules["requests"]) is _Deferred)
"""
    assert python(lab, program) == "True"


def test_threads_that_use_a_deferred_module_at_once_all_get_it_whole(lab: Container) -> None:
    program = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stateroom_notebook.deferred import defer
sys.path.insert(0, "/tmp")
Path("/tmp/slow.py").write_text("import time; time.sleep(0.3); ran = globals().get('ran', 0) + 1; last = 1")
defer("slow", {})
import slow
with ThreadPoolExecutor(4) as threads:
    print([*threads.map(lambda _: slow.last + slow.ran, range(4))])
"""
    assert python(lab, program) == "[2, 2, 2, 2]"


def test_an_extension_of_the_users_uses_what_the_server_has_deferred(inside: Ask) -> None:
    names = ["sqlalchemy", "requests", "jupyterhub.orm"]
    kept = f"""
import sys
from stateroom_notebook.deferred import _Deferred
print([name for name in {names} if type(sys.modules[name]) is not _Deferred])
"""
    assert inside(kept) == "[]"
    assert inside("import IPython; print(IPython.get_ipython(), IPython.version_info[0] > 8)") == "None True"
    assert inside("from requests.adapters import HTTPAdapter; import requests; print(requests.Session)").startswith("<")
    assert inside("from sqlalchemy.orm import Session; from IPython.display import HTML; print(HTML)").startswith("<")


def test_a_server_that_answers_collects_its_garbage_as_any_python_does(inside: Ask, lab: Container) -> None:
    usual = python(lab, "import gc; print(gc.isenabled(), gc.get_threshold())")
    assert inside("import gc; print(gc.isenabled(), gc.get_threshold())") == usual
    assert int(inside("import gc; print(gc.get_freeze_count())")) > 100_000


def test_an_extension_of_the_users_displaces_none_of_ours(inside: Ask) -> None:
    loaded = inside("print(*[name for name, on in server.jpserver_extensions.items() if on])").split()
    assert {"probe", "stateroom_notebook.server", "jupyter_resource_usage", "jupyter_server_terminals"} <= set(loaded)
    assert "jupyter_lsp" not in loaded


def test_a_setting_of_the_users_wins_over_ours(inside: Ask) -> None:
    assert inside("print(server.config.KernelRestarter.time_to_dead)") == "2.5"
    assert inside("print(server.tornado_settings['static_handler_class'].__module__)") == "stateroom_notebook.static"


# The spare kernel


def test_a_kernel_made_of_the_spare_is_as_any_other(inside: Ask, new_kernel: Callable[..., KernelAt]) -> None:
    waiting = spare(inside)
    inside("import os; os.makedirs('work', exist_ok=True)")
    made, usual = new_kernel(notebook="work/a.ipynb"), new_kernel(notebook="work/b.ipynb")
    command = "import os; print(os.getpid(), open('/proc/self/cmdline').read().split(chr(0))[2])"
    assert made.run(command).split() == [str(waiting), "stateroom_notebook.kernel"]
    assert usual.run(command).split()[1] == "ipykernel_launcher"
    of_spare, of_usual = (json.loads(kernel.run(SELF)) for kernel in (made, usual))
    assert of_spare["folder"] == "/home/jovyan/notebooks/work"
    # Its own code has run, and it reads nothing where an ordinary one has a pipe that is closed at once.
    own = {"stateroom_notebook", "stateroom_notebook.kernel"}
    assert set(of_spare.pop("modules")) - own == set(of_usual.pop("modules"))
    assert sorted([*of_spare.pop("files"), "pipe:[]"]) == sorted([*of_usual.pop("files"), "/dev/null"])
    assert of_spare == of_usual
    assert made.run("import os; print(os.environ['JPY_SESSION_NAME'])").strip().endswith("work/a.ipynb")


def test_it_is_interrupted_restarted_and_ended_and_the_next_is_there(
    lab: Container, inside: Ask, new_kernel: Callable[..., KernelAt]
) -> None:
    waiting = spare(inside)
    kernel = new_kernel()
    kernel.run("kept = 1; print(kept)")
    kernel.start("import time; time.sleep(60)")
    kernel.interrupt()
    wait_for(lambda: not kernel.is_busy, "the end of what ran")
    assert kernel.run("import os; print(kept, os.getpid())").split() == ["1", str(waiting)]
    following = spare(inside)
    kernel.restart()
    assert process_of(kernel) == following
    assert str(waiting) not in processes(lab)
    end_all_kernels(lab)
    assert str(following) not in processes(lab)


def processes(where: Container) -> list[str]:
    return run(where, "ps", "-eo", "pid=").split()


def test_other_processes_of_a_kernel_that_was_a_spare_work(inside: Ask, new_kernel: Callable[..., KernelAt]) -> None:
    spare(inside)
    inside("open('job.py', 'w').write('def double(x): return 2 * x')")
    program = """
import multiprocessing, job
found = []
for kind in ("spawn", "fork", "forkserver"):
    with multiprocessing.get_context(kind).Pool(2) as pool:
        found.append(pool.map(job.double, [1, 2]))
print(found)
"""
    assert new_kernel().run(program).strip() == "[[2, 4], [2, 4], [2, 4]]"


@pytest.mark.parametrize(("name", "code"), [("ir", "cat(1)"), ("bash", "echo 1")])
def test_kernels_of_other_languages_leave_the_spare(
    inside: Ask, new_kernel: Callable[..., KernelAt], name: str, code: str
) -> None:
    before = spare(inside)
    assert new_kernel(name, f"{name}.ipynb").run(code).strip() == "1"
    assert spare(inside) == before


@pytest.mark.parametrize("changed", ["LANG=en_US.UTF-8", "TZ=Asia/Tokyo", "PYTHONHASHSEED=1"])
def test_a_kernel_with_a_variable_of_its_own_is_not_made_of_it(
    lab: Container, inside: Ask, new_kernel: Callable[..., KernelAt], changed: str
) -> None:
    waiting = spare(inside)
    name, _, text = changed.partition("=")
    spec = {
        "argv": ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Own",
        "language": "python",
        "env": {name: text},
    }
    folder = f"{run(lab, 'sh', '-c', 'echo ~')}/.local/share/jupyter/kernels/own-{name.lower()}"
    run(lab, "sh", "-c", f"mkdir -p {folder} && echo '{json.dumps(spec)}' > {folder}/kernel.json")
    kernel = new_kernel(f"own-{name.lower()}")
    assert process_of(kernel) != waiting
    assert kernel.run(f"import os; print(os.environ[{name!r}])").strip() == text


def test_after_an_installation_the_old_spare_is_not_used(
    lab: Container, inside: Ask, new_kernel: Callable[..., KernelAt]
) -> None:
    waiting = spare(inside)
    run(lab, "sh", "-c", OWN_PACKAGE)
    kernel = new_kernel()
    assert process_of(kernel) != waiting
    assert str(waiting) not in processes(lab)
    assert kernel.run("import own; print(own.__file__)").strip().endswith("/own.py")


def test_a_server_that_is_killed_takes_its_spare_along(engine: docker.DockerClient) -> None:
    waits = ["pgrep", "-f", "stateroom_notebook.kernel"]
    with container(engine, ["sleep", "infinity"]) as found:
        found.exec_run("start-notebook.py", detach=True)
        wait_for(lambda: found.exec_run(waits).exit_code == 0, "a spare kernel", PATIENCE)
        run(found, "pkill", "-9", "-f", "start-notebook.py")
        wait_for(lambda: found.exec_run(waits).exit_code != 0, "the end of the spare", 5)


@pytest.mark.parametrize("reason", ["STATEROOM_SPARE_KERNEL=0", f"MEM_LIMIT={1023 * MiB}", "PYTHONPATH=/tmp:"])
def test_there_is_none_where_it_is_off_or_memory_is_short_or_modules_depend_on_the_folder(
    inside: Ask, reason: str
) -> None:
    spare(inside)
    name, _, text = reason.partition("=")
    kept = f"""
import os
from stateroom_notebook import spare
there, spare._spare, old = spare._spare, None, os.environ.get({name!r})
os.environ[{name!r}] = {text!r}
spare.keep()
print(spare._spare)
spare._spare = there
if old is None:
    del os.environ[{name!r}]
else:
    os.environ[{name!r}] = old
"""
    assert inside(kept) == "None"


# Memory


@pytest.fixture(scope="module")
def small(engine: docker.DockerClient) -> Iterator[Container]:
    """A server of 600 MiB."""
    memory = 600 * MiB
    environment = {"JUPYTER_TOKEN": TOKEN, "MEM_LIMIT": str(memory)}
    with container(engine, environment=environment, mem_limit=memory, memswap_limit=memory) as found:
        asker(found)
        yield found


FILL = "kept = [b'x' * 50_000_000 for _ in range(100)]"


def restarted(message: dict[str, Any]) -> bool:
    return bool(message["msg_type"] == "status" and message["content"]["execution_state"] == "restarting")


def told(messages: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What was told of memory, and the request that it belongs to."""
    return [
        (message["content"]["text"], message["parent_header"].get("msg_id", ""))
        for message in messages
        if message["msg_type"] == "stream" and "emory" in message["content"]["text"]
    ]


def test_a_kernel_that_ran_out_of_memory_is_told_as_such_below_its_cell(small: Container) -> None:
    kernel = KernelAt(address(small), TOKEN, "python3")
    messages = kernel.messages(FILL, restarted)
    cell = next(m["parent_header"]["msg_id"] for m in messages if m["msg_type"] == "execute_input")
    ((sentence, of),) = told(messages)
    assert (sentence.split(",")[0], of) == ("Out of memory: this server has 600 MiB", cell)
    # That was then: what ends the next one is something else.
    assert told(kernel.messages("import os, time; time.sleep(1); os.kill(os.getpid(), 9)", restarted)) == []


def test_a_kernel_that_is_killed_while_nothing_runs_is_not_told_of_memory(small: Container) -> None:
    kernel = KernelAt(address(small), TOKEN, "python3")
    later = "import os, threading; threading.Timer(1, os.kill, (os.getpid(), 9)).start()"
    assert told(kernel.messages(later, restarted)) == []


def test_ends_for_want_of_memory_are_counted_in_either_version_of_control_groups(lab: Container) -> None:
    program = """
from pathlib import Path
from stateroom_notebook import memory
print(memory.kills())
v2, v1 = memory._COUNTERS = Path("/tmp/v2"), Path("/tmp/v1")
print(memory.kills())
v1.write_text("oom_kill_disable 0\\nunder_oom 0\\noom_kill 3\\n")
print(memory.kills())
v2.write_text("low 0\\nhigh 0\\nmax 9\\noom 8\\noom_kill 7\\noom_group_kill 6\\n")
print(memory.kills())
for limit in (str(2 << 30), str(600 << 20), "0", ""):
    print(memory.sentence(limit).split(", and")[0].removeprefix("Out of memory: this server "))
"""
    said = python(lab, program.replace("\\\\", "\\")).splitlines()
    assert said == ["0", "0", "3", "7", "has 2 GiB", "has 600 MiB", "had no more", "had no more"]


# What a page asks for


@pytest.fixture(scope="module")
def script(lab: Container) -> str:
    """The URL of the script that is Lab's page."""
    return address(lab) + re.findall(r'src="(/static/lab/main\.[^"]+)"', asker(lab)("/lab"))[0]


def fetched(url: str, **headers: str) -> requests.Response:
    """Without a login, and as it comes."""
    answer = requests.get(url, headers={"Accept-Encoding": "", **headers}, timeout=PATIENCE, stream=True)
    answer.raw.decode_content = False
    answer._content = answer.raw.read()
    return answer


def test_labs_script_comes_compressed_where_that_is_accepted(script: str) -> None:
    plain, packed = fetched(script), fetched(script, **{"Accept-Encoding": "gzip, deflate, br"})
    assert (packed.headers["Content-Encoding"], plain.headers.get("Content-Encoding")) == ("gzip", None)
    assert gzip.decompress(packed.content) == plain.content
    assert len(packed.content) < len(plain.content) / 2
    for answer in (plain, packed):
        assert answer.headers["Content-Type"].split(";")[0] in {"application/javascript", "text/javascript"}
        assert answer.headers["Content-Length"] == str(len(answer.content))
        assert answer.headers["Cache-Control"].endswith("immutable")
        assert answer.headers["Vary"] == "Accept-Encoding"


def test_a_part_of_a_file_is_that_of_the_plain_one(script: str) -> None:
    plain = fetched(script).content
    part = fetched(script, Range="bytes=10-19", **{"Accept-Encoding": "gzip"})
    assert (part.status_code, part.content) == (206, plain[10:20])
    assert "Content-Encoding" not in part.headers
    assert fetched(script, Range=f"bytes={len(plain) - 5}-").content == plain[-5:]


def test_a_head_and_a_second_visit_cost_no_body(script: str) -> None:
    packed = fetched(script, **{"Accept-Encoding": "gzip"})
    head = requests.head(script, headers={"Accept-Encoding": "gzip"}, timeout=PATIENCE)
    assert head.headers["Content-Length"] == str(len(packed.content))
    again = fetched(script, **{"Accept-Encoding": "gzip", "If-Modified-Since": packed.headers["Last-Modified"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_compressed_file_by_its_own_name_is_what_it_is(script: str) -> None:
    itself = fetched(re.sub(r"\?.*", "", script) + ".gz", **{"Accept-Encoding": "gzip"})
    assert (itself.headers["Content-Type"], itself.headers.get("Content-Encoding")) == ("application/gzip", None)


@pytest.mark.parametrize(
    "path",
    ["../../../etc/jupyter/jupyter_server_config.py", "..%2f..%2f..%2fsbom.json", "nothing.js", "%2fetc%2fpasswd"],
)
def test_what_is_no_file_of_the_page_is_not_served(lab: Container, path: str) -> None:
    # requests and curl would tidy the path up; a socket does not.
    program = f"""
import http.client
asked = http.client.HTTPConnection("127.0.0.1", 8888)
asked.request("GET", "/static/lab/{path}", headers={{"Accept-Encoding": "gzip"}})
print(asked.getresponse().status)
"""
    assert python(lab, program) in {"403", "404"}


def test_the_exporters_are_those_of_jupyters_own_handler_and_for_the_user_alone(lab: Container, inside: Ask) -> None:
    usual = """
import json
from nbconvert.exporters import base
print(json.dumps({name: {"output_mimetype": base.get_exporter(name).output_mimetype}
                  for name in base.get_export_names()}))
"""
    ask = asker(lab)
    assert json.loads(ask("/api/nbconvert")) == json.loads(python(lab, usual))
    assert requests.get(f"{address(lab)}/api/nbconvert", timeout=PATIENCE).status_code == 403
    served = "print([h.target.__module__ for h in server.web_app.wildcard_router.rules if h.name == '']); import sys; "
    assert "nbconvert.exporters" not in inside(f"{served} print([name for name in sys.modules if 'nbconvert' in name])")


def test_the_launcher_is_an_extension_that_lab_takes(lab: Container) -> None:
    _, listed = lab.exec_run(["jupyter", "labextension", "list"])
    assert re.search(r"@stateroom/lab\S* v\S+ .*enabled.*OK", listed.decode()), listed.decode()
    (entry,) = (folder_of("unified") / "labextension" / "static").iterdir()
    served = fetched(f"{address(lab)}/lab/extensions/@stateroom/lab/static/{entry.name}")
    assert served.content == entry.read_bytes()


# The server's limits


def test_everything_that_counts_cores_counts_the_servers(lab: Container) -> None:
    program = """
import joblib, os, polars, pyarrow
print(os.cpu_count(), os.process_cpu_count(), joblib.cpu_count(), polars.thread_pool_size(), pyarrow.cpu_count())
"""
    assert python(lab, program) == "1 1 1 1 1"
    assert run(lab, "nproc") == "1"


@pytest.mark.parametrize(
    "program",
    [
        "cat(parallel::detectCores(), getOption('mc.cores'))",
        "library(parallel); cat(detectCores(), getOption('mc.cores'))",
        "cat(parallel::detectCores(logical = FALSE), parallel::detectCores(TRUE))",
        "library(data.table); cat(getDTthreads(), parallel::detectCores())",
    ],
)
def test_r_counts_the_servers_cores_without_a_word(lab: Container, program: str) -> None:
    said = run(lab, "Rscript", "-e", f"options(warn = 2); suppressPackageStartupMessages({{{program}}})")
    assert said == "1 1"


def test_r_counts_as_ever_where_it_is_told_nothing(lab: Container) -> None:
    count = "cat(parallel::detectCores() == as.integer(system('grep -c ^processor /proc/cpuinfo', intern = TRUE)))"
    assert run(lab, "env", "-u", "MC_CORES", "Rscript", "-e", count) == "TRUE"


def test_the_use_of_the_servers_limits_is_told(lab: Container) -> None:
    found = json.loads(asker(lab)("/api/metrics/v1"))
    assert found["limits"]["memory"]["rss"] == 2048 * MiB
    assert found["limits"]["cpu"]["cpu"] == 1
    assert 0 < found["rss"] < 2048 * MiB
