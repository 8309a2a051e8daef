"""A hub with a configuration file of its own, as an administrator writes one: `jupyterhub -f`, not `stateroom up`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.hub import PATIENCE, Hub, free_port, wait_for
from stateroom.cli.screen import Screen
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.proxy import install_proxy

_CONFIGURATION = """\
import stateroom

c.JupyterHub.hub_port = {hub_port}
stateroom.configure(c, catalog={catalog!r}, data={data!r}, backend={backend!r})
c.JupyterHub.authenticator_class = "stateroom-accounts"
c.AccountsAuthenticator.accounts_file = {accounts!r}
c.JupyterHub.bind_url = {url!r}
c.ConfigurableHTTPProxy.command = {proxy!r}
c.ConfigurableHTTPProxy.api_url = "{scheme}://127.0.0.1:{proxy_port}"
c.JupyterHub.allow_named_servers = True
{more}
"""


class ConfiguredHub(Hub):
    """As `Hub`, with lines of its configuration file of the test's own."""

    backend = "docker"

    def __init__(self, data: Path, more: str, scheme: str) -> None:
        super().__init__(data)
        folder = DataFolder(data)
        folder.make()
        self._configuration = data / "jupyterhub_config.py"
        self._configuration.write_text(
            _CONFIGURATION.format(
                catalog=str(self.catalog),
                data=str(data),
                accounts=str(folder.accounts),
                url=self.url,
                hub_port=free_port(),
                backend=self.backend,
                proxy=list(install_proxy(folder, Screen())),
                proxy_port=free_port(),
                scheme=scheme,
                more=more,
            )
        )

    def up(self) -> None:
        """Start the hub and wait until it answers."""
        command = [sys.executable, "-P", "-m", "jupyterhub", "-f", self._configuration]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["env", "--default-signal=INT", *command],
                cwd=self.data,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=0o077,
            )
        wait_for(self._answers, "the hub")

    def kill(self) -> None:
        """Kill the hub. Its proxy is left behind, as by an out-of-memory killer."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(PATIENCE)

    def down(self) -> None:
        """Stop the hub with its proxy, and remove everything that only a test leaves behind."""
        try:
            if self._process is not None:
                self.interrupt()
        finally:
            if self._process is not None:
                self._process.kill()
                self._process.wait(PATIENCE)
            self.servers.remove_everything()


@contextmanager
def configured_hub(data: Path, more: str, scheme: str = "http") -> Iterator[ConfiguredHub]:
    """A hub from start to end."""
    hub = ConfiguredHub(data, more, scheme)
    try:
        hub.up()
        yield hub
    finally:
        hub.down()
