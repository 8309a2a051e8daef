"""A JupyterHub of one side with its proxy, driven over the hub's REST API as a client would."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import aiohttp

from benchmark.side_by_side.side import Side
from harness.hub import free_port
from stateroom.common import parent_death

_PAUSE = 0.02
_LONG_PAUSE = 0.2  # where nothing is timed
_TICKS = os.sysconf("SC_CLK_TCK")

# The same for both sides; the side's own lines follow. No limit of the hub's own stands in a burst's way.
_CONFIGURATION = """\
end_with_parent({parent})
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.bind_url = "http://127.0.0.1:{public_port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cookie_secret_file = "cookie-secret"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.services = [{{"name": "benchmark", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [
    {{"name": "benchmark", "services": ["benchmark"], "scopes": ["admin:users", "admin:servers", "access:servers"]}}
]
c.JupyterHub.concurrent_spawn_limit = 0
c.Spawner.start_timeout = 600
c.Spawner.http_timeout = 300
c.Spawner.consecutive_failure_limit = 0
"""


class StartFailed(Exception):
    """The hub reported that a server could not be started."""


class Hub:
    """A hub that is measured. Its proxy runs apart from it, so that a kill of the hub is of the hub alone.

    `python` has the hub's packages, and `environment` is the hub's but for what
    the benchmark adds; both are this process's own if left out.
    """

    def __init__(
        self,
        side: Side,
        folder: Path,
        proxy: Sequence[str],
        python: str = sys.executable,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.side = side
        self.name = side.name
        self._folder = folder
        self._proxy_command = proxy
        self._python = python
        self._environment = environment
        self._token = uuid4().hex
        self._proxy_token = uuid4().hex
        self._ports = {name: free_port() for name in ("public_port", "hub_port", "proxy_port")}
        self.url = f"http://127.0.0.1:{self._ports['public_port']}"
        self._api = f"http://{side.gateway}:{self._ports['hub_port']}/hub/api"
        self._log = folder / "hub.log"
        self._process: subprocess.Popen[bytes] | None = None
        configuration = _CONFIGURATION.format(parent=os.getpid(), token=self._token, **self._ports)
        # As text, since the hub's Stateroom may be another commit's, or there may be none.
        helper = inspect.getsource(parent_death)
        (folder / "jupyterhub_config.py").write_text(f"{helper}\n{configuration}{side.configuration(folder)}")

    async def up(self, engine: str = "") -> float:
        """Start the hub, with the engine at this address if one is named; seconds until its API answers."""
        began = time.monotonic()
        environment = {**self._environment, "CONFIGPROXY_AUTH_TOKEN": self._proxy_token}
        command = [self._python, "-P", "-m", "jupyterhub", "-f", "jupyterhub_config.py"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**environment, self.side.engine_variable: engine} if engine else environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the benchmark, which then ends it
            )
        async with self._session() as session:
            while not await self._answers(session):
                if self._process.poll() is not None:
                    raise StartFailed(f"The hub of {self.side.name} ended:\n{self.last_words()}")
                await asyncio.sleep(_PAUSE)
        return time.monotonic() - began

    def end(self, number: int = signal.SIGTERM) -> None:
        """End the hub, not its servers. Idempotent."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @contextmanager
    def proxied(self) -> Iterator[None]:
        """Run the proxy while the body runs; the hub is ended with it."""
        command = [
            *self._proxy_command, "--log-level", "warn",
            "--ip", "127.0.0.1", "--port", str(self._ports["public_port"]),
            "--api-ip", "127.0.0.1", "--api-port", str(self._ports["proxy_port"]),
        ]  # fmt: skip
        environment = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": self._proxy_token}
        with self._log.open("ab") as log:
            proxy = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            self.end()
            proxy.kill()
            proxy.wait()

    async def add_users(self, names: Sequence[str]) -> None:
        """Make users."""
        async with self._session() as session, session.post("users", json={"usernames": names}) as answer:
            answer.raise_for_status()

    async def start(self, user: str, image: str = "") -> float:
        """Start a server; seconds until the hub calls it ready.

        The hub answers when it is ready, or after ten seconds, when its progress
        stream takes over. Raises StartFailed.
        """
        began = time.monotonic()
        path = f"users/{user}/server"
        body = {"user_options": {"image": image}} if image else None
        async with self._session() as session:
            async with session.post(path, json=body) as answer:
                if answer.status not in {201, 202}:
                    raise StartFailed(f"{self.side.name}, {user}: {answer.status} {await answer.text()}")
            if answer.status == 202:
                await self._ready(session, user)
        return time.monotonic() - began

    async def stop(self, user: str) -> float:
        """Stop a server; seconds until the hub calls it stopped."""
        began = time.monotonic()
        async with self._session() as session:
            async with session.delete(f"users/{user}/server") as answer:
                answer.raise_for_status()
            while answer.status == 202 and await self._active(session, user):
                await asyncio.sleep(_PAUSE)
        return time.monotonic() - began

    def has_server(self, user: str) -> bool:
        """Whether the engine has the user's server, running or not."""
        return self.side.has_server(user)

    async def start_all(self, users: Sequence[str]) -> list[float]:
        """Start all at once; how long each waited, the shortest first."""
        return sorted(await asyncio.gather(*map(self.start, users)))

    async def stop_all(self, users: Sequence[str]) -> None:
        """Stop all, until the engine has none of them."""
        await asyncio.gather(*map(self.stop, users))
        while self.side.servers():
            await asyncio.sleep(_LONG_PAUSE)

    async def ready(self) -> int:
        """How many users' servers are ready."""
        async with self._session() as session, session.get("users", params={"state": "ready", "limit": "200"}) as users:
            users.raise_for_status()
            return len(await users.json())

    def cpu_seconds(self) -> float:
        """What the hub's process has computed, without its children."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def last_words(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-3000:]

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get("") as answer:
                return answer.ok
        except aiohttp.ClientConnectionError:
            return False

    async def _ready(self, session: aiohttp.ClientSession, user: str) -> None:
        async with session.get(f"users/{user}/server/progress") as events:
            async for line in events.content:
                event = json.loads(line.removeprefix(b"data:")) if line.startswith(b"data:") else {}
                if event.get("failed"):
                    raise StartFailed(f"{self.side.name}, {user}: {event.get('message')}")
                if event.get("ready"):
                    return
        raise StartFailed(f"{self.side.name}, {user}: the progress stream ended")

    async def _active(self, session: aiohttp.ClientSession, user: str) -> bool:
        async with session.get(f"users/{user}") as answer:
            answer.raise_for_status()
            return bool((await answer.json())["servers"])

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        headers = {"Authorization": f"token {self._token}"}
        no_limit = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(f"{self._api}/", headers=headers, timeout=no_limit) as session:
            yield session
