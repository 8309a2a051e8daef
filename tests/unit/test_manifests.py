"""What a cluster is sent, against golden files, and the rules that they could hide.

`STATEROOM_UPDATE_GOLDEN=1` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import ast
import base64
import inspect
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.aio import client
from pydantic import BaseModel

from harness.hostile import HOSTILE_NAMES, UNSPEAKABLE_NAMES, generated_names
from harness.workloads import changed
from stateroom.backends.kubernetes import home_manifests, manifests
from stateroom.backends.kubernetes.manifests import GATE, Site, site_of
from stateroom.catalog.load import parse_catalog
from stateroom.common.errors import EngineRefused
from stateroom.common.naming import label_value
from stateroom.offers.allowance import Person, allowance_for
from stateroom.offers.choice import choose
from stateroom.storage.homes import HomeRef, home_from_labels
from stateroom.workloads.identity import identify
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import Server, server_for

CASES = Path(__file__).parents[1] / "data" / "manifests"
TOKEN = "token-that-nobody-may-see"
CATALOG = """\
version: 1
images:
  - {id: unified, image: "stateroom/unified:1", default: true}
sizes:
  - {id: standard, cpu: 1, memory: 2 GiB, default: true}
  - {id: gpu, cpu: 4, memory: 8 GiB, gpu: 2}
guarantee: {cpu: 0.25, memory: 1.0}
environment: {LANG: C.UTF-8}
groups:
  research:
    identity: {environment: {TEAM: research}, supplemental_groups: [2001, 2002], service_account: research}
  operators:
    identity: {service_account: operators, service_account_token: true}
"""
NODES = """\
kubernetes:
  node_selector: {disk: ssd}
  tolerations:
    - {key: notebooks}
    - {key: team, operator: Equal, value: research, effect: NoSchedule}
  priority_class: notebooks
  pull_secrets: [registry, mirror]
  ephemeral_storage: 5 GiB
  gpu_resource: amd.com/gpu
  user: {id: 2000, group: 2001, home: /home/lab}
"""
PATCH = """\
kubernetes:
  pod:
    metadata: {labels: {team: notebooks}, annotations: {example.org/cost: "42"}}
    spec:
      dnsConfig: {options: [{name: ndots, value: "2"}]}
      enableServiceLinks: null
      volumes: [{name: data, persistentVolumeClaim: {claimName: data, readOnly: true}}]
      containers:
        - name: notebook
          volumeMounts: [{name: data, mountPath: /data, readOnly: true}]
          resources: {limits: {cpu: null}}
        - name: proxy
          image: example.org/proxy:1
          ports: [{containerPort: 9000}]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
"""
SHARED = "home: {kubernetes: {claim: homes}}\n"
MANY = "home: {kubernetes: {access: ReadWriteMany, storage_class: nfs, size: 20 GiB}}\n"


def spec_for(
    options: dict[str, object],
    user: str = "ada",
    server: str = "",
    *,
    groups: tuple[str, ...] = (),
    tls: bool = False,
) -> Server:
    catalog = parse_catalog(CATALOG)
    allowance = allowance_for(catalog, Person(user, frozenset(groups)))
    return server_for(
        catalog,
        allowance,
        choose(options, allowance),
        ref=ServerRef("hub-1", user, server),
        home=HomeRef("hub-1", user, 7),
        base_url=f"/user/{user}/",
        variables={"JUPYTERHUB_API_TOKEN": TOKEN, "JPY_API_TOKEN": TOKEN, "JUPYTERHUB_USER": user},
        tls=tls,
    )


def site_for(more: str = "") -> Site:
    return site_of(parse_catalog(CATALOG + more))


SPEC = spec_for({})
POD: dict[str, Any] = {"metadata": {"name": SPEC.ref.name, "uid": "5d2c9f1e"}}
OWNER = manifests.owner_of(POD)
HOME = HomeRef("hub-1", "Zoë <z@example.org>", 7)
CERTIFICATE = {"keyfile": b"key", "certfile": b"certificate", "cafile": b"authorities"}

PODS: dict[str, tuple[Server, Site]] = {
    "pod": (SPEC, site_for()),
    "pod-named": (spec_for({}, "Zoë <z@example.org>", "deep dive"), site_for()),
    "pod-gpu": (spec_for({"size": "gpu"}), site_for()),
    "pod-group": (spec_for({}, groups=("research",)), site_for()),
    "pod-account-token": (spec_for({}, groups=("operators",)), site_for()),
    "pod-nodes": (spec_for({"size": "gpu"}), site_for(NODES)),
    "pod-shared-claim": (SPEC, site_for(SHARED)),
    "pod-read-write-many": (SPEC, site_for(MANY)),
    "pod-tls": (spec_for({}, tls=True), site_for()),
    "pod-patched": (SPEC, site_for(PATCH)),
}
OTHERS: dict[str, Any] = {
    "variables": manifests.variables(SPEC, site_for(), OWNER),
    "variables-gpu": manifests.variables(spec_for({"size": "gpu"}), site_for(NODES), OWNER),
    "certificate": manifests.certificate(SPEC, OWNER, CERTIFICATE),
    "service": manifests.service(SPEC, OWNER),
    "claim": home_manifests.claim(HOME, site_for().homes),
    "claim-read-write-many": home_manifests.claim(HOME, site_for(MANY).homes),
    "home-record": home_manifests.home_record(HOME),
    "folder-pod": home_manifests.folder_pod(HOME, site_for(SHARED), 'mkdir -p "$1"'),
    "folder-pod-nodes": home_manifests.folder_pod(HOME, site_for(SHARED + NODES), 'rm -rf -- "$1"'),
}


def pod_of(case: str, *, prove_home: bool = True) -> dict[str, Any]:
    return manifests.pod(
        *PODS[case], prove_home=prove_home, beside_others=case not in ("pod-shared-claim", "pod-read-write-many")
    )


def notebook_of(pod: Mapping[str, Any]) -> dict[str, Any]:
    return next(one for one in pod["spec"]["containers"] if one["name"] == "notebook")


EVERY_POD = {
    **{case: pod_of(case) for case in PODS},
    **{case: body for case, body in OTHERS.items() if body["kind"] == "Pod"},
}


@pytest.mark.parametrize(("case", "body"), (EVERY_POD | OTHERS).items(), ids=(EVERY_POD | OTHERS).keys())
def test_what_is_sent_is_as_reviewed(case: str, body: dict[str, Any]) -> None:
    file = CASES / f"{case}.json"
    if os.environ.get("STATEROOM_UPDATE_GOLDEN"):
        file.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
    assert body == json.loads(file.read_text())


def test_every_golden_file_is_of_a_case() -> None:
    assert {file.stem for file in CASES.iterdir()} == set(EVERY_POD | OTHERS)


# Rules


@pytest.mark.parametrize("body", EVERY_POD.values(), ids=EVERY_POD.keys())
def test_no_secret_and_no_variable_is_in_a_pod(body: dict[str, Any]) -> None:
    text = json.dumps(body)
    assert TOKEN not in text
    assert base64.b64encode(TOKEN.encode()).decode() not in text
    assert not list(found_at(body, "env"))


@pytest.mark.parametrize("body", EVERY_POD.values(), ids=EVERY_POD.keys())
def test_every_pod_passes_the_restricted_security_standard(body: dict[str, Any]) -> None:
    """Its rules, as of Kubernetes 1.34: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>."""
    spec = body["spec"]
    for word in ("hostNetwork", "hostPID", "hostIPC", "hostUsers", "hostAliases"):
        assert word not in spec
    assert not list(found_at(body, "hostPort"))
    assert not list(found_at(body, "hostPath"))
    assert not list(found_at(body, "sysctls"))
    assert not list(found_at(body, "procMount"))
    assert not list(found_at(body, "seLinuxOptions"))
    assert not [name for name in body["metadata"]["annotations"] if "apparmor" in name]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*spec["containers"], *spec.get("initContainers", ())]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert not context.get("privileged")
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context.get("runAsNonRoot", True) is True
        assert context.get("runAsUser", 1) > 0
        assert "seccompProfile" not in context
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"}
    for volume in spec["volumes"]:
        assert volume.keys() - {"name"} <= allowed | {"secret"}


@pytest.mark.parametrize("body", EVERY_POD.values(), ids=EVERY_POD.keys())
def test_no_pod_gets_a_token_for_the_cluster_that_was_not_asked_for(body: dict[str, Any]) -> None:
    asked_for = body["spec"].get("serviceAccountName") == "operators"
    assert body["spec"]["automountServiceAccountToken"] is asked_for


@pytest.mark.parametrize("case", PODS)
def test_a_pod_waits_for_its_variables_and_may_run_once_they_are_there(case: str) -> None:
    gates = pod_of(case)["spec"]["schedulingGates"]
    assert gates == [{"name": GATE}]
    assert manifests.without_gate(gates, "") == {"metadata": {"annotations": {}}, "spec": {"schedulingGates": []}}


def test_a_gate_of_the_sites_own_stays() -> None:
    site = site_for("kubernetes: {pod: {spec: {schedulingGates: [{name: kueue.x-k8s.io/admission}]}}}")
    gates = manifests.pod(SPEC, site, prove_home=False, beside_others=False)["spec"]["schedulingGates"]
    left = manifests.without_gate(gates, "10.0.0.7")
    assert left["spec"]["schedulingGates"] == [{"name": "kueue.x-k8s.io/admission"}]
    assert left["metadata"]["annotations"] == {manifests.ADDRESS: "10.0.0.7"}


@pytest.mark.parametrize("case", PODS)
def test_what_a_pod_names_is_what_is_made_for_it(case: str) -> None:
    spec, site = PODS[case]
    pod = pod_of(case)
    made = manifests.variables(spec, site, OWNER)["metadata"]["name"]
    assert notebook_of(pod)["envFrom"] == [{"secretRef": {"name": made}}]
    mounts = {one["name"]: one for one in notebook_of(pod)["volumeMounts"]}
    volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
    assert mounts.keys() == volumes.keys()
    claimed = volumes["home"]["persistentVolumeClaim"]["claimName"]
    if site.homes.shared:
        assert claimed == site.homes.shared
        assert mounts["home"]["subPath"] == spec.home.name
    else:
        assert claimed == home_manifests.claim(spec.home, site.homes)["metadata"]["name"]
        assert "subPath" not in mounts["home"]
    if spec.tls:
        files = manifests.certificate(spec, OWNER, CERTIFICATE)
        assert volumes["certificate"]["secret"]["secretName"] == files["metadata"]["name"]
        assert {item["key"] for item in volumes["certificate"]["secret"]["items"]} == set(files["data"])


def test_a_service_finds_the_pod_of_its_server_and_no_other() -> None:
    wanted = manifests.service(SPEC, OWNER)["spec"]["selector"]
    assert wanted.items() <= pod_of("pod")["metadata"]["labels"].items()
    other = manifests.pod(spec_for({}, server="second"), site_for(), prove_home=False, beside_others=True)
    assert not wanted.items() <= other["metadata"]["labels"].items()


def test_the_hubs_selector_finds_its_servers_and_nothing_else() -> None:
    wanted = dict(part.split("=") for part in manifests.selector("hub-1").split(","))
    assert wanted.items() <= pod_of("pod")["metadata"]["labels"].items()
    assert not wanted.items() <= OTHERS["folder-pod"]["metadata"]["labels"].items()
    spec = changed(SPEC, ref=ServerRef("hub-2", "ada"))
    stranger = manifests.pod(spec, site_for(), prove_home=False, beside_others=False)
    assert not wanted.items() <= stranger["metadata"]["labels"].items()


def test_servers_of_one_user_go_to_one_node_and_those_of_two_users_need_not() -> None:
    def wanted(spec: Server) -> dict[str, str]:
        pod = manifests.pod(spec, site_for(), prove_home=False, beside_others=True)
        (term,) = pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        labels: dict[str, str] = term["labelSelector"]["matchLabels"]
        return labels

    second = manifests.pod(spec_for({}, server="second"), site_for(), prove_home=False, beside_others=True)
    of_bob = manifests.pod(spec_for({}, user="bob"), site_for(), prove_home=False, beside_others=True)
    assert wanted(SPEC).items() <= second["metadata"]["labels"].items()
    assert not wanted(SPEC).items() <= of_bob["metadata"]["labels"].items()
    # Of two that start at once each is one of those that it looks for, so that it fits anywhere.
    assert wanted(SPEC).items() <= pod_of("pod")["metadata"]["labels"].items()
    alone = manifests.pod(SPEC, site_for(), prove_home=False, beside_others=False)
    assert "affinity" not in alone["spec"]


@pytest.mark.parametrize("case", ["variables", "certificate", "service"])
def test_what_belongs_to_a_server_goes_with_its_pod(case: str) -> None:
    (owner,) = OTHERS[case]["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Pod", SPEC.ref.name, "5d2c9f1e")


@pytest.mark.parametrize("case", ["claim", "claim-read-write-many", "home-record"])
def test_a_home_belongs_to_nothing_that_could_take_it_along(case: str) -> None:
    assert "ownerReferences" not in OTHERS[case]["metadata"]


def test_two_starts_of_one_server_share_no_secret_and_no_service() -> None:
    again = changed(SPEC, secrets={"JUPYTERHUB_API_TOKEN": "another"})
    for made in (
        lambda spec: manifests.variables(spec, site_for(), OWNER),
        lambda spec: manifests.certificate(spec, OWNER, {}),
        lambda spec: manifests.service(spec, OWNER),
    ):
        assert made(SPEC)["metadata"]["name"] != made(again)["metadata"]["name"]


def test_the_servers_variables_are_the_catalogs_and_the_hubs_and_the_hubs_win() -> None:
    spec = changed(SPEC, environment={"HOME": "/elsewhere", "LANG": "C.UTF-8"})
    made = manifests.variables(spec, site_for(), OWNER)
    texts = {name: base64.b64decode(data).decode() for name, data in made["data"].items()}
    assert texts["HOME"] == "/home/jovyan"
    assert texts["JUPYTERHUB_ROOT_DIR"] == "/home/jovyan/notebooks"
    assert texts["JUPYTERHUB_API_TOKEN"] == TOKEN
    assert texts["LANG"] == "C.UTF-8"


def test_a_home_is_proven_by_a_hook_and_only_until_it_is() -> None:
    assert "lifecycle" in notebook_of(pod_of("pod", prove_home=True))
    assert "lifecycle" not in notebook_of(pod_of("pod", prove_home=False))


def test_a_patch_that_does_not_fit_is_refused_in_a_sentence_for_an_administrator() -> None:
    site = site_for("kubernetes: {pod: {spec: {hostname: [1]}}}")
    with pytest.raises(EngineRefused, match=r"kubernetes\.pod does not fit: pod\.spec\.hostname is a list"):
        manifests.pod(SPEC, site, prove_home=False, beside_others=False)


# Nothing is lost on the way


def test_every_field_that_is_set_is_one_of_its_kind() -> None:
    """The client's models may pass over what they do not know."""
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(manifests))) if isinstance(node, ast.Call)]
    checked = 0
    for call in calls:
        kind = getattr(client, call.func.id, None) if isinstance(call.func, ast.Name) else None
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            assert not call.args, f"{call.func.id} takes no positional arguments"
            fields = {word.arg for word in call.keywords}
            assert fields <= set(kind.model_fields), f"line {call.lineno}"
            checked += 1
    assert checked > 30


@pytest.mark.parametrize("body", (EVERY_POD | OTHERS).values(), ids=(EVERY_POD | OTHERS).keys())
def test_every_field_that_is_sent_is_one_of_the_api(body: dict[str, Any]) -> None:
    kind = getattr(client, f"V1{body['kind']}")
    assert kind.model_validate(body).model_dump(by_alias=True, exclude_none=True) == body


# Names


def is_label_value(text: str) -> bool:
    return bool(re.fullmatch(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", text))


def is_label_key(text: str) -> bool:
    prefix, _, name = text.rpartition("/")
    return is_label_value(name) and bool(name) and (not prefix or is_dns_subdomain(prefix))


def is_dns_label(text: str) -> bool:
    """As for a Service, whose name begins with a letter."""
    return bool(re.fullmatch(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", text))


def is_dns_subdomain(text: str) -> bool:
    return len(text) <= 253 and all(re.fullmatch(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", part) for part in text.split("."))


NAMES = st.one_of(st.sampled_from([*HOSTILE_NAMES, *generated_names(300)]), st.text(max_size=80))


def sent_for(ref: ServerRef, home: HomeRef) -> Iterator[dict[str, Any]]:
    spec = changed(SPEC, ref=ref, home=home, tls=True)
    site = site_for()
    yield manifests.pod(spec, site, prove_home=True, beside_others=True)
    yield manifests.variables(spec, site, OWNER)
    yield manifests.certificate(spec, OWNER, CERTIFICATE)
    yield manifests.service(spec, OWNER)
    yield home_manifests.claim(home, site.homes)
    yield home_manifests.home_record(home)
    yield home_manifests.folder_pod(home, site_for(SHARED), "true")


@given(hub=NAMES, user=NAMES, server=NAMES, user_id=st.integers(0, 10**17))
def test_any_names_make_valid_objects_that_say_exactly_whose_they_are(
    hub: str, user: str, server: str, user_id: int
) -> None:
    ref, home = ServerRef(hub, user, server), HomeRef(hub, user, user_id)
    for body in sent_for(ref, home):
        metadata = body["metadata"]
        assert is_dns_subdomain(metadata["name"]) if body["kind"] == "Pod" else is_dns_label(metadata["name"])
        for key, value in metadata["labels"].items():
            assert is_label_key(key), key
            assert is_label_value(value), (key, value)
        assert all(is_label_key(key) for key in metadata["annotations"])
        server_of = identify(ref.name, metadata["annotations"], hub)
        home_of = home_from_labels(metadata["annotations"], hub)
        assert (server_of, home_of) in ((ref, None), (None, home))
        assert identify(ref.name, metadata["annotations"], f"{hub}x") is None
    name = manifests.pod(changed(SPEC, ref=ref), site_for(), prove_home=True, beside_others=True)["metadata"]["name"]
    assert is_dns_label(name), "a pod's name is the host's too"


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, *UNSPEAKABLE_NAMES], ids=ascii)
def test_a_label_takes_every_name_and_keeps_those_that_fit(name: str) -> None:
    value = label_value(name)
    assert is_label_value(value)
    assert value
    if name and is_label_value(name):
        assert value == name


def test_one_claim_holds_what_the_catalog_says() -> None:
    assert OTHERS["claim"]["spec"]["resources"]["requests"]["storage"] == "10240Mi"


def found_at(whole: Any, key: str) -> Iterator[Any]:
    """Every value under a key, however deep."""
    if isinstance(whole, Mapping):
        for name, entry in whole.items():
            if name == key:
                yield entry
            yield from found_at(entry, key)
    elif isinstance(whole, list):
        for entry in whole:
            yield from found_at(entry, key)
