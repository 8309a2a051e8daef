"""The real thing for tests: `stateroom up` as a process of its own, and people who use it over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import requests

from harness.servers import Servers

CATALOG = Path(__file__).parents[2] / "config" / "catalog.yaml"
# Tests of the whole catalog run on small machines too; what is lacking is for the tests of that alone.
ON_ANY_MACHINE = "docker: {capacity: {memory: 10}}\n"
STATEROOM = str(Path(sys.executable).with_name("stateroom"))

# The hub answers within seconds; what takes as long as this does not happen.
PATIENCE = 90.0
LONGEST_COMMAND_SECONDS = 300.0  # of `stateroom`, unless it builds images

_Value = TypeVar("_Value")


def wait_for(look: Callable[[], _Value], what: str, seconds: float = PATIENCE, pause: float = 0.1) -> _Value:
    """The first true value of `look`; fails the test when there is none in time."""
    until = time.monotonic() + seconds
    while not (value := look()):
        assert time.monotonic() < until, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(pause)
    return value


class Site(Protocol):
    """A hub as its people know it."""

    @property
    def url(self) -> str:
        """Where it is for a browser."""

    def log(self) -> str:
        """What it logged."""


class Hub:
    """A hub of its own: data folder, port, id and catalog that no other test has."""

    host_names = False
    scheme = "http"

    def __init__(self, data: Path, *options: str) -> None:
        self._options = options
        self.id = f"test-{uuid4().hex[:10]}"
        self.data = data
        self.port = free_port()
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"
        self.catalog = data / "test-catalog.yaml"
        self.catalog.write_text(f"hub: {self.id}\n{CATALOG.read_text()}\n{ON_ANY_MACHINE}")
        self.servers = Servers(self.id)
        self._log = data / "up.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._people = count(1)

    def up(self) -> None:
        """Start the hub and wait until it answers."""
        # What a shell starts in the background inherits a deaf ear for Ctrl-C; a person's terminal gives none.
        hearing = ["env", "--default-signal=INT"]
        own = ["--data", self.data, "--port", str(self.port), "--catalog", self.catalog]
        # Programs alone need no host names; `HubOfNames` has them.
        names = [] if self.host_names else ["--one-host-name"]
        command = [*hearing, STATEROOM, "up", *own, *names, *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._answers, "the hub")

    def interrupt(self) -> int:
        """End `stateroom up` as Ctrl-C does; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill `up` and the hub at once. Its proxy is left behind, as by an out-of-memory killer."""
        assert self._process is not None
        hubs = self.processes()
        assert hubs, "the hub's process was not found"
        for pid in (self._process.pid, *hubs):
            os.kill(pid, signal.SIGKILL)
        self._process.wait(PATIENCE)

    def processes(self) -> list[int]:
        """The hub's own process, if it runs: neither the proxy nor the hub's services."""
        return self.programs("stateroom.hub.process")

    def programs(self, name: str) -> list[int]:
        """The Python processes of `up` that run a program."""
        assert self._process is not None
        return [pid for pid in descendants(self._process.pid) if runs(pid, name)]

    def down(self) -> None:
        """Stop everything, and remove everything that only a test leaves behind."""
        try:
            self.command("down")
        finally:
            if self._process is not None:
                self._process.kill()
                self._process.wait(PATIENCE)
            self.servers.remove_everything()

    def command(self, *words: str, stdin: str = "") -> str:
        """Run `stateroom`; what it printed."""
        command = [STATEROOM, *words, "--data", self.data]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=False, timeout=LONGEST_COMMAND_SECONDS
        )
        assert done.returncode == 0, f"stateroom {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def person(self, *options: str, name: str = "") -> Person:
        """Somebody new, with an account and nothing else."""
        name, password = name or f"person{next(self._people)}", uuid4().hex
        self.command("user", "add", name, *options, "--stdin", stdin=f"{password}\n")
        return Person(self, name, password)

    def save_catalog(self, text: str) -> None:
        """Save the catalog as an editor does, and wait until the hub says that it has read it."""
        if text == self.catalog.read_text():
            return
        before = self._readings()
        self.catalog.write_text(text)
        wait_for(lambda: self._readings() > before, "the hub's word about the catalog", pause=0.05)

    def make_group(self, admin: Person, name: str, *members: Person) -> None:
        """Make a group of the hub with these members, whom the hub knows once they have logged in."""
        for member in members:
            assert member.web
        assert admin.api("POST", f"groups/{name}").status_code in {201, 409}
        answer = admin.api("POST", f"groups/{name}/users", json={"users": [member.name for member in members]})
        assert answer.ok, answer.text

    def _readings(self) -> int:
        log = (self.data / "log" / "hub.log").read_text(errors="replace")
        return log.count("The catalog was read again") + log.count("The catalog is broken")

    def log(self) -> str:
        """All that `up` printed and all that its programs logged."""
        files = [self._log, *sorted(self.data.rglob("*.log"))]
        return "\n".join(file.read_text(errors="replace") for file in dict.fromkeys(files))

    def _answers(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"`stateroom up` ended with exit code {code}:\n{self.log()[-5000:]}"
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{self.scheme}://127.0.0.1:{self.port}/hub/api/", timeout=5).ok
        return False


class HubOfNames(Hub):
    """As `stateroom up` is without options: each user's servers have a host name of their own, for browsers."""

    host_names = True

    def __init__(self, data: Path, *options: str) -> None:
        super().__init__(data, *options)
        self.url = f"{self.scheme}://hub.localhost:{self.port}"

    def server(self, name: str) -> str:
        """Where a user's server is for a browser."""
        return f"{self.scheme}://{name}.hub.localhost:{self.port}/user/{name}"


@contextmanager
def running_hub(data: Path) -> Iterator[Hub]:
    """A hub from `up` to `down`."""
    hub = Hub(data)
    try:
        hub.up()
        yield hub
    finally:
        hub.down()


class Person:
    """Somebody with an account: a browser's session, and a token for the REST API."""

    def __init__(self, hub: Site, name: str, password: str) -> None:
        self.hub = hub
        self.name = name
        self.password = password

    @cached_property
    def web(self) -> requests.Session:
        """A session that is logged in, with its cookies."""
        session = requests.Session()
        session.get(f"{self.hub.url}/hub/login").raise_for_status()
        fields = {"username": self.name, "password": self.password, "_xsrf": xsrf(session)}
        # Stop at the redirect: it leads to the start of a server.
        answer = session.post(f"{self.hub.url}/hub/login", data=fields, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        session.get(f"{self.hub.url}/hub/home").raise_for_status()
        return session

    @cached_property
    def token(self) -> str:
        """A token that may do all that the person may."""
        answer = self.web.post(
            f"{self.hub.url}/hub/api/users/{self.name}/tokens", headers={"X-XSRFToken": xsrf(self.web)}
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def api(self, method: str, path: str, **settings: Any) -> requests.Response:
        """Call the hub's REST API as this person."""
        return call_api(self.hub, self.token, method, path, **settings)

    def start(self, body: object = None, server: str = "") -> requests.Response:
        """Ask over REST for a server. `body` is JSON's text, or what becomes it; None sends no body."""
        data = body if isinstance(body, str) or body is None else json.dumps(body)
        return self.api("POST", self._server_path(server), data=data)

    def submit(self, fields: Mapping[str, str | list[str]], server: str = "") -> requests.Response:
        """Submit the form on the hub's start page."""
        page = f"{self.hub.url}/hub/spawn/{self.name}{f'/{server}' if server else ''}"
        self.web.get(page).raise_for_status()
        answer = self.web.post(page, data={"_xsrf": xsrf(self.web), **fields}, allow_redirects=False)
        answer.close()
        return answer

    def started(self, body: object = None, server: str = "") -> None:
        """Start a server over REST and wait until it is ready."""
        answer = self.start(body, server)
        assert answer.status_code in {201, 202}, answer.text
        self.wait_until_ready(server)

    def submitted(self, fields: Mapping[str, str | list[str]]) -> None:
        """Start a server by the form and wait until it is ready."""
        answer = self.submit(fields)
        assert answer.status_code == 302, answer.text
        self.wait_until_ready()

    def stop(self, server: str = "", *, remove: bool = False) -> None:
        """Stop a server and wait until it is gone."""
        answer = self.api("DELETE", self._server_path(server), data=json.dumps({"remove": remove}))
        assert answer.status_code in {202, 204}, answer.text
        wait_for(lambda: not self.active(server), "the server's end")

    def server(self, server: str = "") -> dict[str, Any] | None:
        """What the hub says of an active server, None if it knows none."""
        answer = self.api("GET", f"users/{self.name}")
        answer.raise_for_status()
        found: dict[str, Any] | None = answer.json()["servers"].get(server)
        return found

    def active(self, server: str = "") -> bool:
        """Whether the hub knows the server as running, starting or stopping."""
        found = self.server(server)
        return found is not None and bool(found["ready"] or found["pending"])

    def wait_until_ready(self, server: str = "") -> None:
        """Wait for the end of a start."""

        def ready() -> bool:
            found = self.server(server)
            assert found is not None, f"the start failed:\n{self.hub.log()[-3000:]}"
            return bool(found["ready"])

        wait_for(ready, "the server")

    def progress(self, server: str = "") -> Iterator[dict[str, Any]]:
        """The events of a start, as the hub's page hears them."""
        return progress_events(self.hub, self.token, self._server_path(server))

    def reaches_server(self) -> bool:
        """Whether the person's server answers through the proxy, to a browser."""
        answer = self.web.get(f"{self.hub.url}/user/{self.name}/api", timeout=20, allow_redirects=False)
        return answer.status_code == 200

    def close(self) -> None:
        """Close the session's connections."""
        if "web" in self.__dict__:
            self.web.close()

    def _server_path(self, server: str) -> str:
        return f"users/{self.name}/servers/{server}" if server else f"users/{self.name}/server"


def call_api(hub: Site, token: str, method: str, path: str, **settings: Any) -> requests.Response:
    """Call the hub's REST API with a token."""
    headers = {"Authorization": f"token {token}", **settings.pop("headers", {})}
    return requests.request(method, f"{hub.url}/hub/api/{path}", headers=headers, timeout=PATIENCE, **settings)


def progress_events(hub: Site, token: str, path: str) -> Iterator[dict[str, Any]]:
    """The events of a server's start. `path` is the server's in the REST API."""
    headers = {"Accept": "text/event-stream"}
    with call_api(hub, token, "GET", f"{path}/progress", stream=True, headers=headers) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines(chunk_size=1):
            if line.startswith(b"data:"):
                yield json.loads(line.removeprefix(b"data:"))


def starts_by_outcome(admin: Person) -> Counter[str]:
    """The hub's own count of failed starts: `error` counts towards its limit, `quota` is a reason that does not."""
    counts: Counter[str] = Counter()
    for labels, number in metrics(admin, "jupyterhub_server_spawn_duration_seconds_count"):
        for outcome in ("error", "quota"):
            counts[outcome] += int(number) if f'"{outcome}"' in labels else 0
    return counts


def metrics(admin: Person, name: str) -> list[tuple[str, float]]:
    """Labels and value of each of the hub's metrics of this name."""
    answer = requests.get(f"{admin.hub.url}/hub/metrics", headers={"Authorization": f"token {admin.token}"}, timeout=10)
    assert answer.ok, answer.text
    found = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", answer.text, re.MULTILINE)
    return [(labels, float(number)) for labels, number in found]


def xsrf(session: requests.Session) -> str:
    """The hub's XSRF cookie; a user's server sets one of its own on another path."""
    return next(cookie.value or "" for cookie in session.cookies if (cookie.name, cookie.path) == ("_xsrf", "/hub/"))


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and theirs."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (child, *descendants(child))]


def runs(pid: int, program: str) -> bool:
    """Whether a process is a Python that runs the program."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return "python" in Path(words[0]).name and any(program == word for word in words[1:])
    return False
