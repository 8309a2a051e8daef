"""The commands against a cluster that is made up: what is an orphan, what doctor makes of it, where a hub listens."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from harness.command import run
from stateroom.backends.kubernetes.rbac import RIGHTS, Right, role
from stateroom.catalog.load import parse_catalog
from stateroom.catalog.storage import KubernetesHome
from stateroom.cli.screen import Screen
from stateroom.common.errors import EngineRefused, SetupError
from stateroom.operations import up
from stateroom.operations.checks.findings import Finding, Verdict
from stateroom.operations.checks.installation import Installation, run_check
from stateroom.operations.kubernetes import checks as kubernetes_checks
from stateroom.operations.kubernetes.address import address_towards, hub_address
from stateroom.operations.kubernetes.client import chosen_kubeconfig
from stateroom.operations.kubernetes.facts import missing_rights, require_namespace, require_rights
from stateroom.operations.kubernetes.findings import (
    class_finding,
    cluster_finding,
    namespace_finding,
    quota_findings,
    rights_findings,
    shared_claim_finding,
)
from stateroom.operations.kubernetes.pods import ended, orphan_folder_pods, orphan_servers
from stateroom.operations.kubernetes.resources import KubernetesResources
from stateroom.operations.local.address import Address
from stateroom.operations.local.data import DataFolder, Settings
from stateroom.operations.local.records import Records
from stateroom.operations.platform import Kind, Orphan
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef

NOW = 1_800_000_000.0
ADA, HOME = ServerRef("hub", "ada"), HomeRef("hub", "ada", 7)
NOBODY = Records({}, frozenset())
CATALOG = """
version: 1
images:
  - {id: unified, image: "stateroom/unified:1", default: true}
sizes:
  - {id: small, cpu: 1, memory: 1 GiB, default: true}
"""
SETTINGS = Settings("hub", "kubernetes", "/c.yaml", "", 8000, 1, 2, (), "192.0.2.9", "/k", "space", "https://c")


def pod(ref: ServerRef = ADA, *, phase: str = "Running", made: str = "2027-01-15T07:00:00Z", **metadata: Any) -> Any:
    usual = {"name": ref.name, "uid": "1", "annotations": dict(ref.labels), "creationTimestamp": made}
    return {"metadata": {**usual, **metadata}, "status": {"phase": phase}}


def folder_pod(made: str = "2027-01-15T07:00:00Z", **metadata: Any) -> Any:
    usual = {"name": f"{HOME.name}-folder", "uid": "1", "annotations": dict(HOME.labels), "creationTimestamp": made}
    return {"metadata": {**usual, **metadata}, "status": {"phase": "Succeeded"}}


class Cluster:
    """A cluster as the commands ask it."""

    namespace, server = "space", "https://c.example"

    def __init__(self, **paths: Any) -> None:
        self.paths: dict[str, Any] = {"version": {"major": "1", "minor": "34", "gitVersion": "v1.34.4"}, **paths}
        self.denied: set[tuple[str, str]] = set()
        self.refusal = ""
        self.objects: dict[str, list[Any]] = {}
        self.made: list[Mapping[str, Any]] = []
        self.deleted: list[tuple[str, str]] = []

    async def at(self, path: str) -> Any:
        name = path.partition("?")[0].rpartition("/")[2]
        found = self.paths.get(name)
        if isinstance(found, Exception):
            raise found
        return found

    async def may(self, verb: str, resource: str) -> bool:
        return (verb, resource) not in self.denied

    async def create(self, kind: str, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Any:
        assert dry_run
        self.made.append(manifest)
        if self.refusal:
            raise EngineRefused(self.refusal)
        return {"kind": kind}

    async def read(self, kind: str, name: str) -> Any:
        return next((found for found in self.objects.get(kind, ()) if found["metadata"]["name"] == name), None)

    async def delete(self, kind: str, name: str, uid: str, _grace: float) -> None:
        self.deleted.append((name, uid))
        kept = [found for found in self.objects[kind] if found["metadata"]["uid"] != uid]
        self.objects[kind] = kept

    async def pages(self, kind: str, selector: str) -> Any:
        what = selector.rpartition("=")[2]
        yield {"items": self.objects.get(f"{kind}/{what}", ())}


class Client:
    kubeconfig = "/k"
    namespace = "space"

    def __init__(self, cluster: Cluster) -> None:
        self.cluster: Any = cluster

    def ask(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(work)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def client(cluster: Cluster) -> Any:
    return Client(cluster)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(DataFolder(tmp_path), SETTINGS, False, parse_catalog(CATALOG), "", "hub")


def look(name: str, client: Any, installation: Installation) -> list[Finding]:
    [check] = [check for check in kubernetes_checks.checks(client, "It is away. Bring it back.") if check.name == name]
    return run_check(check, installation)


def verdicts(findings: list[Finding]) -> list[str]:
    """The verdicts, and that a remedy is there exactly where it is needed."""
    for finding in findings:
        assert bool(finding.remedy) is (finding.verdict in (Verdict.WARN, Verdict.FAIL)), finding
    return [finding.verdict.value for finding in findings]


class TestRights:
    def test_a_role_has_them_and_nothing_cluster_wide(self) -> None:
        made = role("stateroom", "space")
        assert (made["kind"], made["metadata"]["namespace"]) == ("Role", "space")
        assert {name for rule in made["rules"] for name in rule["resources"]} == {right.resource for right in RIGHTS}
        assert not any("*" in rule["verbs"] for rule in made["rules"])

    def test_the_readme_has_the_same(self) -> None:
        page = (Path(__file__).parents[2] / "README.md").read_text()
        rows = [f"| `{right.resource}` | {', '.join(right.verbs)} | {right.why} |" for right in RIGHTS]
        assert "\n".join(["| objects | verbs | what for |", "|---|---|---|", *rows, "", ""]) in page
        text = page.partition("```yaml\napiVersion: rbac")[2].partition("```")[0]
        assert yaml.safe_load(f"apiVersion: rbac{text}") == role("stateroom-hub", "stateroom")

    def test_secrets_are_never_read(self) -> None:
        assert next(right for right in RIGHTS if right.resource == "secrets").verbs == ("create",)

    def test_what_is_missing_is_named(self, client: Any, cluster: Cluster) -> None:
        assert missing_rights(client) == []
        cluster.denied = {("create", "secrets"), ("list", "pods"), ("watch", "pods")}
        assert [(right.resource, right.verbs) for right in missing_rights(client)] == [
            ("pods", ("list", "watch")),
            ("secrets", ("create",)),
        ]
        with pytest.raises(SetupError, match=r'"space".*Add to its Role: pods \(list, watch\) and secrets \(create\)'):
            require_rights(client)

    def test_each_kind_has_a_line_with_its_remedy(self) -> None:
        [pods, secrets] = rights_findings(
            [Right("pods", ("get", "list"), "x."), Right("secrets", ("create",), "y")], "s"
        )
        assert verdicts([pods, secrets]) == ["FAIL", "FAIL"]
        assert "may not get and list pods in the namespace s" in pods.fact
        assert "resources [pods], verbs [get, list]" in pods.remedy
        assert verdicts(list(rights_findings([], "s"))) == ["ok"]


class TestNamespace:
    def test_one_that_is_missing_is_told_with_the_command(self, client: Any, cluster: Cluster) -> None:
        with pytest.raises(SetupError, match="kubectl create namespace space"):
            require_namespace(client)
        cluster.paths["space"] = {"metadata": {"name": "space"}}
        require_namespace(client)

    @pytest.mark.parametrize(
        ("refusal", "wanted"),
        [
            ('namespaces "space" not found', ["FAIL"]),
            ("", ["ok", "-"]),
            ('configmaps is forbidden: User "x" cannot', ["-"]),
        ],
    )
    def test_where_it_cannot_be_seen_a_trial_tells(
        self, client: Any, cluster: Cluster, installation: Installation, refusal: str, wanted: list[str]
    ) -> None:
        cluster.paths |= dict.fromkeys(("space", "resourcequotas"), EngineRefused("no"))
        cluster.refusal = refusal
        assert verdicts(look("Namespace", client, installation)) == wanted

    @pytest.mark.parametrize(
        ("labels", "wanted"),
        [({"pod-security.kubernetes.io/enforce": "restricted"}, "ok"), ({}, "warn"), (None, "warn")],
    )
    def test_the_level_that_it_enforces(self, labels: Any, wanted: str) -> None:
        assert verdicts([namespace_finding("space", {"metadata": {"labels": labels}})]) == [wanted]

    def test_one_that_goes_is_no_place(self) -> None:
        going = {"metadata": {}, "status": {"phase": "Terminating"}}
        assert verdicts([namespace_finding("space", going)]) == ["FAIL"]

    @pytest.mark.parametrize(
        ("used", "hard", "near"),
        [
            ("9", "10", True),
            ("8", "10", False),
            ("3900m", "4", True),
            ("1", "0", False),
            ("31Gi", "32Gi", True),
            ("x", "1", False),
        ],
    )
    def test_a_quota_near_its_end_is_told(self, used: str, hard: str, near: bool) -> None:
        quota = {"metadata": {"name": "q"}, "status": {"used": {"pods": used}, "hard": {"pods": hard}}}
        assert verdicts(list(quota_findings([quota, {"metadata": {"name": "new"}}]))) == (["warn"] if near else [])


class TestStorage:
    CLASSES = ({"metadata": {"name": "slow"}}, {"metadata": {"name": "fast"}})

    def test_the_default_class(self) -> None:
        default = {"metadata": {"name": "d", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
        assert verdicts([class_finding(KubernetesHome(), None, [*self.CLASSES, default])]) == ["ok"]
        finding = class_finding(KubernetesHome(), None, self.CLASSES)
        assert verdicts([finding]) == ["FAIL"]
        assert "slow and fast" in finding.remedy

    @pytest.mark.parametrize(
        ("size", "text"), [("512 MiB", "512 MiB"), ("1536 MiB", "1.5 GiB"), ("10 GiB", "10 GiB"), ("1 TiB", "1 TiB")]
    )
    def test_the_size_of_a_home_is_in_the_unit_that_fits_it(self, size: str, text: str) -> None:
        default = {"metadata": {"name": "d", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}}
        finding = class_finding(KubernetesHome.model_validate({"size": size}), None, [default])
        assert finding.fact == f"homes are claims of the default class d, {text} each"

    def test_a_class_that_the_catalog_names(self) -> None:
        homes = KubernetesHome(storage_class="fast")
        assert verdicts([class_finding(homes, self.CLASSES[1], self.CLASSES)]) == ["ok"]
        assert verdicts([class_finding(homes, None, [])]) == ["FAIL"]

    def test_where_classes_cannot_be_seen(self, client: Any, cluster: Cluster, installation: Installation) -> None:
        cluster.paths["storageclasses"] = EngineRefused("storageclasses is forbidden")
        assert verdicts(look("Storage", client, installation)) == ["-"]

    @pytest.mark.parametrize(
        ("modes", "phase", "wanted"),
        [(["ReadWriteMany"], "Bound", "ok"), (["ReadWriteOnce"], "Bound", "warn"), (["ReadWriteMany"], "Lost", "FAIL")],
    )
    def test_a_shared_claim(self, modes: list[str], phase: str, wanted: str) -> None:
        claim = {"spec": {"accessModes": modes}, "status": {"phase": phase}}
        assert verdicts([shared_claim_finding("homes", claim, "space")]) == [wanted]

    def test_a_shared_claim_that_is_missing(self, client: Any, installation: Installation) -> None:
        catalog = parse_catalog(f"{CATALOG}home: {{kubernetes: {{claim: homes}}}}\n")
        assert verdicts(look("Storage", client, replace(installation, catalog=catalog))) == ["FAIL"]


class TestCluster:
    @pytest.mark.parametrize(("minor", "wanted"), [("34", "ok"), ("30+", "ok"), ("26", "warn"), ("", "warn")])
    def test_an_old_one_is_told(self, minor: str, wanted: str) -> None:
        assert verdicts([cluster_finding({"major": "1", "minor": minor}, "https://c", 0.01)]) == [wanted]

    def test_without_one_the_rest_is_looked_at(self, installation: Installation) -> None:
        [finding] = look("Cluster", None, installation)
        assert (finding.fact, finding.remedy) == ("It is away", "Bring it back.")
        for name in ("Namespace", "Rights", "Storage", "Pod", "Orphans"):
            assert verdicts(look(name, None, installation)) == ["-"]

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
        with pytest.raises(SetupError, match=r"no kubeconfig at .*none.*Set KUBECONFIG"):
            chosen_kubeconfig("")

    def test_the_last_runs_file_is_used_unless_another_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept, other = tmp_path / "kept", tmp_path / "other"
        kept.touch()
        other.touch()
        monkeypatch.delenv("KUBECONFIG", raising=False)
        assert chosen_kubeconfig(str(kept)) == str(kept)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("KUBECONFIG", "other:none")
        assert chosen_kubeconfig(str(kept)) == f"{other}:{tmp_path / 'none'}"


class TestPod:
    def test_a_servers_pod_is_tried(self, client: Any, cluster: Cluster, installation: Installation) -> None:
        assert verdicts(look("Pod", client, installation)) == ["ok"]
        [made] = cluster.made
        assert made["kind"] == "Pod"
        assert "TOKEN" not in json.dumps(made)

    def test_a_refusal_is_told_in_the_clusters_words(
        self, client: Any, cluster: Cluster, installation: Installation
    ) -> None:
        cluster.refusal = 'violates PodSecurity "restricted:latest"'
        [finding] = look("Pod", client, installation)
        assert (finding.verdict, 'violates PodSecurity "restricted' in finding.fact) == (Verdict.FAIL, True)

    def test_a_patch_that_does_not_fit_is_told_before(
        self, client: Any, cluster: Cluster, installation: Installation
    ) -> None:
        catalog = parse_catalog(f"{CATALOG}kubernetes: {{pod: {{spec: {{hostNetwrk: true}}, kind: X}}}}\n")
        assert verdicts(look("Pod", client, replace(installation, catalog=catalog))) == ["FAIL", "FAIL"]
        assert not cluster.made


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"podSelector": {}, **spec}}


class TestPolicies:
    BOTH: ClassVar = ["Ingress", "Egress"]

    @pytest.mark.parametrize(
        ("policies", "fact"),
        [
            ([policy("all", policyTypes=BOTH)], "servers are behind all"),
            ([policy("in"), policy("out", policyTypes=["Egress"])], "servers are behind in and out"),
            ([policy("old-api", egress=[])], "servers are behind old-api"),
            ([policy("in")], "no network policy in space says otherwise: servers reach whatever is in the cluster"),
            ([policy("out", policyTypes=["Egress"])], "says otherwise: whoever is in the cluster reaches servers"),
            ([], "whoever is in the cluster reaches servers and servers reach whatever is in the cluster"),
        ],
    )
    def test_whether_both_directions_are_restricted(
        self, client: Any, cluster: Cluster, installation: Installation, policies: list[Any], fact: str
    ) -> None:
        cluster.paths["networkpolicies"] = {"items": policies}
        found = look("Policies", client, installation)
        assert fact in found[0].fact
        assert verdicts(found) == ["ok" if fact.startswith("servers are behind") else "warn"]

    @pytest.mark.parametrize(
        ("selector", "selects"),
        [
            ({"matchLabels": {"io.stateroom.hub": "hub"}}, True),
            ({"matchLabels": {"io.stateroom.hub": "another"}}, False),
            ({"matchExpressions": [{"key": "io.stateroom.kind", "operator": "In", "values": ["server"]}]}, True),
            ({"matchExpressions": [{"key": "io.stateroom.kind", "operator": "NotIn", "values": ["server"]}]}, False),
            ({"matchExpressions": [{"key": "io.stateroom.kind", "operator": "Exists"}]}, True),
            ({"matchExpressions": [{"key": "io.stateroom.kind", "operator": "DoesNotExist"}]}, False),
            ({"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}, True),
        ],
    )
    def test_only_policies_that_select_servers_count(
        self, client: Any, cluster: Cluster, installation: Installation, selector: Any, selects: bool
    ) -> None:
        cluster.paths["networkpolicies"] = {"items": [policy("one", podSelector=selector, policyTypes=self.BOTH)]}
        assert verdicts(look("Policies", client, installation)) == ["ok" if selects else "warn"]

    def test_where_policies_cannot_be_seen(self, client: Any, cluster: Cluster, installation: Installation) -> None:
        cluster.paths["networkpolicies"] = EngineRefused("networkpolicies is forbidden")
        assert verdicts(look("Policies", client, installation)) == ["-"]


class TestOrphans:
    @pytest.mark.parametrize("phase", ["Running", "Failed", "Pending", "Succeeded"])
    def test_one_that_the_hub_does_not_know_is_an_orphan(self, phase: str) -> None:
        [orphan] = orphan_servers([pod(phase=phase)], "hub", NOBODY, NOW, running=True)
        assert (orphan.kind, orphan.id, orphan.name) == (Kind.SERVER, "1", ADA.name)
        assert orphan.why == f"server of ada, {phase.lower()}, made 1 h ago; the hub knows of no such server"

    def test_one_that_the_hub_takes_for_active_is_none(self) -> None:
        known = Records({1: "ada"}, frozenset({("ada", "")}))
        assert not list(orphan_servers([pod(phase="Failed")], "hub", known, NOW, running=False))

    @pytest.mark.parametrize(("running", "is_orphan"), [(True, False), (False, True)])
    def test_a_start_under_way_is_left(self, running: bool, is_orphan: bool) -> None:
        listed = [pod(phase="Pending", made="2027-01-15T07:59:00Z")]
        assert bool(list(orphan_servers(listed, "hub", NOBODY, NOW, running=running))) is is_orphan

    @pytest.mark.parametrize(
        "changes",
        [
            {"annotations": None},
            {"annotations": {}},
            {"annotations": dict(ServerRef("other", "ada").labels)},
            {"annotations": dict(HOME.labels)},
            {"name": "a-copy-of-it"},
            {"deletionTimestamp": "2027-01-15T07:59:00Z"},
        ],
    )
    def test_what_is_not_certainly_ours_is_left(self, changes: dict[str, Any]) -> None:
        assert not list(orphan_servers([pod(**changes)], "hub", NOBODY, NOW, running=False))

    @pytest.mark.parametrize(
        "changes",
        [{"annotations": dict(ADA.labels)}, {"annotations": None}, {"name": HOME.name}, {"deletionTimestamp": "x"}],
    )
    def test_so_is_what_is_not_certainly_a_helper(self, changes: dict[str, Any]) -> None:
        assert not list(orphan_folder_pods([folder_pod(**changes)], "hub", NOW))

    def test_a_folders_pod_that_was_left_is_one(self) -> None:
        assert [orphan.kind for orphan in orphan_folder_pods([folder_pod()], "hub", NOW)] == [Kind.HELPER]
        assert not list(orphan_folder_pods([folder_pod("2027-01-15T07:59:00Z")], "hub", NOW))

    def test_the_database_is_asked_after_the_pods(self, client: Any, cluster: Cluster) -> None:
        known = Records({1: "ada"}, frozenset({("ada", "")}))
        cluster.objects["pods/server"] = [pod()]
        asked = []

        def read() -> Records:
            asked.append(True)
            return known

        assert not KubernetesResources(client, SETTINGS).orphans(read, running=True)
        assert asked

    def test_only_that_very_pod_is_removed(self, client: Any, cluster: Cluster) -> None:
        cluster.objects["pods"] = [pod(uid="another")]
        assert KubernetesResources(client, SETTINGS).remove(Orphan(Kind.SERVER, "1", ADA.name, "why"))
        assert cluster.deleted == [(ADA.name, "1")]
        assert cluster.objects["pods"]

    async def test_one_that_stays_is_told(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stateroom.operations.kubernetes.pods.GRACE", 0)
        monkeypatch.setattr("stateroom.operations.kubernetes.pods._OVERDUE", 0.01)
        cluster.objects["pods"] = [pod()]

        async def refuse(*_: object) -> None:
            """A finalizer holds it."""

        cluster.delete = refuse  # type: ignore[method-assign]
        with pytest.raises(SetupError, match=f"1 pod, {ADA.name}.*kubectl --namespace space describe pod"):
            await ended(cluster, [(ADA.name, "1")])  # type: ignore[arg-type]


class TestHomes:
    def claim(self, **metadata: Any) -> Any:
        usual = {"name": HOME.name, "uid": "1", "annotations": dict(HOME.labels)}
        spec = {"resources": {"requests": {"storage": "10Gi"}}}
        return {"metadata": {**usual, **metadata}, "spec": spec, "status": {"capacity": {"storage": "20Gi"}}}

    def test_claims(self, client: Any, cluster: Cluster) -> None:
        other = self.claim(annotations=dict(HomeRef("other", "ada", 7).labels))
        cluster.objects["persistentvolumeclaims/home"] = [self.claim(), self.claim(name="a-copy"), other]
        there = KubernetesResources(client, SETTINGS)
        assert there.homes([]) == [HOME]
        assert there.sizes([HOME]) == {HOME.name: "20 GiB claimed"}

    def test_folders_of_a_shared_claim(self, client: Any, cluster: Cluster) -> None:
        cluster.objects["configmaps/home"] = [{"metadata": self.claim()["metadata"]}]
        there = KubernetesResources(client, replace(SETTINGS, homes="homes"))
        assert (there.homes([]), there.sizes([HOME])) == ([HOME], {})

    def test_one_that_a_pod_has_is_used(self, client: Any, cluster: Cluster) -> None:
        there = KubernetesResources(client, SETTINGS)
        there.require_unused(HOME)
        cluster.objects[f"pods/{HOME.name}"] = [pod()]
        with pytest.raises(SetupError, match=f"A pod uses the home {HOME.name}"):
            there.require_unused(HOME)
        with pytest.raises(SetupError, match="A pod uses the home"):
            there.delete_home(HOME)


class TestAddress:
    def test_there_is_none_towards_ourselves_or_nowhere(self) -> None:
        assert address_towards("127.0.0.1") == ""
        assert address_towards("no such name.") == ""

    def test_one_of_the_last_run_is_kept(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stateroom.operations.kubernetes.address.address_towards", lambda target: f"to {target}")
        assert hub_address(client, "", "127.0.0.1") == "127.0.0.1"
        assert hub_address(client, "127.0.0.2", "127.0.0.1") == "127.0.0.2"
        with pytest.raises(SetupError, match=r"192\.0\.2\.77 is no address of this machine"):
            hub_address(client, "192.0.2.77", "")

    def test_a_node_tells_it_else_a_pod_else_the_api(
        self, client: Any, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("stateroom.operations.kubernetes.address.address_towards", lambda target: f"to {target}")
        addresses = [{"type": "Hostname", "address": "n"}, {"type": "InternalIP", "address": "10.0.0.1"}]
        cluster.paths["nodes"] = {"items": [{"status": {}}, {"status": {"addresses": addresses}}]}
        assert hub_address(client, "", "192.0.2.77") == "to 10.0.0.1"
        cluster.paths["nodes"] = EngineRefused("nodes is forbidden")
        cluster.paths["pods"] = {"items": [{}, {"status": {"hostIP": "10.0.0.2"}}]}
        assert hub_address(client, "", "") == "to 10.0.0.2"
        cluster.paths["pods"] = {"items": []}
        assert hub_address(client, "", "") == "to c.example"

    def test_where_nothing_tells_it_is_asked_for(self, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stateroom.operations.kubernetes.address.address_towards", lambda _: "")
        with pytest.raises(SetupError, match="--hub-ip"):
            hub_address(client, "", "")

    @pytest.mark.parametrize("text", ["0.0.0.0", "::", "127.0.0.1", "::1", "host", ""])
    def test_what_no_pod_reaches_or_everybody_does_is_refused(self, text: str) -> None:
        run("up", "--backend", "kubernetes", "--hub-ip", text).assert_failure("--hub-ip")

    def test_it_is_not_for_docker(self, folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("stateroom.operations.up.install_proxy", lambda *_: ())
        run("up", "--data", folder.path, "--port", "18999", "--hub-ip", "192.0.2.1").assert_failure("On Docker the hub")


class TestAnotherPlace:
    def test_a_run_with_another_backend_says_what_that_means(
        self, folder: DataFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Ready:
            def prepare(self, settings: Settings, *_: object) -> Settings:
                cluster = settings.backend == "kubernetes"
                return replace(settings, namespace="space", cluster="https://c") if cluster else settings

        monkeypatch.setattr(up, "install_proxy", lambda *_: ())
        monkeypatch.setattr(up, "platform_for", lambda _: Ready())

        def prepared(backend: str = "") -> Settings:
            settings = up.prepare(up.HubOptions(Address(18999), backend=backend), folder, Screen())
            folder.keep(settings)
            return settings

        assert prepared().backend == "docker"
        assert "until now" not in capsys.readouterr().out
        assert prepared("kubernetes").backend == "kubernetes"
        said = capsys.readouterr().out
        assert "were on Docker until now: this hub neither finds nor stops what runs there" in said
        assert prepared().backend == "kubernetes"
        assert "until now" not in capsys.readouterr().out
        assert prepared("docker").backend == "docker"
        assert "were on the namespace space of https://c" in capsys.readouterr().out


class TestSettings:
    def test_those_of_an_earlier_version_are_read(self, folder: DataFolder) -> None:
        folder.keep(Settings("hub", "docker", "/c.yaml", "", 8000, 1, 2, ("node",)))
        file = folder.path / "settings.json"
        old = {key: value for key, value in json.loads(file.read_text()).items() if value != ""}
        file.write_text(json.dumps({"homes": "", **old}))
        assert folder.known_settings().where == "Docker"

    def test_the_place_is_told(self) -> None:
        assert SETTINGS.where == "the namespace space of https://c"


@pytest.mark.parametrize("module", ["stateroom.cli.main", "stateroom.operations.docker.platform"])
def test_the_clusters_client_is_imported_only_where_it_is_used(module: str) -> None:
    code = f"import sys, {module}; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0
