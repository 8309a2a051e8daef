"""What the chart makes of values, seen without a cluster: each switch, and what must always hold."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.helm import CHART, VALUES, HelmRefused, Json, Objects, chart_of, helm, render
from stateroom import __version__
from stateroom.backends.kubernetes.manifests import selector
from stateroom.backends.kubernetes.rbac import role
from stateroom.images.sources import HUB_IMAGE, PROXY_IMAGE

TEMPLATES = CHART / "templates"
# With every part of the chart there is.
FULL: Json = {
    "host": "hub.example.org",
    "ingress": {"enabled": True, "tls_secret": "certificate"},
    "route": {"enabled": True, "gateway": "front", "namespace": "gateways", "section": "https"},
    "disruption_budgets": True,
    "secret": "own",
}
# Another value than the default for each, where its kind alone does not tell one.
OTHERS: Json = {
    "catalog": VALUES["catalog"].replace("unified:1", "unified:2"),
    "hub.config": {"Authenticator": {"allow_all": True}},
    "hub.volume.size": "3Gi",
    "hub.resources": {"limits": {"memory": "3Gi"}},
    "hub.volumes": [{"name": "more", "emptyDir": {}}],
    "hub.mounts": [{"name": "more", "mountPath": "/more"}],
    "proxy.service.type": "LoadBalancer",
    "proxy.resources": {"limits": {"memory": "1Gi"}},
    "tolerations": [{"key": "hubs", "operator": "Exists"}],
    "network_policies.closed": ["10.0.0.0/8"],
    "network_policies.open": ["10.1.2.3/32"],
}


def leaves(values: Json, above: str = "") -> list[str]:
    """The dotted names of all values; those of Kubernetes' own kind are one."""
    found = []
    for name, value in values.items():
        path = f"{above}{name}"
        is_section = isinstance(value, dict) and value and not path.endswith("resources")
        found += leaves(value, f"{path}.") if is_section else [path]
    return found


def put(values: Json, path: str, value: object) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    return {**values, first: put(values.get(first, {}), rest, value) if rest else value}


def another(path: str) -> object:
    value: Any = VALUES
    for part in path.split("."):
        value = value[part]
    match value:
        case _ if path in OTHERS:
            return OTHERS[path]
        case bool():
            return path not in {"ingress.enabled", "route.enabled", "disruption_budgets"} and not value
        case int():
            return value + 1
        case str():
            return "another"
        case list():
            return ["another"]
        case _:
            return {"another": "one"}


@pytest.fixture(scope="module")
def plain() -> Objects:
    return render()


@pytest.fixture(scope="module")
def full() -> Objects:
    return render(FULL)


# All of it


def test_helm_finds_nothing_to_complain_of() -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


@pytest.mark.parametrize("path", leaves(VALUES))
def test_each_value_has_a_use(path: str, full: Objects) -> None:
    assert render(put(FULL, path, another(path))) != full


def test_the_templates_stay_small() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in TEMPLATES.iterdir())
    assert lines < 900


def test_the_chart_has_the_packages_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__


def test_names_of_two_releases_never_meet() -> None:
    def names(objects: Objects) -> set[tuple[str, str, str]]:
        return {(one["kind"], one["metadata"].get("namespace", "hubs"), one["metadata"]["name"]) for one in objects}

    assert not names(render(FULL)) & names(render(FULL, release="other"))
    there = put(FULL, "catalog", catalog(namespace="servers"))

    def those_there(objects: Objects) -> set[tuple[str, str, str]]:
        return {name for name in names(objects) if name[1] == "servers"}

    assert not those_there(render(there)) & those_there(render(there, namespace="others"))


def test_a_mistyped_value_is_refused_with_its_path() -> None:
    with pytest.raises(HelmRefused, match=r"hub[^\n]*imaeg") as caught:
        render({"hub": {"imaeg": "x"}})
    assert "additional" in str(caught.value).lower()


# Pods


def test_every_pod_passes_the_restricted_standard(full: Objects) -> None:
    pods = list(full.pods())
    assert len(pods) == 7, pods
    for name, pod in pods:
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["seccompProfile"]) == (True, {"type": "RuntimeDefault"}), name
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_only_what_asks_the_cluster_has_an_account(full: Objects) -> None:
    accounts = [pod["serviceAccountName"] for _, pod in full.pods() if "serviceAccountName" in pod]
    assert sorted(accounts) == ["hub-down", "hub-hub", "hub-prepull-hook"]
    for name, pod in full.pods():
        assert ("serviceAccountName" in pod) != (pod.get("automountServiceAccountToken") is False), name


def test_the_images_are_those_of_stateroom_of_this_version(plain: Objects) -> None:
    pods = dict(plain.pods())
    assert pods["hub-hub"]["containers"][0]["image"] == HUB_IMAGE
    assert pods["hub-proxy"]["containers"][0]["image"] == PROXY_IMAGE


def test_a_registry_has_them_as_stateroom_pushes_them() -> None:
    pods = dict(render({"registry": "registry.example/notebooks/"}).pods())
    assert pods["hub-hub"]["containers"][0]["image"] == f"registry.example/notebooks/{HUB_IMAGE}"
    assert pods["hub-proxy"]["containers"][0]["image"] == f"registry.example/notebooks/{PROXY_IMAGE}"


def test_an_image_of_ones_own_beats_the_registry() -> None:
    pods = dict(render({"registry": "registry.example", "hub": {"image": "team/hub@sha256:12"}}).pods())
    assert {pods[name]["containers"][0]["image"] for name in ("hub-hub", "hub-check", "hub-down")} == {
        "team/hub@sha256:12"
    }


def test_the_hub_and_the_proxy_run_where_they_are_told() -> None:
    where = {
        "node_selector": {"pool": "hubs"},
        "tolerations": [{"key": "hubs", "operator": "Exists"}],
        "priority_class": "high",
        "pull_secrets": ["login"],
    }
    pods = dict(render(where).pods())
    for name in ("hub-hub", "hub-proxy", "hub-check", "hub-down"):
        assert pods[name]["nodeSelector"] == {"pool": "hubs"}
        assert pods[name]["tolerations"] == where["tolerations"]
        assert pods[name]["priorityClassName"] == "high"
        assert pods[name]["imagePullSecrets"] == [{"name": "login"}]


# The hub


def hub_container(objects: Objects) -> dict[str, Any]:
    (container,) = (found["containers"][0] for name, found in objects.pods() if name.endswith("-hub"))
    return dict(container)


def test_a_changed_catalog_changes_nothing_of_the_hub(plain: Objects) -> None:
    changed = render({"catalog": OTHERS["catalog"]})
    assert changed.named("Deployment", "hub-hub") == plain.named("Deployment", "hub-hub")
    assert changed.named("ConfigMap", "hub-catalog")["data"]["catalog.yaml"] == OTHERS["catalog"]


@pytest.mark.parametrize("change", [{"config": {"Authenticator": {"allow_all": True}}}, {"code": "c.X.y = 1"}])
def test_a_changed_configuration_restarts_the_hub_and_no_proxy(change: Json, plain: Objects) -> None:
    changed = render({"hub": change})
    assert changed.named("Deployment", "hub-hub") != plain.named("Deployment", "hub-hub")
    assert changed.named("Deployment", "hub-proxy") == plain.named("Deployment", "hub-proxy")


def test_a_new_version_of_the_chart_restarts_no_proxy_whose_image_is_the_same(tmp_path: Path) -> None:
    own = {"proxy": {"image": "team/proxy:1"}}
    newer = render(own, chart=chart_of(tmp_path, "9.9.9")).named("Deployment", "hub-proxy")
    ours = render(own).named("Deployment", "hub-proxy")
    assert newer["metadata"]["labels"] != ours["metadata"]["labels"]
    assert newer["spec"] == ours["spec"]


def test_a_configuration_is_a_secret(plain: Objects) -> None:
    objects = render({"hub": {"config": {"GitHubOAuthenticator": {"client_secret": "sesame"}}, "code": "c.A.b = 1\n"}})
    secret = objects.named("Secret", "hub-configuration")["stringData"]
    assert json.loads(secret["config.yaml"]) == {"GitHubOAuthenticator": {"client_secret": "sesame"}}
    assert secret["code.py"] == "c.A.b = 1\n"
    others = [found for found in objects if found["metadata"]["name"] != "hub-configuration"]
    assert "sesame" not in json.dumps(others)
    assert json.loads(plain.named("Secret", "hub-configuration")["stringData"]["config.yaml"]) == {}


def test_a_database_of_its_own_is_named_by_a_secret() -> None:
    objects = render({"hub": {"database_url": "postgresql+psycopg://hub:sesame@db/hub"}})
    container = hub_container(objects)
    (url,) = (found for found in container["env"] if found["name"] == "STATEROOM_DATABASE_URL")
    assert url["valueFrom"]["secretKeyRef"] == {"name": "hub-configuration", "key": "database_url"}
    assert "sesame" not in json.dumps(objects.of("Deployment"))


def test_without_one_the_hub_has_no_database_variable(plain: Objects) -> None:
    assert "STATEROOM_DATABASE_URL" not in {found["name"] for found in hub_container(plain)["env"]}


def test_the_hub_has_variables_and_secrets_of_the_admins() -> None:
    objects = render({"hub": {"environment": {"TZ": "Europe/Paris", "N": "5"}, "secrets": ["oauth"]}})
    container = hub_container(objects)
    assert {"name": "TZ", "value": "Europe/Paris"} in container["env"]
    assert {"name": "N", "value": "5"} in container["env"]
    assert container["envFrom"] == [{"secretRef": {"name": "hub-secrets"}}, {"secretRef": {"name": "oauth"}}]


def test_the_hub_has_further_volumes() -> None:
    objects = render({"hub": {"volumes": OTHERS["hub.volumes"], "mounts": OTHERS["hub.mounts"]}})
    pod = dict(objects.pods())["hub-hub"]
    assert {"name": "more", "emptyDir": {}} in pod["volumes"]
    assert {"name": "more", "mountPath": "/more"} in pod["containers"][0]["volumeMounts"]


def test_the_hubs_volume_outlives_the_release(plain: Objects) -> None:
    claim = plain.named("PersistentVolumeClaim", "hub-hub")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert "storageClassName" not in claim["spec"]


def test_the_hubs_volume_has_a_size_and_a_class() -> None:
    claim = render({"hub": {"volume": {"size": "5Gi", "storage_class": "fast"}}}).named(
        "PersistentVolumeClaim", "hub-hub"
    )
    assert claim["spec"]["resources"] == {"requests": {"storage": "5Gi"}}
    assert claim["spec"]["storageClassName"] == "fast"


def test_a_claim_of_ones_own_is_used_and_none_made() -> None:
    objects = render({"hub": {"volume": {"claim": "mine"}}})
    assert not objects.of("PersistentVolumeClaim")
    pod = dict(objects.pods())["hub-hub"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}} in pod["volumes"]


def test_the_hub_asks_for_its_health_below_its_base_url() -> None:
    container = hub_container(render({"hub": {"config": {"JupyterHub": {"base_url": "/notes/"}}}}))
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/notes/hub/health", "port": "http"}


def test_two_hubs_never_run_at_once(plain: Objects) -> None:
    assert plain.named("Deployment", "hub-hub")["spec"]["strategy"] == {"type": "Recreate"}
    assert plain.named("Deployment", "hub-hub")["spec"]["replicas"] == 1


def hub_id(objects: Objects) -> str:
    return next(str(found["value"]) for found in hub_container(objects)["env"] if found["name"] == "STATEROOM_HUB_ID")


def test_the_hubs_id_is_of_its_namespace_and_release(plain: Objects) -> None:
    assert hub_id(plain) == "hubs.hub"


def test_a_long_id_is_cut_and_stays_its_own() -> None:
    ids = {hub_id(render(release="r" * 52 + last, namespace="n" * 40)) for last in "ab"}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[a-z0-9.-]{1,63}", found) for found in ids)


def test_the_catalog_may_give_the_id() -> None:
    assert hub_id(render({"catalog": f"hub: ours\n{VALUES['catalog']}"})) == "ours"


# Secrets


def test_secrets_are_made_and_kept(plain: Objects) -> None:
    secret = plain.named("Secret", "hub-secrets")
    assert secret["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    made = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    assert set(made) == {"CONFIGPROXY_AUTH_TOKEN", "JPY_COOKIE_SECRET", "JUPYTERHUB_CRYPT_KEY"}
    assert len(set(made.values())) == 3
    for name in ("JPY_COOKIE_SECRET", "JUPYTERHUB_CRYPT_KEY"):
        assert len(bytes.fromhex(made[name])) == 32


def test_a_secret_of_ones_own_is_used_and_none_made() -> None:
    objects = render({"secret": "mine"})
    assert [found["metadata"]["name"] for found in objects.of("Secret")] == ["hub-configuration"]
    assert hub_container(objects)["envFrom"] == [{"secretRef": {"name": "mine"}}]
    proxy = dict(objects.pods())["hub-proxy"]["containers"][0]
    assert proxy["env"][0]["valueFrom"]["secretKeyRef"]["name"] == "mine"


# Rights


# Whether servers are behind network policies.
RULES_OF_DOCTOR = [{"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list"]}]


def test_the_hubs_rights_are_those_that_the_backend_uses(plain: Objects) -> None:
    assert plain.named("Role", "hub-hub")["rules"] == [*role("", "")["rules"], *RULES_OF_DOCTOR]


def test_no_account_may_more_than_the_hubs(full: Objects) -> None:
    """But for the one that waits for a DaemonSet, which it may get."""

    def rights(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
        return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}

    known = rights([*role("", "")["rules"], *RULES_OF_DOCTOR])
    for found in full.of("Role"):
        assert rights(found["rules"]) - known <= {("daemonsets", "get")}, found["metadata"]["name"]


def test_nothing_is_cluster_wide(full: Objects) -> None:
    assert not [found["kind"] for found in full if found["kind"].startswith("Cluster")]


def catalog(**kubernetes: object) -> str:
    return f"{VALUES['catalog']}\nkubernetes: {json.dumps(kubernetes)}\n"


def test_servers_may_have_a_namespace_of_their_own() -> None:
    objects = render({"catalog": catalog(namespace="servers")})
    there = {(found["kind"], found["metadata"]["name"]) for found in objects if found["metadata"].get("namespace")}
    assert there == {
        ("Role", "hubs.hub-hub"),
        ("RoleBinding", "hubs.hub-hub"),
        ("NetworkPolicy", "hubs.hub-servers"),
        ("DaemonSet", "hubs.hub-prepull"),
        ("DaemonSet", "hubs.hub-prepull-hook"),
        ("Role", "hubs.hub-prepull-hook"),
        ("RoleBinding", "hubs.hub-prepull-hook"),
        ("Role", "hubs.hub-down"),
        ("RoleBinding", "hubs.hub-down"),
    }
    assert {found["metadata"]["namespace"] for found in objects if found["metadata"].get("namespace")} == {"servers"}
    subjects = objects.named("RoleBinding", "hubs.hub-hub")["subjects"]
    assert subjects == [{"kind": "ServiceAccount", "name": "hub-hub", "namespace": "hubs"}]


# Ways in


def test_by_default_nothing_leads_in_from_outside(plain: Objects) -> None:
    assert not plain.of("Ingress")
    assert not plain.of("HTTPRoute")
    assert plain.named("Service", "hub-proxy")["spec"]["type"] == "ClusterIP"


def test_a_load_balancer_has_its_annotations() -> None:
    values = {"proxy": {"service": {"type": "LoadBalancer", "port": 8080, "annotations": {"a": "b"}}}}
    service = render(values).named("Service", "hub-proxy")
    assert service["metadata"]["annotations"] == {"a": "b"}
    assert service["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http"}]


def test_an_ingress_leads_from_the_host_to_the_proxy() -> None:
    values = {"host": "hub.example.org", "ingress": {"enabled": True, "class": "nginx", "annotations": {"a": "b"}}}
    ingress = render(values).named("Ingress", "hub")
    assert ingress["metadata"]["annotations"] == {"a": "b"}
    assert ingress["spec"]["ingressClassName"] == "nginx"
    rules = ingress["spec"]["rules"]
    assert [rule["host"] for rule in rules] == ["hub.example.org", "*.hub.example.org"]
    for rule in rules:
        (path,) = rule["http"]["paths"]
        assert (path["path"], path["pathType"]) == ("/", "Prefix")
        assert path["backend"] == {"service": {"name": "hub-proxy", "port": {"name": "http"}}}
    assert "tls" not in ingress["spec"]


def test_an_ingress_has_a_certificate() -> None:
    ingress = render({"host": "a.example.org", "ingress": {"enabled": True, "tls_secret": "cert"}}).named(
        "Ingress", "hub"
    )
    assert ingress["spec"]["tls"] == [{"hosts": ["a.example.org", "*.a.example.org"], "secretName": "cert"}]


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, None),
        ({"host": "a.example.org"}, "http://a.example.org"),
        ({"host": "a.example.org", "ingress": {"enabled": True, "tls_secret": "cert"}}, "https://a.example.org"),
        ({"host": "a.example.org", "host_names": False}, ""),
    ],
)
def test_users_servers_have_host_names_unless_an_admin_gives_them_up(values: Json, url: str | None) -> None:
    rendered = render(values)
    hub = rendered.named("Deployment", "hub-hub")["spec"]["template"]["spec"]["containers"][0]
    environment = {one["name"]: one.get("value") for one in hub["env"]}
    assert environment.get("STATEROOM_HOST_NAMES") == url
    proxy = rendered.named("Deployment", "hub-proxy")["spec"]["template"]["spec"]["containers"][0]
    assert ("--host-routing" in proxy["args"]) is bool(url)


def test_a_route_leads_from_a_gateway_to_the_proxy() -> None:
    values = {
        "host": "hub.example.org",
        "route": {"enabled": True, "gateway": "front", "namespace": "gateways", "section": "https"},
        "proxy": {"service": {"port": 8080}},
    }
    route = render(values).named("HTTPRoute", "hub")["spec"]
    assert route["hostnames"] == ["hub.example.org", "*.hub.example.org"]
    assert route["parentRefs"] == [{"name": "front", "namespace": "gateways", "sectionName": "https"}]
    assert route["rules"][0]["backendRefs"] == [{"name": "hub-proxy", "port": 8080}]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"ingress": {"enabled": True}}, "`ingress` needs `host`"),
        ({"route": {"enabled": True, "gateway": "front"}}, "`route` needs `host`"),
        ({"route": {"enabled": True}, "host": "a.example.org"}, "`route` needs `route.gateway`"),
    ],
)
def test_a_way_in_that_lacks_something_is_refused(values: Json, told: str) -> None:
    with pytest.raises(HelmRefused, match=re.escape(told)):
        render(values)


# The rest


def test_drains_wait_only_where_that_is_asked_for(plain: Objects, full: Objects) -> None:
    assert not plain.of("PodDisruptionBudget")
    budgets = full.of("PodDisruptionBudget")
    assert [found["metadata"]["name"] for found in budgets] == ["hub-hub", "hub-proxy"]
    assert {found["spec"]["maxUnavailable"] for found in budgets} == {0}


def test_policies_may_be_left_to_others() -> None:
    assert not render({"network_policies": {"enabled": False}}).of("NetworkPolicy")


def test_policies_find_servers_by_the_labels_that_these_have(plain: Objects) -> None:
    labels = plain.named("NetworkPolicy", "hub-servers")["spec"]["podSelector"]["matchLabels"]
    assert ",".join(f"{name}={value}" for name, value in labels.items()) == selector("hubs.hub")


def test_what_is_closed_to_servers_and_what_is_open() -> None:
    values = {"network_policies": {"closed": ["10.0.0.0/8", "fc00::/7"], "open": ["10.1.2.3/32"]}}
    *_, outside = render(values).named("NetworkPolicy", "hub-servers")["spec"]["egress"]
    assert [block["ipBlock"] for block in outside["to"]] == [
        {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]},
        {"cidr": "::/0", "except": ["fc00::/7"]},
        {"cidr": "10.1.2.3/32"},
    ]


IMAGES = """\
version: 1
images:
  - {id: a, image: "team/a:1", default: true}
  - {id: b, image: "team/b:1", pull: always}
  - {id: again, image: "team/a:1", hidden: true}
  - {id: local, image: "team/local:1", pull: never}
  - {id: leaving, image: "team/leaving:1", deprecated: "Until March.", replaced_by: a}
  - {id: gone, image: "team/gone:1", replaced_by: a}
sizes:
  - {id: small, cpu: 1, memory: 1 GiB, default: true}
kubernetes:
  pull_secrets: [login]
  node_selector: {pool: servers}
  tolerations: [{key: servers, operator: Exists}]
"""


@pytest.mark.parametrize("name", ["hub-prepull", "hub-prepull-hook"])
def test_nodes_of_servers_get_all_images_that_can_be_started(name: str) -> None:
    pod = render({"catalog": IMAGES}).named("DaemonSet", name)["spec"]["template"]["spec"]
    policies = {container["image"]: container["imagePullPolicy"] for container in pod["initContainers"]}
    assert policies == {"team/a:1": "IfNotPresent", "team/b:1": "Always", "team/leaving:1": "IfNotPresent"}
    assert pod["imagePullSecrets"] == [{"name": "login"}]
    assert pod["nodeSelector"] == {"pool": "servers"}
    assert pod["tolerations"] == [{"key": "servers", "operator": "Exists"}]
    assert len({container["name"] for container in pod["initContainers"]}) == 3


@pytest.mark.parametrize(("switch", "left"), [("hook", {"hub-prepull"}), ("continuous", {"hub-prepull-hook"})])
def test_either_way_of_pulling_may_be_off(switch: str, left: set[str]) -> None:
    objects = render({"prepull": {switch: False}})
    assert {found["metadata"]["name"] for found in objects.of("DaemonSet")} == left
    assert ("hub-prepull-hook" in {found["metadata"]["name"] for found in objects.of("Job")}) == (switch != "hook")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "images: [",
        "- a\n- b\n",
        "images: 5\nkubernetes: 7\n",
        "images: [5, {image: }, {image: [1]}]\nkubernetes: {namespace: }\n",
        "images: {a: b}\nkubernetes: [x]\nhub: \n",
    ],
)
def test_a_catalog_that_does_not_hold_is_left_to_the_check(text: str) -> None:
    objects = render({"catalog": text})
    assert objects.named("ConfigMap", "hub-check")["data"]["catalog.yaml"] == text


def test_the_check_sees_the_catalog_before_anything_is_made(plain: Objects) -> None:
    check = plain.named("Job", "hub-check")
    notes = check["metadata"]["annotations"]
    assert notes["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert int(notes["helm.sh/hook-weight"]) < int(
        plain.named("DaemonSet", "hub-prepull-hook")["metadata"]["annotations"]["helm.sh/hook-weight"]
    )
    assert check["spec"]["template"]["spec"]["containers"][0]["command"] == ["stateroom", "check", "catalog.yaml"]


def test_what_a_hook_needed_is_gone_afterwards(full: Objects) -> None:
    hooks = [found for found in full if "helm.sh/hook" in found["metadata"].get("annotations", {})]
    assert len(hooks) == 12
    for hook in hooks:
        policy = hook["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert policy == "before-hook-creation,hook-succeeded,hook-failed"
