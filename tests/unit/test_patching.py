"""The catalog's own words for a pod: what they mean, what does not fit, and what they cannot take from a server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.catalogs import ANYTHING
from stateroom.backends.kubernetes.manifests import pod_faults
from stateroom.backends.kubernetes.pod_patch import faults, merged
from stateroom.catalog.load import parse_catalog
from stateroom.common.errors import CatalogError, EngineRefused
from stateroom.common.yaml_source import spelled

Json = dict[str, Any]
POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "stateroom-ada",
        "labels": {"io.stateroom.hub": "hub-1", "app.kubernetes.io/name": "stateroom"},
        "annotations": {"io.stateroom.user": "ada", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"},
    },
    "spec": {
        "restartPolicy": "Never",
        "schedulingGates": [{"name": "stateroom.io/variables"}],
        "enableServiceLinks": False,
        "containers": [
            {
                "name": "notebook",
                "image": "a:1",
                "envFrom": [{"secretRef": {"name": "variables"}}],
                "ports": [{"name": "notebook", "containerPort": 8888}],
                "resources": {"limits": {"cpu": "1000m", "memory": "2Gi"}},
                "volumeMounts": [{"name": "home", "mountPath": "/home/jovyan/notebooks"}],
            }
        ],
        "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "home-ada"}}],
        "tolerations": [{"key": "notebooks", "operator": "Exists"}],
    },
}


def patch_of(text: str) -> Json:
    """As the catalog's loader gives it: every scalar a text."""
    images = "images: [{id: a, image: a, default: true}]"
    sizes = "sizes: [{id: s, cpu: 1, memory: 1 GiB, default: true}]"
    indented = "\n".join(f"    {line}" for line in text.strip().splitlines())
    return dict(parse_catalog(f"version: 1\n{images}\n{sizes}\nkubernetes:\n  pod:\n{indented}\n").kubernetes.pod)


def told(text: str) -> list[str]:
    return [f"{spelled(fault.path)} {fault.sentence}" for fault in faults(patch_of(text), POD)]


def spec_with(text: str) -> Json:
    before = copy.deepcopy(POD)
    spec: Json = merged(POD, patch_of(text))["spec"]
    assert before == POD, "the pod itself is left as it is"
    return spec


def notebook_with(text: str) -> Json:
    return next(one for one in spec_with(text)["containers"] if one["name"] == "notebook")


# What words mean


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("spec: {hostNetwork: true}", "hostNetwork", True),
        ("spec: {hostNetwork: False}", "hostNetwork", False),
        ("spec: {priority: 1000}", "priority", 1000),
        ("spec: {hostname: 1000}", "hostname", "1000"),
        ("spec: {hostname: true}", "hostname", "true"),
        ("spec: {terminationGracePeriodSeconds: '30'}", "terminationGracePeriodSeconds", 30),
        ("spec: {nodeSelector: {gpu: true, size: 4}}", "nodeSelector", {"gpu": "true", "size": "4"}),
        ("spec: {securityContext: {supplementalGroups: [1, 2]}}", "securityContext", {"supplementalGroups": [1, 2]}),
        ("spec: {runtimeClassName: gvisor}", "runtimeClassName", "gvisor"),
    ],
)
def test_a_text_is_what_the_field_takes(text: str, key: str, value: Any) -> None:
    assert spec_with(text)[key] == value


def test_a_port_is_a_number_or_a_name() -> None:
    probes = "spec: {containers: [{name: x, livenessProbe: {httpGet: {port: %s}}}]}"
    for text, port in (("8080", 8080), ("web", "web")):
        added = spec_with(probes % text)["containers"][1]
        assert added["livenessProbe"]["httpGet"]["port"] == port


# Merging


def test_entries_are_merged_by_their_key_and_new_ones_are_added() -> None:
    spec = spec_with(
        """
spec:
  containers:
    - name: proxy
      image: proxy:1
    - name: notebook
      env: [{name: LANG, value: de}]
      volumeMounts: [{name: data, mountPath: /data}]
      ports: [{containerPort: 8888, name: web}, {containerPort: 9000}]
  volumes: [{name: data, emptyDir: {sizeLimit: 1Gi}}]
"""
    )
    notebook, proxy = spec["containers"]
    assert proxy == {"name": "proxy", "image": "proxy:1"}
    assert notebook["image"] == "a:1"
    assert notebook["env"] == [{"name": "LANG", "value": "de"}]
    assert [one["mountPath"] for one in notebook["volumeMounts"]] == ["/home/jovyan/notebooks", "/data"]
    assert notebook["ports"] == [{"name": "web", "containerPort": 8888}, {"containerPort": 9000}]
    assert [one["name"] for one in spec["volumes"]] == ["home", "data"]


def test_a_list_without_a_key_is_replaced() -> None:
    assert spec_with("spec: {tolerations: [{key: gpu}]}")["tolerations"] == [{"key": "gpu"}]


def test_null_takes_a_field_away() -> None:
    assert "enableServiceLinks" not in spec_with("spec: {enableServiceLinks: null, hostname: null}")
    limits = notebook_with("spec: {containers: [{name: notebook, resources: {limits: {cpu: null}}}]}")["resources"]
    assert limits == {"limits": {"memory": "2Gi"}}
    assert "tolerations" not in spec_with("spec: {tolerations: null}")


def test_labels_and_annotations_of_a_site_are_added_and_those_of_others_may_be_replaced() -> None:
    text = """
metadata:
  labels: {team: a}
  annotations: {cluster-autoscaler.kubernetes.io/safe-to-evict: true}
"""
    metadata = merged(POD, patch_of(text))["metadata"]
    assert metadata["labels"] == {**POD["metadata"]["labels"], "team": "a"}
    assert metadata["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "true"


def test_no_words_change_nothing() -> None:
    assert merged(POD, {}) == POD


# What does not fit


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("spec: {hostNetwrok: true}", 'pod.spec.hostNetwrok is no field of a pod; did you mean "hostNetwork"?'),
        ("sepc: {}", 'pod.sepc is no field of a pod; did you mean "spec"?'),
        ("wanted: {}", "pod.wanted is no field of a pod; known here are apiVersion, kind, metadata, spec and status"),
        ("spec: {hostNetwork: maybe}", 'pod.spec.hostNetwork is "maybe", and takes true or false'),
        ("spec: {priority: high}", 'pod.spec.priority is "high", and takes a whole number'),
        ("spec: {priority: 1.5}", 'pod.spec.priority is "1.5", and takes a whole number'),
        ("spec: {containers: {name: a}}", "pod.spec.containers has keys, and takes a list"),
        ("spec: {containers: [a]}", 'pod.spec.containers[0] is "a", and takes keys and values'),
        ("spec: {containers: a}", 'pod.spec.containers is "a", and takes a list'),
        ("spec: {hostname: [a]}", "pod.spec.hostname is a list, and takes a text"),
        ("spec: {hostname: {a: b}}", "pod.spec.hostname has keys, and takes a text"),
        ("spec: {nodeSelector: {a: [b]}}", "pod.spec.nodeSelector.a is a list, and takes a text"),
        ("spec: {containers: [{image: a}]}", "pod.spec.containers[0] has no name, by which it is told from the others"),
        (
            "spec: {containers: [{name: a, volumeMounts: [{name: b}]}]}",
            "pod.spec.containers[0].volumeMounts[0] has no mountPath",
        ),
        ("spec: {containers: [{$patch: delete, name: a}]}", "pod.spec.containers[0].$patch is no field"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(text: str, fault: str) -> None:
    (found,) = told(text)
    assert found.startswith(fault)


def test_all_that_does_not_fit_is_told_at_once() -> None:
    assert len(told("spec: {a: 1, b: 2, hostNetwork: maybe, containers: [{name: x, c: 3}]}")) == 4


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("apiVersion: v2", "pod.apiVersion"),
        ("kind: Job", "pod.kind"),
        ("status: {phase: Running}", "pod.status"),
        ("metadata: {name: mine}", "pod.metadata.name"),
        ("metadata: {namespace: kube-system}", "pod.metadata.namespace"),
        ("metadata: {ownerReferences: []}", "pod.metadata.ownerReferences"),
        ("metadata: {finalizers: [a]}", "pod.metadata.finalizers"),
        ("metadata: {labels: {io.stateroom.hub: other}}", "pod.metadata.labels.io.stateroom.hub"),
        ("metadata: {annotations: {io.stateroom.user: bob}}", "pod.metadata.annotations.io.stateroom.user"),
        ("metadata: {annotations: {io.stateroom.user: null}}", "pod.metadata.annotations.io.stateroom.user"),
    ],
)
def test_what_a_server_is_known_by_is_its_own(text: str, place: str) -> None:
    assert told(text) == [f"{place} is the server's own; leave it out"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("metadata: null", "pod.metadata takes away a part of the server's own"),
        ("metadata: {labels: null}", "pod.metadata.labels takes away by what the server is known"),
        ("metadata: {annotations: null}", "pod.metadata.annotations takes away by what"),
        ("spec: null", "pod.spec takes away a part of the server's own"),
        ("spec: {containers: null}", "pod.spec.containers takes away a part of the server's own"),
        ("spec: {restartPolicy: Always}", "pod.spec.restartPolicy is always Never"),
        ("spec: {restartPolicy: null}", "pod.spec.restartPolicy is always Never"),
        ("spec: {schedulingGates: null}", "pod.spec.schedulingGates takes away what holds the server"),
        ("spec: {volumes: null}", "pod.spec.volumes takes away a volume of the server's own"),
        (
            "spec: {volumes: [{name: home, persistentVolumeClaim: {claimName: other}}]}",
            "pod.spec.volumes takes away a volume of the server's own",
        ),
        ("spec: {volumes: [{name: home, emptyDir: {}}]}", "pod.spec.volumes takes away a volume of the server's own"),
        (
            "spec: {containers: [{name: a}, {name: notebook, envFrom: [{secretRef: {name: mine}}]}]}",
            "pod.spec.containers[1].envFrom takes the server its variables; write others to env",
        ),
        ("spec: {containers: [{name: notebook, envFrom: null}]}", "pod.spec.containers[0].envFrom takes the server"),
        (
            "spec: {containers: [{name: notebook, image: b}]}",
            "pod.spec.containers[0].image is what the user has chosen",
        ),
        (
            "spec: {containers: [{name: notebook, volumeMounts: null}]}",
            "pod.spec.containers[0].volumeMounts takes the home from its place",
        ),
        (
            "spec: {containers: [{name: notebook, volumeMounts: [{name: x, mountPath: /home/jovyan/notebooks}]}]}",
            "pod.spec.containers[0].volumeMounts takes the home from its place",
        ),
        (
            "spec: {containers: [{name: notebook, volumeMounts: [{name: x, mountPath: /home/jovyan/notebooks/}]}]}",
            "pod.spec.containers[0].volumeMounts takes the home from its place",
        ),
        (
            (
                "spec: {containers: [{name: notebook, volumeMounts: "
                "[{name: home, mountPath: /home/jovyan/notebooks, readOnly: true}]}]}"
            ),
            "pod.spec.containers[0].volumeMounts takes the home from its place",
        ),
    ],
)
def test_what_a_server_cannot_be_without_stays(text: str, fault: str) -> None:
    (found,) = told(text)
    assert found.startswith(fault)
    assert found.endswith("; leave it out")
    with pytest.raises(EngineRefused, match=r"kubernetes\.pod does not fit") as caught:
        merged(POD, patch_of(text))
    assert str(caught.value).endswith("Tell an administrator.")


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "kind", "x"]), ANYTHING, max_size=3))
def test_whatever_is_written_fits_or_is_told(patch: Json) -> None:
    found = faults(patch, POD)
    for path, sentence in found:
        assert path[0] == "pod"
        assert sentence
    if not found:
        whole = merged(POD, patch)
        assert whole["metadata"]["name"] == "stateroom-ada"
        assert whole["spec"]["volumes"] == POD["spec"]["volumes"]


# In the catalog


def test_a_catalogs_faults_have_their_line() -> None:
    text = """\
version: 1
images: [{id: a, image: a, default: true}]
sizes: [{id: s, cpu: 1, memory: 1 GiB, default: true}]
home: {mount: work}
kubernetes:
  user: {home: /home/lab}
  pod:
    spec:
      containers:
        - name: notebook
          volumeMounts:
            - {name: data, mountPath: /home/lab/work}
"""
    with pytest.raises(CatalogError) as caught:
        parse_catalog(text, further=pod_faults)
    (problem,) = caught.value.problems
    assert problem.startswith("catalog.yaml:11:11: kubernetes.pod.spec.containers[0].volumeMounts: takes the home")
    assert not list(pod_faults(parse_catalog(text.replace("/home/lab/work", "/data"))))


def test_the_certificates_folder_cannot_be_hidden_either() -> None:
    pod = {"spec": {"containers": [{"name": "notebook", "volumeMounts": [
        {"name": "x", "mountPath": "/var/lib/stateroom/certificate"}
    ]}]}}  # fmt: skip
    text = yaml.safe_dump({
        "version": 1,
        "images": [{"id": "a", "image": "a", "default": True}],
        "sizes": [{"id": "s", "cpu": 1, "memory": "1 GiB", "default": True}],
        "kubernetes": {"pod": pod},
    })  # fmt: skip
    assert len(list(pod_faults(parse_catalog(text)))) == 1
