"""The command line against a real cluster, with an account that has the documented rights and no others."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.engines import tiny_stub
from harness import cluster
from harness.command import run
from harness.hub import CATALOG, PATIENCE, Hub, wait_for
from harness.pods import core, kubectl, namespace_of_its_own, read_or_none, until
from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.home_manifests import folder_pod
from stateroom.backends.kubernetes.homes import Homes
from stateroom.backends.kubernetes.manifests import site_of
from stateroom.backends.kubernetes.rbac import RIGHTS, role
from stateroom.backends.memory import Behaviour
from stateroom.catalog.load import load_catalog
from stateroom.operations.kubernetes.address import address_towards
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef

ACCOUNT = "hub"


@contextmanager
def account(namespace: str, folder: Path, rules: Any = None) -> Iterator[Path]:
    """The kubeconfig of an account with the documented rights, or with other ones."""
    made = role(ACCOUNT, namespace)
    if rules is not None:
        made["rules"] = rules
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "roleRef": reference}
    core().create_namespaced_service_account(namespace, {"metadata": {"name": ACCOUNT}})
    apply(folder, made)
    apply(folder, {**binding, "metadata": {"name": ACCOUNT, "namespace": namespace}, "subjects": [subject]})
    request = {"spec": {"expirationSeconds": 3600}}
    token = core().create_namespaced_service_account_token(ACCOUNT, namespace, request).status.token
    whole = yaml.safe_load(cluster.kubeconfig().read_text())
    [context] = whole["contexts"]
    context["context"] |= {"user": ACCOUNT, "namespace": namespace}
    whole["users"] = [{"name": ACCOUNT, "user": {"token": token}}]
    file = folder / "account.kubeconfig"
    file.write_text(json.dumps(whole))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(file))
        yield file


def apply(folder: Path, manifest: Mapping[str, Any]) -> None:
    file = folder / "manifest.json"
    file.write_text(json.dumps(manifest))
    said = kubectl("apply", "-f", str(file))
    assert "created" in said or "configured" in said, said


def image() -> str:
    """Made by the local engine at the first call."""
    return tiny_stub(Behaviour.ANSWERS)


def reached() -> str:
    """This machine's address, as pods reach it."""
    [node, *_] = core().list_node().items
    return address_towards(next(one.address for one in node.status.addresses if one.type == "InternalIP"))


class PodsHub(Hub):
    """A hub on this machine with servers as pods; what is left of it goes with its namespace."""

    def __init__(self, data: Path, namespace: str) -> None:
        super().__init__(data, "--backend", "kubernetes", "--hub-ip", reached())
        self.namespace = namespace
        self.catalog.write_text(self.catalog.read_text().replace("stateroom/unified:1", image()))

    def down(self) -> str:  # type: ignore[override]
        try:
            return self.command("down")
        finally:
            if self._process is not None:
                self._process.kill()
                self._process.wait(PATIENCE)

    def pods(self) -> list[str]:
        return [pod.metadata.name for pod in core().list_namespaced_pod(self.namespace).items]

    def findings(self) -> dict[str, str]:
        """What doctor says of each thing, by its first line."""
        out = run("doctor", "--data", self.data).out
        lines = [(line[5:15].strip(), line) for line in reversed(out.splitlines())]
        return dict(lines)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodsHub]:
    data, folder = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("account")
    image()
    with namespace_of_its_own() as namespace, account(namespace, folder), pytest.MonkeyPatch.context() as patch:
        # Nothing of Docker is asked, nor started.
        patch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
        hub = PodsHub(data, namespace)
        try:
            hub.up()
            yield hub
        finally:
            hub.down()


def test_a_hub_with_the_documented_rights_alone_runs_servers_as_pods(hub: PodsHub) -> None:
    ada = hub.person(name="ada")
    ada.started()
    ref = ServerRef(hub.id, "ada")
    assert hub.pods() == [ref.name]
    answer = ada.web.get(f"{hub.url}/user/ada/api")
    assert answer.text == "alive\n"
    shown = kubectl("--namespace", hub.namespace, "get", "pod", ref.name, "-o", "json")
    assert "TOKEN" not in shown
    ada.stop()
    assert not hub.pods()
    ada.close()


def test_the_hubs_account_may_do_what_the_table_says_and_nothing_else(hub: PodsHub) -> None:
    listed = kubectl("auth", "can-i", "--list", "--namespace", hub.namespace, kubeconfig=Path(os.environ["KUBECONFIG"]))
    found = {}
    for line in listed.splitlines()[1:]:
        resource, *_, verbs = (part.strip() for part in re.split(r"\s{2,}", line.strip()))
        if resource.startswith("[/") or resource.endswith(".k8s.io") or not resource:
            continue  # what Kubernetes grants every account
        found[resource] = set(verbs.strip("[]").split())
    assert found == {right.resource: set(right.verbs) for right in RIGHTS}, listed


def test_the_hub_listens_where_pods_reach_it_alone(hub: PodsHub) -> None:
    settings = json.loads((hub.data / "settings.json").read_text())
    assert (settings["backend"], settings["hub_ip"]) == ("kubernetes", reached())
    listening = {
        line.split()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if int(line.split()[1].partition(":")[2], 16) == settings["hub_port"] and line.split()[3] == "0A"
    }
    own = bytes(int(part) for part in reached().split("."))[::-1].hex().upper()
    assert listening == {f"{own}:{settings['hub_port']:04X}"}


def test_doctor_finds_all_in_order(hub: PodsHub) -> None:
    found = hub.findings()
    hosts = found.pop("Hosts")
    assert "all users' servers share one name" in hosts, "as the tests' hubs have it"
    assert not [line for line in found.values() if line.startswith(("FAIL", "warn"))], found
    assert "Kubernetes v1." in found["Cluster"]
    assert "all 19 that a hub needs" in found["Rights"]
    assert "admitted" in found["Pod"]
    assert "the account may not see storage classes" in found["Storage"]
    assert reached() in found["Hub"]
    assert "Engine" not in found


def test_what_no_server_could_start_with_is_told(hub: PodsHub) -> None:
    before = hub.catalog.read_text()
    try:
        hub.catalog.write_text(f"{before}\nkubernetes: {{pod: {{spec: {{hostNetwork: true}}}}}}\n")
        assert 'violates PodSecurity "restricted' in hub.findings()["Pod"]
        hub.catalog.write_text(f"{before}\nkubernetes: {{pod: {{spec: {{hostNetwrk: true}}}}}}\n")
        assert "hostNetwrk is no field of a pod" in hub.findings()["Pod"]
    finally:
        hub.save_catalog(before)


def test_gc_removes_what_the_hub_does_not_know_and_nothing_else(hub: PodsHub) -> None:
    ada, zoe = hub.person(name="grace"), ServerRef(hub.id, "zoe")
    ada.started()
    [known] = hub.pods()
    theirs = ServerRef("another-hub", "zoe")
    for ref, name in ((zoe, zoe.name), (zoe, "a-copy"), (theirs, theirs.name)):
        stranger(hub.namespace, name, hub.id, ref.labels)
    until(lambda: "Running" in kubectl("-n", hub.namespace, "get", "pod", zoe.name), "the stranger runs")
    told = hub.command("gc", "--dry-run")
    assert told.startswith(f"would remove server {zoe.name}: server of zoe, running, made")
    assert told.count("would remove") == 1
    assert "1 server that nobody uses" in hub.findings()["Orphans"]
    assert f"removed server {zoe.name}" in hub.command("gc")
    assert set(hub.pods()) == {known, "a-copy", theirs.name}
    assert "Nothing to remove." in hub.command("gc")
    for name in ("a-copy", theirs.name):
        core().delete_namespaced_pod(name, hub.namespace, grace_period_seconds=0)
    ada.stop()
    ada.close()


def stranger(namespace: str, name: str, hub: str, annotations: Mapping[str, str]) -> None:
    """A pod that looks like a server of the hub to whoever selects by labels."""
    confined = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "notebook",
        "image": image(),
        "imagePullPolicy": "IfNotPresent",
        "securityContext": confined,
    }
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    core().create_namespaced_pod(
        namespace,
        {
            "metadata": {
                "name": name,
                "labels": {"io.stateroom.hub": hub, "io.stateroom.kind": "server"},
                "annotations": dict(annotations),
            },
            "spec": {"containers": [container], "securityContext": security},
        },
    )


def test_a_home_is_listed_handed_over_and_deleted_only_by_name(hub: PodsHub) -> None:
    admin, old = hub.person("--admin", name="boss"), hub.person(name="old")
    old.started()
    record = admin.api("GET", "users/old").json()
    assert record["name"] == "old"
    claims = [claim.metadata.name for claim in core().list_namespaced_persistent_volume_claim(hub.namespace).items]
    [home] = [name for name in claims if name.startswith("stateroom-home-old")]
    assert f"{home}: 10 GiB claimed, of old" in hub.command("homes", "list", "--sizes")
    old.stop()
    assert admin.api("DELETE", "users/old").status_code == 204
    assert f"{home}: of old" in hub.command("gc", "--dry-run")
    assert read_or_none(core().read_namespaced_persistent_volume_claim, home, hub.namespace)

    new = hub.person(name="new")
    assert new.web
    hub.command("homes", "assign", "old", "--to", "new", "--yes")
    new.started()
    [pod] = core().list_namespaced_pod(hub.namespace).items
    assert home in {volume.persistent_volume_claim.claim_name for volume in pod.spec.volumes}
    new.stop()
    assert admin.api("DELETE", "users/new").status_code == 204
    assert f"deleted home {home} and all its files" in hub.command("gc", "--homes", home)
    wait_for(
        lambda: read_or_none(core().read_namespaced_persistent_volume_claim, home, hub.namespace) is None,
        "the claim's end",
    )
    for person in (admin, old, new):
        person.close()


def test_down_stops_servers_and_keeps_homes_and_the_next_up_goes_on_there(hub: PodsHub) -> None:
    ada = hub.person(name="hopper")
    ada.started()
    said = hub.down()
    assert "1 stopped" in said
    assert "kept, the claim" in said
    assert not hub.pods()
    hub._options = ()  # the backend and the address are those of the last run
    hub.up()
    ada.started()
    assert len(hub.pods()) == 1
    ada.stop()
    ada.close()


async def test_folders_of_a_shared_claim(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with namespace_of_its_own() as namespace:
        spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
        core().create_namespaced_persistent_volume_claim(namespace, {"metadata": {"name": "homes"}, "spec": spec})
        catalog = folder / "catalog.yaml"
        text = CATALOG.read_text().replace("stateroom/unified:1", image())
        text = text.replace("{claim: per-user, size: 10 GiB}", "{claim: homes}")
        catalog.write_text(f"{text}\nkubernetes: {{namespace: {namespace}}}\n")
        data = DataFolder(folder)
        data.keep(Settings("hub", "kubernetes", str(catalog), "", 1, 2, 3, (), "", "", namespace, "https://c"))
        with closing(sqlite3.connect(data.database)) as database:
            database.executescript("CREATE TABLE users (id, name); CREATE TABLE spawners (user_id, server_id, name);")
        home, site = HomeRef("hub", "ada", 7), site_of(load_catalog(catalog))
        there = Cluster(namespace)
        try:
            await Homes(there, "hub", lambda: site).ensure(home, lambda _: None)
            await there.create("pods", folder_pod(home, site, "exit 0"))
        finally:
            await there.close()
        assert f"{home.name}: of ada (number 7), who is gone" in run("homes", "list", "--data", folder).out
        assert "A pod uses the home" in run("gc", "--homes", "ada", "--data", folder).err
        monkeypatch.setattr("stateroom.operations.kubernetes.pods._NEW", 0)
        told = run("gc", "--homes", "ada", "--data", folder).assert_success().out
        assert f"removed helper {home.name}-folder: helper of the hub" in told
        assert f"deleted home {home.name} and all its files" in told
        assert read_or_none(core().read_namespaced_config_map, home.name, namespace) is None
        assert "there are none" in run("down", "--data", folder).assert_success().out


class TestInAHubsPod:
    """The commands with the variables that a chart gives, and with its hub's account."""

    HUB = "notebooks.hub"

    @pytest.fixture
    def namespace(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        (folder / "catalog.yaml").write_text(CATALOG.read_text().replace("stateroom/unified:1", image()))
        monkeypatch.setenv("STATEROOM_HUB_ID", self.HUB)
        monkeypatch.setenv("STATEROOM_DATA", str(folder))
        monkeypatch.setenv("STATEROOM_CATALOG", str(folder / "catalog.yaml"))
        with namespace_of_its_own() as namespace, account(namespace, tmp_path, self.rules(namespace)):
            yield namespace

    def rules(self, namespace: str) -> Any:
        """As documented, and what the chart's Job that waits for images needs."""
        return [
            *role(ACCOUNT, namespace)["rules"],
            {"apiGroups": ["apps"], "resources": ["daemonsets"], "verbs": ["get"]},
        ]

    def test_homes_and_servers_are_found_and_down_keeps_the_homes(self, folder: Path, namespace: str) -> None:
        with closing(sqlite3.connect(folder / "jupyterhub.sqlite")) as database:
            database.executescript(
                """
                CREATE TABLE users (id, name);
                CREATE TABLE spawners (user_id, server_id, name);
                INSERT INTO users VALUES (7, 'ada');
                """
            )
        home, ada = HomeRef(self.HUB, "ada", 7), ServerRef(self.HUB, "ada")
        labels = {"io.stateroom.hub": self.HUB, "io.stateroom.kind": "home"}
        metadata = {"name": home.name, "labels": labels, "annotations": dict(home.labels)}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        core().create_namespaced_persistent_volume_claim(namespace, {"metadata": metadata, "spec": spec})
        stranger(namespace, ada.name, self.HUB, ada.labels)
        assert f"{home.name}: of ada (number 7)" in run("homes").assert_success().out
        until(lambda: "Running" in kubectl("-n", namespace, "get", "pod", ada.name), "the server runs")
        assert f"would remove server {ada.name}" in run("gc", "--dry-run").assert_success().out
        found = run("doctor").out
        assert "FAIL" not in found, found
        assert f"in the namespace {namespace}" in found
        out = run("down").assert_success().out
        assert "1 stopped" in out
        assert not core().list_namespaced_pod(namespace).items
        [command] = re.findall(r"kubectl .* (delete persistentvolumeclaims --selector \S+)", out)
        assert home.name in kubectl("--namespace", namespace, *command.split())

    def test_images_are_waited_for_and_what_a_kubelet_says_is_told(self, tmp_path: Path, namespace: str) -> None:
        missing = "127.0.0.1:1/nobody/has-it:1"
        apply(tmp_path, puller(namespace, missing))
        words = ("images", "wait", "puller", "--namespace", namespace, "--timeout", "1 s")
        until(lambda: "connection refused" in run(*words).err, "the kubelet has tried")
        outcome = run(*words)
        assert outcome.status == 1, outcome
        outcome.assert_failure("After 1 s: 0 of 1 node has all images", f"{missing}: ")
        apply(tmp_path, puller(namespace, image()))
        outcome = run("images", "wait", "puller", "--timeout", "1 min").assert_success()
        assert outcome.out.splitlines()[-1] == "1 of 1 node has all images"


def puller(namespace: str, image: str) -> Mapping[str, Any]:
    """A DaemonSet that brings one image to each node."""
    confined = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "pull", "image": image, "imagePullPolicy": "IfNotPresent", "securityContext": confined}
    security = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    template = {
        "metadata": {"labels": {"app": "puller"}},
        "spec": {"containers": [container], "securityContext": security, "terminationGracePeriodSeconds": 0},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "puller", "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": "puller"}}, "template": template},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    return data


class TestBefore:
    """What keeps `up` from a start, each in a sentence."""

    def test_a_namespace_that_is_missing(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert core()
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig()))
        catalog = tmp_path / "c.yaml"
        catalog.write_text(f"{CATALOG.read_text()}\nkubernetes: {{namespace: nobody-made-it}}\n")
        outcome = run("up", "--backend", "kubernetes", "--data", folder, "--port", "18999", "--catalog", catalog)
        outcome.assert_failure('no namespace "nobody-made-it"', "kubectl create namespace nobody-made-it")
        told = run("doctor", "--backend", "kubernetes", "--data", folder)
        assert "Engine" not in told.out

    def test_rights_that_are_missing(self, folder: Path, tmp_path: Path) -> None:
        with namespace_of_its_own() as namespace:
            rules = [rule for rule in role(ACCOUNT, namespace)["rules"] if rule["resources"] != ["secrets"]]
            rules[0] = {**rules[0], "verbs": ["get", "list", "create", "patch", "delete"]}
            with account(namespace, tmp_path, rules):
                outcome = run("up", "--backend", "kubernetes", "--data", folder, "--port", "18999")
                outcome.assert_failure("Add to its Role: pods (watch) and secrets (create)")
                told = run("doctor", "--backend", "kubernetes", "--data", folder)
                assert told.status == 1
                assert "FAIL Rights    the account may not create secrets in the namespace" in told.out
                assert f"ok   Namespace {namespace} is there" in told.out

    def test_a_cluster_that_does_not_answer(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert core()
        whole = yaml.safe_load(cluster.kubeconfig().read_text())
        whole["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
        (tmp_path / "k").write_text(json.dumps(whole))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "k"))
        outcome = run("up", "--backend", "kubernetes", "--data", folder, "--port", "18999")
        outcome.assert_failure("The cluster does not answer", "kubectl", "cluster-info")
