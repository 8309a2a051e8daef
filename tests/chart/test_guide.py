"""The guide of the chart's README, followed word by word, up to a login with OAuth and a running server.

What cannot be had here is played: a registry (the node has the images), an
ingress controller (the tests come in by the Service), and GitHub (a provider
of the test's own).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import yaml

from harness import cluster, helm
from harness.certificates import make_certificate
from harness.helm import CHART
from harness.hub import wait_for, xsrf
from harness.pods import core, kubectl, kubectl_program, read_or_none, service_account_is_there, until
from harness.release import Release
from harness.resolver import leading_to
from stateroom.images.sources import UNIFIED

README = (CHART / "README.md").read_text()
GUIDE = README[README.index("## From an empty cluster") : README.index("## Day by day")]
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]
CATALOG, VALUES = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
NOT_HERE = ("stateroom images build", "stateroom images push")  # tests of the images themselves run them
CLIENT_SECRET = "xyz"
HOST = "hub.example.org"


class Provider(BaseHTTPRequestHandler):
    """Lets everybody in as ada, who brings the code and the client's secret."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if asked.path == "/authorize":
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            assert query["client_id"] == "abc"
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?code=c0de&state={query['state']}")
            self.end_headers()
        else:
            assert self.headers["Authorization"] == "Bearer t0ken"
            self._answer({"login": "ada"})

    def do_POST(self) -> None:
        given = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        known = given["code"] == ["c0de"] and given["client_secret"] == [CLIENT_SECRET]
        self._answer({"access_token": "t0ken", "token_type": "Bearer"} if known else {"error": "who?"})

    def _answer(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def provider() -> Iterator[str]:
    """Somebody who knows users, where pods and this machine reach it; its address."""
    with ThreadingHTTPServer((cluster.HOST, 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{cluster.HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(30)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader has put what the guide shows."""
    folder = tmp_path_factory.mktemp("guide")
    (folder / "catalog.yaml").write_text(CATALOG)
    (folder / "values.yaml").write_text(VALUES)
    (folder / "helm").symlink_to(CHART.parent)
    make_certificate(folder / "tls.crt", folder / "tls.key", HOST)
    return folder


@pytest.fixture(scope="module")
def namespace(images: None) -> Iterator[str]:  # noqa: ARG001 - made first
    """That of the guide, which its own command makes."""
    yield "notebooks"
    if read_or_none(core().read_namespace, "notebooks"):
        kubectl("delete", "namespace", "notebooks", "--wait=false")


@pytest.mark.usefixtures("namespace")
def test_the_guide_leads_to_a_login_and_a_server(folder: Path) -> None:
    with provider() as address:
        here = of_this_machine(address)
        (folder / "here.yaml").write_text(yaml.safe_dump(here))
        for command in COMMANDS:
            if not command.startswith(NOT_HERE):
                followed(command, folder)
        release = Release("hub", "notebooks")
        (ingress,) = json.loads(release.kubectl("get", "ingress", "--output=json"))["items"]
        assert ingress["spec"]["tls"] == [{"hosts": ["hub.example.org", "*.hub.example.org"], "secretName": "hub-tls"}]

        with requests.Session() as ada, leading_to(urlsplit(release.url).hostname or "", HOST):
            hub = release.url.replace(urlsplit(release.url).hostname or "", HOST)
            landed = ada.get(f"{hub}/hub/oauth_login", timeout=30)
            assert landed.ok
            assert "/hub/spawn" in landed.url or "/hub/home" in landed.url, landed.url
            page = f"{hub}/hub/spawn/ada"
            assert "Standard" in ada.get(page, timeout=30).text
            answer = ada.post(page, data={"_xsrf": xsrf(ada), "size": "small"}, allow_redirects=False, timeout=30)
            assert answer.status_code == 302, answer.text
            own = hub.replace(HOST, f"ada.{HOST}")
            lab = f"{own}/user/ada/lab"
            wait_for(lambda: ada.get(lab, timeout=30).url.startswith(lab), "ada's server", pause=1)
            assert ada.get(f"{own}/user/ada/api/status", timeout=30).ok
        said = release.helm("uninstall", "hub", "--wait")
        assert "1 stopped" in said


def of_this_machine(address: str) -> dict[str, object]:
    """What is another here than in the guide: no registry, and a provider of the test's own."""
    catalog = CATALOG.replace(f"registry.example/notebooks/{UNIFIED}", UNIFIED)
    assert catalog != CATALOG
    return {
        "registry": "",
        "catalog": catalog,
        "hub": {
            "config": {
                # The test comes in by the Service, without TLS.
                "JupyterHub": {"authenticator_class": "generic-oauth", "subdomain_host": f"http://{HOST}"},
                "OAuthenticator": {"oauth_callback_url": ""},
                "GenericOAuthenticator": {
                    "authorize_url": f"{address}/authorize",
                    "token_url": f"{address}/token",
                    "userdata_url": f"{address}/user",
                    "username_claim": "login",
                },
            }
        },
    }


def followed(command: str, folder: Path) -> None:
    """Run a command of the guide in the reader's folder; with what is another here, where it is Helm's."""
    programs = [Path(sys.executable).parent, Path(helm.program()).parent, Path(kubectl_program()).parent]
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    if command.startswith("helm upgrade"):
        command = f"{command.replace('--set-file catalog=catalog.yaml', '')} --values here.yaml"
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=os.environ | {"PATH": path, "KUBECONFIG": str(cluster.kubeconfig())},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    if command.startswith("kubectl create namespace"):
        until(lambda: service_account_is_there("notebooks"), "the namespace has its service account")
    assert "FAIL" not in done.stdout, done.stdout
