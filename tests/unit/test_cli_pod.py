"""The commands in the pod of a hub that a chart runs: what the variables say, against a cluster that is made up."""

from __future__ import annotations

import http.server
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.command import run
from harness.fake_cluster import FakeClient, FakeCluster
from stateroom.common.errors import CatalogError, SetupError
from stateroom.operations.local.pod_folder import PodFolder, default_folder, this_pod
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef

ID = "notebooks.hub"
ADA, HOME, GONE = ServerRef(ID, "ada"), HomeRef(ID, "ada", 1), HomeRef(ID, "bob", 2)
CATALOG = """
version: 1
images:
  - {id: unified, image: "stateroom/unified:1", default: true}
sizes:
  - {id: small, cpu: 1, memory: 1 GiB, default: true}
"""
KUBECTL = "kubectl --namespace space delete"
SELECTED = f"--selector io.stateroom.hub={ID},io.stateroom.kind=home"


class Answers(http.server.BaseHTTPRequestHandler):
    """A hub and a proxy's API at one address."""

    def do_GET(self) -> None:
        if self.path == "/hub/health":
            self.send_response(200)
        elif self.path.startswith("/api/routes?inactive_since="):
            self.send_response(200 if self.headers["Authorization"] == "token right" else 403)
        else:
            self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    cluster = FakeCluster()
    cluster.paths["/version"] = {"major": "1", "minor": "34", "gitVersion": "v1.34.4"}

    @contextmanager
    def connected(namespace: str, kept: str = "") -> Iterator[FakeClient]:
        assert not kept
        cluster.asked_namespaces.append(namespace)  # type: ignore[attr-defined]
        yield FakeClient(cluster)

    cluster.asked_namespaces = []  # type: ignore[attr-defined]
    monkeypatch.setattr("stateroom.operations.kubernetes.platform.connected", connected)
    monkeypatch.setattr("stateroom.operations.kubernetes.down.connected", connected)
    return cluster


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pod's data folder; its catalog and database are beside each other in it."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "catalog.yaml").write_text(CATALOG)
    for name, value in {
        "STATEROOM_HUB_ID": ID,
        "STATEROOM_DATA": str(data),
        "STATEROOM_CATALOG": str(data / "catalog.yaml"),
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("STATEROOM_DATABASE_URL", "STATEROOM_HUB_URL", "STATEROOM_PROXY_API_URL", "CONFIGPROXY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return data


@pytest.fixture
def database(data: Path) -> Path:
    """With ada, who is there, and no bob."""
    file = data / "jupyterhub.sqlite"
    with closing(sqlite3.connect(file)) as made:
        made.executescript(
            """
            CREATE TABLE users (id INTEGER, name TEXT);
            CREATE TABLE spawners (user_id INTEGER, server_id INTEGER, name TEXT);
            INSERT INTO users VALUES (1, 'ada');
            INSERT INTO spawners VALUES (1, NULL, '');
            """
        )
    return file


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(30)


def claim(home: HomeRef) -> Any:
    spec = {"resources": {"requests": {"storage": "10Gi"}}}
    return {"metadata": {"name": home.name, "annotations": dict(home.labels)}, "spec": spec}


def server(ref: ServerRef = ADA) -> Any:
    made = "2027-01-15T07:00:00Z"
    return {
        "metadata": {"name": ref.name, "annotations": dict(ref.labels), "creationTimestamp": made},
        "status": {"phase": "Running"},
    }


class TestSettings:
    def test_variables_and_catalog_say_what_up_keeps_elsewhere(self, data: Path) -> None:
        settings = default_folder().known_settings()
        assert (settings.hub_id, settings.backend) == (ID, "kubernetes")
        assert (settings.catalog, settings.homes, settings.namespace) == (str(data / "catalog.yaml"), "", "")

    def test_the_catalogs_id_goes_before_and_its_namespace_and_claim_count(self, data: Path) -> None:
        more = "hub: other\nkubernetes: {namespace: elsewhere}\nhome: {kubernetes: {claim: homes}}\n"
        (data / "catalog.yaml").write_text(f"{more}{CATALOG}")
        settings = default_folder().known_settings()
        assert (settings.hub_id, settings.homes, settings.namespace) == ("other", "homes", "elsewhere")

    def test_outside_of_a_pod_all_is_as_it_was(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("STATEROOM_HUB_ID")
        assert this_pod() is None
        assert not isinstance(default_folder(), PodFolder)
        run("homes", "list", "--data", data).assert_failure("No hub was ever started")

    def test_an_id_that_is_none_is_refused(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert data
        monkeypatch.setenv("STATEROOM_HUB_ID", "A B")
        with pytest.raises(CatalogError, match=r'^STATEROOM_HUB_ID: "A B" is not an id'):
            default_folder().known_settings()

    def test_a_catalog_that_does_not_hold_is_told_and_nothing_is_taken_for_granted(
        self, data: Path, cluster: FakeCluster
    ) -> None:
        (data / "catalog.yaml").write_text("hub: other\nsizes: 7\n")
        cluster.put("pods", server())
        run("down").assert_failure("The catalog does not hold", "catalog.yaml:2")
        assert not cluster.count("delete")

    def test_no_secret_is_shown(self, data: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        assert data
        assert cluster
        monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "not-told")
        monkeypatch.setenv("STATEROOM_DATABASE_URL", "postgresql+psycopg://hub:not-told@127.0.0.1:1/hub")
        assert "not-told" not in repr(default_folder())
        outcome = run("homes")
        outcome.assert_failure("postgresql+psycopg://hub:***@127.0.0.1:1/hub cannot be read")
        assert "not-told" not in outcome.err


class TestCommands:
    def test_homes_are_listed(self, database: Path, cluster: FakeCluster) -> None:
        assert database
        for home in (HOME, GONE):
            cluster.put("persistentvolumeclaims", claim(home))
        out = run("homes").assert_success().out
        assert f"{HOME.name}: of ada (number 1)\n" in out
        assert f"{GONE.name}: of bob (number 2), who is gone" in out

    def test_a_home_is_handed_over_in_the_pods_data_folder(
        self, database: Path, data: Path, cluster: FakeCluster
    ) -> None:
        assert database
        cluster.put("persistentvolumeclaims", claim(GONE))
        run("homes", "assign", "bob", "--to", "ada", "--yes").assert_success()
        assert GONE.name in run("homes").out
        assert (data / "homes.json").exists()

    def test_gc_takes_the_hub_for_running_and_holds_nothing(
        self, database: Path, data: Path, cluster: FakeCluster
    ) -> None:
        assert database
        cluster.put("pods", server())
        out = run("gc", "--dry-run").assert_success().out
        assert f"would remove server {ADA.name}: server of ada, running" in out
        assert not (data / "up.lock").exists()

    def test_a_namespace_of_the_catalogs_is_asked(self, database: Path, data: Path, cluster: FakeCluster) -> None:
        assert database
        (data / "catalog.yaml").write_text(f"kubernetes: {{namespace: elsewhere}}\n{CATALOG}")
        run("homes").assert_success()
        assert cluster.asked_namespaces == ["elsewhere"]  # type: ignore[attr-defined]

    def test_check_and_explain_take_the_hubs_catalog(self, data: Path) -> None:
        assert f"{data / 'catalog.yaml'} holds: 1 image and 1 size" in run("check").assert_success().out
        assert "ada, in no group" in run("explain", "--user", "ada").assert_success().out
        run("check", data / "none.yaml").assert_failure("none.yaml")

    @pytest.mark.parametrize(
        ("words", "instead"),
        [
            (("up",), "helm upgrade"),
            (("user", "add", "ada"), "hub.config"),
            (("user", "password", "ada"), "hub.config"),
            (("user", "remove", "ada"), "hub.config"),
            (("user", "list"), "hub.config"),
        ],
    )
    def test_what_makes_no_sense_there_says_what_to_do_instead(
        self, data: Path, words: tuple[str, ...], instead: str
    ) -> None:
        before = sorted(data.iterdir())
        outcome = run(*words)
        outcome.assert_failure("This is the pod of a hub that Helm looks after", instead)
        assert outcome.status == 1
        assert sorted(data.iterdir()) == before


class TestDown:
    def test_servers_end_and_homes_stay_with_the_command_that_deletes_them(
        self, data: Path, cluster: FakeCluster
    ) -> None:
        for home in (HOME, GONE):
            cluster.put("persistentvolumeclaims", claim(home))
        cluster.put("pods", server())
        cluster.put("pods", server(ServerRef("another", "ada")))
        before = sorted(data.iterdir())
        out = run("down").assert_success().out
        assert "Servers    1 stopped" in out
        assert f"Homes      2 are kept, the claims {HOME.name}, {GONE.name} of the namespace space" in out
        assert f"for good they go with: {KUBECTL} persistentvolumeclaims {SELECTED}" in out
        assert "Hub        is a pod of its own, which `helm uninstall RELEASE` takes down" in out
        assert [name for kind, name in cluster.objects if kind == "pods"] == [ServerRef("another", "ada").name]
        assert sorted(data.iterdir()) == before

    @pytest.mark.parametrize("catalog", [True, False])
    def test_folders_of_a_shared_claim_stay_in_it(self, data: Path, cluster: FakeCluster, catalog: bool) -> None:
        if catalog:
            (data / "catalog.yaml").write_text(f"home: {{kubernetes: {{claim: homes}}}}\n{CATALOG}")
        else:
            (data / "catalog.yaml").unlink()
        cluster.put("configmaps", claim(HOME))
        out = run("down").assert_success().out
        where = "homes" if catalog else "that they share"
        assert f"1 is kept, the folder {HOME.name} in the claim {where} of the namespace space" in out
        assert f"{KUBECTL} configmaps {SELECTED}" in out
        assert f"{KUBECTL} persistentvolumeclaims {'homes' if catalog else 'NAME'}\n" in out

    def test_without_a_data_folder_there_is_nothing_that_it_needs(self, data: Path, cluster: FakeCluster) -> None:
        (data / "catalog.yaml").unlink()
        data.rmdir()
        cluster.put("pods", server())
        out = run("down").assert_success().out
        assert "1 stopped" in out
        assert "Homes      there are none" in out
        assert not data.exists()

    def test_what_a_hub_that_still_runs_begins_meanwhile_ends_too(
        self, data: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert data
        cluster.put("pods", server())
        delete, late = cluster.delete, [server(ServerRef(ID, "late"))]

        async def begin_another(*which: Any) -> None:
            await delete(*which)
            if late:
                cluster.put("pods", late.pop())

        monkeypatch.setattr(cluster, "delete", begin_another)
        assert "2 stopped" in run("down").assert_success().out
        assert not cluster.objects


class TestDoctor:
    def findings(self) -> dict[str, str]:
        out = run("doctor").out
        return {line[5:15].strip(): line for line in reversed(out.splitlines())}

    def test_hub_and_proxy_are_looked_for_where_the_chart_says(
        self, database: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        assert database
        assert cluster
        monkeypatch.setenv("STATEROOM_HUB_URL", address)
        monkeypatch.setenv("STATEROOM_PROXY_API_URL", address)
        monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "right")
        found = self.findings()
        assert found["Hub"] == f"ok   Hub       answers at {address}, where servers and the proxy ask it"
        assert found["Proxy"] == f"ok   Proxy     answers at {address}, where the hub asks it"
        assert found["Hub's id"] == f"ok   Hub's id  {ID}"
        assert found["Orphans"] == "ok   Orphans   none"
        assert "Engine" not in found
        monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "wrong")
        assert "does not take the hub's token" in self.findings()["Proxy"]

    def test_a_hub_whose_pages_are_below_another_path_answers_too(
        self, data: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, address: str
    ) -> None:
        assert data
        assert cluster
        monkeypatch.setenv("STATEROOM_HUB_URL", f"{address}/elsewhere")
        assert self.findings()["Hub"].startswith("ok ")

    def test_those_that_do_not_answer_fail(
        self, data: Path, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert data
        assert cluster
        monkeypatch.setenv("STATEROOM_HUB_URL", "http://127.0.0.1:1")
        monkeypatch.setenv("STATEROOM_PROXY_API_URL", "http://127.0.0.1:1")
        found = self.findings()
        assert found["Hub"].startswith("FAIL Hub       does not answer at http://127.0.0.1:1,")
        assert found["Proxy"].startswith("FAIL Proxy     does not answer at http://127.0.0.1:1,")

    def test_a_catalog_that_does_not_hold_is_one_line_and_the_rest_is_looked_at(
        self, database: Path, data: Path, cluster: FakeCluster
    ) -> None:
        assert database
        assert cluster
        (data / "catalog.yaml").write_text("sizes: 7\n")
        found = self.findings()
        assert found["Catalog"].startswith("FAIL Catalog   catalog.yaml:1")
        assert found["Hub's id"] == f"ok   Hub's id  {ID}"
        assert found["Cluster"].startswith("ok ")
        assert found["Orphans"].startswith("-    Orphans   not looked at: which hub's")

    def test_a_database_that_is_not_there_yet_is_no_fault(self, data: Path, cluster: FakeCluster) -> None:
        assert data
        assert cluster
        assert self.findings()["Orphans"] == "ok   Orphans   none: no hub has run yet"
        with pytest.raises(SetupError, match="Start the hub first"):
            default_folder().records()
