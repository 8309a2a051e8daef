"""A proxy beside the hub, as a cluster has it: each restarts, and the users' servers stay reachable."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from harness.configured_hub import ConfiguredHub
from harness.hub import PATIENCE, Person, free_port, wait_for
from harness.skips import skip_without_image
from stateroom.cli.screen import Screen
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.proxy import install_proxy

SECRET = "of-hub-and-proxy"
CONFIGURATION = """
c.JupyterHub.proxy_class = "stateroom.hub.proxy.StateroomProxy"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = {secret!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{port}"
c.JupyterHub.cleanup_proxy = False
"""
HERE = "127.0.0.1"
NOWHERE = f"http://{HERE}:9"


class SeparateProxy:
    """A configurable-http-proxy that is none of the hub's processes."""

    def __init__(self, data: Path, port: int, api_port: int) -> None:
        self._log = data / "separate-proxy.log"
        # A default target of its own, as in a cluster, which is not to be taken for the hub's route.
        self._command = [*install_proxy(DataFolder(data), Screen()), "--default-target", NOWHERE]
        self._command += [f"--ip={HERE}", f"--port={port}", f"--api-ip={HERE}", f"--api-port={api_port}"]
        self._process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        environment = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": SECRET}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ConfiguredHub, SeparateProxy]]:
    skip_without_image()
    api_port = free_port()
    hub = ConfiguredHub(tmp_path_factory.mktemp("separate"), CONFIGURATION.format(secret=SECRET, port=api_port), "http")
    proxy = SeparateProxy(hub.data, hub.port, api_port)
    try:
        proxy.up()
        hub.up()
        yield hub, proxy
    finally:
        hub.down()
        proxy.kill()
    assert not re.search("Task was destroyed|Unclosed|never retrieved", hub.log())


@pytest.fixture(scope="module")
def hub(scene: tuple[ConfiguredHub, SeparateProxy]) -> ConfiguredHub:
    return scene[0]


@pytest.fixture(scope="module")
def proxy(scene: tuple[ConfiguredHub, SeparateProxy]) -> SeparateProxy:
    return scene[1]


def test_a_proxy_that_was_killed_and_came_back_has_all_routes(
    hub: ConfiguredHub, proxy: SeparateProxy, person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    person.started({"user_options": {"size": "small"}})
    headers = {"Authorization": f"token {person.token}"}
    assert works(hub, person)

    proxy.kill()
    wait_for(lambda: "The proxy does not answer" in hub.log(), "the hub's word of it")
    answer = requests.post(f"{own_address(hub)}api/users/{person.name}/servers/second", headers=headers, timeout=60)
    assert answer.status_code in {201, 202}, answer.text
    begun = time.monotonic()
    proxy.up()

    # Without our proxy class the hub looks at its routes every five minutes.
    wait_for(lambda: works(hub, person), "the user's server", pause=0.02)
    seconds = time.monotonic() - begun
    person.wait_until_ready("second")
    wait_for(lambda: works(hub, person, "second"), "the server that was started meanwhile")
    with capsys.disabled():
        print(f"\n{seconds:.1f} s from the proxy's start to the user's server", end=" ")  # noqa: T201 - the result
    assert hub.log().count("The proxy does not answer") == 1


def test_users_do_not_notice_that_their_hub_is_killed_and_comes_back(hub: ConfiguredHub, person: Person) -> None:
    person.started({"user_options": {"size": "small"}})
    with watched(hub, person) as answers:
        hub.kill()
        hub.up()
        person.wait_until_ready()
        time.sleep(2)  # the hub's first looks at the proxy
    assert set(answers) == {200}
    assert len(answers) > 50


def works(hub: ConfiguredHub, person: Person, server: str = "") -> bool:
    return status(hub, person, server) == 200


def status(hub: ConfiguredHub, person: Person, server: str = "") -> int:
    """What the user's server, rather than the hub, answers to anybody; 0 for no answer."""
    path = "/".join(part for part in ("user", person.name, server, "api") if part)
    try:
        answer = requests.get(f"{hub.url}/{path}", timeout=10, allow_redirects=False)
    except requests.RequestException:
        return 0
    return answer.status_code


def own_address(hub: ConfiguredHub) -> str:
    """Where the hub is reached beside the proxy."""
    return re.findall(r"Hub API listening on (\S+)", hub.log())[-1]


@contextmanager
def watched(hub: ConfiguredHub, person: Person) -> Iterator[list[int]]:
    """What the user's server answered meanwhile, asked all the time."""
    answers: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.02):
            answers.append(status(hub, person))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join(PATIENCE)
