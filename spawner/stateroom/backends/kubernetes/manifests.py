"""From a spec to what the cluster is sent: pure, so that golden files can hold it.

A server is a pod and what belongs to the pod: a Secret with its variables, and a
Service where it serves TLS. Both name the pod as their owner, so the cluster
removes them when the pod goes, whoever removed it, and nothing is ever left of
a server but its home. Until they are there a gate keeps the pod from being
scheduled. No variable is in the pod itself, whose description many can read.

Names and owners are annotations, since a label takes no user name as it is.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubernetes.aio.client import (
    V1Affinity,
    V1Capabilities,
    V1Container,
    V1ContainerPort,
    V1EnvFromSource,
    V1KeyToPath,
    V1LabelSelector,
    V1Lifecycle,
    V1LifecycleHandler,
    V1LocalObjectReference,
    V1ObjectMeta,
    V1OwnerReference,
    V1PersistentVolumeClaimVolumeSource,
    V1Pod,
    V1PodAffinity,
    V1PodAffinityTerm,
    V1PodSchedulingGate,
    V1PodSecurityContext,
    V1PodSpec,
    V1ResourceRequirements,
    V1SeccompProfile,
    V1Secret,
    V1SecretEnvSource,
    V1SecretVolumeSource,
    V1SecurityContext,
    V1Service,
    V1ServicePort,
    V1ServiceSpec,
    V1Toleration,
    V1Volume,
    V1VolumeMount,
)
from pydantic import BaseModel

from stateroom.backends.kubernetes.pod_patch import faults, merged
from stateroom.catalog.catalog import Catalog
from stateroom.catalog.consistency import Fault
from stateroom.catalog.images import Pull
from stateroom.catalog.kubernetes import KubernetesSettings
from stateroom.catalog.storage import KubernetesHome
from stateroom.common.labels import HUB, KIND, SPEC, TLS
from stateroom.common.naming import label_value
from stateroom.common.quantity import Resources, format_kubernetes_bytes
from stateroom.storage.homes import HomeRef
from stateroom.storage.mounts import HomeMount, Mount
from stateroom.workloads.container import Container
from stateroom.workloads.names import ServerRef
from stateroom.workloads.resources import resources_as_labels
from stateroom.workloads.server import CERTIFICATE, PORT, Server

CONTAINER = "notebook"
GATE = "stateroom.io/variables"  # waits for the pod's Secret

ADDRESS = "io.stateroom.address"  # of the server's Service, to which its certificate is made
_NAME = "io.stateroom.name"  # a label, by which a Service finds its pod
# What the pods of one user share, to put all of them on the node that has the user's home.
_HOME = "io.stateroom.home"
# KubeSpawner's word, by which tools of the ecosystem know whose a pod is.
USERNAME = "hub.jupyter.org/username"

HOME_VOLUME, _CERTIFICATE_VOLUME = "home", "certificate"
_CERTIFICATE_FOLDER = CERTIFICATE["keyfile"].rpartition("/")[0]
GRACE = 10  # seconds between asking a server to end and killing it
_PULL_POLICIES: Mapping[Pull, str] = {"missing": "IfNotPresent", "always": "Always", "never": "Never"}

# A node that an autoscaler would rather empty keeps its servers.
_STAY = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}


@dataclass(frozen=True, slots=True)
class Site:
    """What the catalog says of the cluster."""

    homes: KubernetesHome = field(default_factory=KubernetesHome)
    settings: KubernetesSettings = field(default_factory=KubernetesSettings)
    image: str = ""  # the catalog's default, for what is done to folders of a shared claim

    def inside(self, path: str) -> str:
        """Return the absolute path inside a container, for one relative to the user's home directory."""
        return f"{self.settings.user.home}/{path}"


def site_of(catalog: Catalog) -> Site:
    """What a catalog says of the cluster now."""
    return Site(catalog.home.kubernetes, catalog.kubernetes, catalog.default_image.image)


def selector(hub: str) -> str:
    """The label selector for the pods of a hub's servers."""
    return f"{HUB}={label_value(hub)},{KIND}=server"


def home_selector(home: HomeRef) -> str:
    """The label selector for the pods of servers that have a home."""
    return f"{_HOME}={home.name}"


def pod(spec: Server, site: Site, *, prove_home: bool, beside_others: bool) -> dict[str, Any]:
    """The body of the pod.

    With `prove_home` the server is ended if it cannot write to its home. With `beside_others` it goes to the node of
    the user's other servers, as a home that is mounted on one node needs; the scheduler then looks at all pods of the
    cluster, which among thousands doubles the time of a start.

    Raises EngineRefused where the catalog's own words for the pod do not fit.
    """
    return merged(_plain_pod(spec, site, prove_home=prove_home, beside_others=beside_others), site.settings.pod)


def pod_faults(catalog: Catalog) -> Iterator[Fault]:
    """What of the catalog's own words for pods does not fit, by its place in the catalog."""
    if catalog.kubernetes.pod:
        container = Container(
            image=catalog.default_image.image,
            resources=catalog.default_size.resources,
            environment={},
            secrets={},
            mounts=(HomeMount(HomeRef("", "", 0), catalog.home.mount),),
        )
        anyone = Server(ServerRef("", ""), container, base_url="/", tls=True)
        plain = _plain_pod(anyone, site_of(catalog), prove_home=True, beside_others=True)
        for path, sentence in faults(catalog.kubernetes.pod, plain):
            yield Fault(("kubernetes", *path), sentence)


def _plain_pod(spec: Server, site: Site, *, prove_home: bool, beside_others: bool) -> dict[str, Any]:
    """The pod without the catalog's own words for it."""
    whole = V1Pod(
        api_version="v1",
        kind="Pod",
        metadata=V1ObjectMeta(
            name=spec.ref.name,
            labels=_server_labels(spec),
            annotations={
                **spec.ref.labels,
                **resources_as_labels(spec.container.resources),
                SPEC: spec.hash,
                **({TLS: "true"} if spec.tls else {}),
                USERNAME: spec.ref.user,
                **_STAY,
            },
        ),
        spec=V1PodSpec(
            scheduling_gates=[V1PodSchedulingGate(name=GATE)],
            restart_policy="Never",
            termination_grace_period_seconds=GRACE,
            # The first process is then the cluster's own, which buries what dies.
            share_process_namespace=True,
            enable_service_links=False,
            automount_service_account_token=spec.container.service_account_token,
            service_account_name=spec.container.service_account,
            security_context=pod_security(site, spec.container.supplemental_groups),
            containers=[_notebook(spec, site, prove_home=prove_home)],
            volumes=_volumes(spec, site),
            affinity=_with_the_home(spec) if beside_others else None,
            node_selector=site.settings.node_selector or None,
            tolerations=tolerations(site),
            priority_class_name=site.settings.priority_class,
            image_pull_secrets=pull_secrets(site),
        ),
    )
    return as_json(whole)


def variables(spec: Server, site: Site, owner: V1OwnerReference) -> dict[str, Any]:
    """The Secret with the server's variables, those that grant access and all others."""
    texts = {
        # An image made for GPUs asks for all of them, and gets them where NVIDIA's runtime is the default.
        **({} if spec.container.resources.gpu else {"NVIDIA_VISIBLE_DEVICES": "void"}),
        **spec.container.environment,
        "HOME": site.settings.user.home,
        "JUPYTERHUB_ROOT_DIR": site.inside(spec.workspace),
        **spec.container.secrets,
    }
    return _secret(_own(spec, "variables"), spec.ref, owner, {name: text.encode() for name, text in texts.items()})


def certificate(spec: Server, owner: V1OwnerReference, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The Secret with the files of the server's certificate. Apart, since all of the other becomes variables."""
    return _secret(_own(spec, "certificate"), spec.ref, owner, files)


def service(spec: Server, owner: V1OwnerReference) -> dict[str, Any]:
    """An address that is known before the pod runs, and to which a certificate can be made."""
    return as_json(
        V1Service(
            api_version="v1",
            kind="Service",
            metadata=_belonging(_own(spec, "address"), spec.ref, owner),
            spec=V1ServiceSpec(
                selector={_NAME: spec.ref.name},
                ports=[V1ServicePort(port=PORT, target_port=PORT)],
                # The server answers before the cluster calls it ready.
                publish_not_ready_addresses=True,
            ),
        )
    )


def owner_of(made: Mapping[str, Any]) -> V1OwnerReference:
    """The pod that was made, as the owner of what belongs to it."""
    return V1OwnerReference(
        api_version="v1", kind="Pod", name=made["metadata"]["name"], uid=made["metadata"]["uid"], controller=True
    )


def without_gate(gates: Sequence[Mapping[str, Any]], address: str) -> dict[str, Any]:
    """The merge patch that lets a pod be scheduled, as far as that is ours to say, and tells its Service's address."""
    return {
        "metadata": {"annotations": {ADDRESS: address} if address else {}},
        "spec": {"schedulingGates": [gate for gate in gates if gate["name"] != GATE]},
    }


def as_json(whole: BaseModel) -> dict[str, Any]:
    """A typed object as the cluster is sent it, without what is not set."""
    made: dict[str, Any] = whole.model_dump(by_alias=True, exclude_none=True)
    return made


CONFINED = V1SecurityContext(
    allow_privilege_escalation=False, privileged=False, capabilities=V1Capabilities(drop=["ALL"])
)


def _secret(name: str, ref: ServerRef, owner: V1OwnerReference, data: Mapping[str, bytes]) -> dict[str, Any]:
    return as_json(
        V1Secret(
            api_version="v1",
            kind="Secret",
            metadata=_belonging(name, ref, owner),
            immutable=True,
            data={key: base64.b64encode(content).decode() for key, content in data.items()},
        )
    )


def _own(spec: Server, what: str) -> str:
    """The name of something of this start's alone: that of the last start may still be there, or in a node's memory."""
    return f"stateroom-{spec.hash}-{what}"


def _notebook(spec: Server, site: Site, *, prove_home: bool) -> V1Container:
    mounts = [_mounted(mount, site) for mount in spec.container.mounts]
    if spec.tls:
        mounts.append(V1VolumeMount(name=_CERTIFICATE_VOLUME, mount_path=_CERTIFICATE_FOLDER, read_only=True))
    return V1Container(
        name=CONTAINER,
        image=spec.container.image,
        image_pull_policy=_PULL_POLICIES[spec.container.pull],
        ports=[V1ContainerPort(name="notebook", container_port=PORT)],
        env_from=[V1EnvFromSource(secret_ref=V1SecretEnvSource(name=_own(spec, "variables")))],
        resources=_resources(spec.container.resources, site),
        security_context=CONFINED,
        volume_mounts=mounts,
        lifecycle=_PROVE_HOME if prove_home else None,
    )


# What a server ended with that could not write to its home, in the message that its container leaves.
HOME_UNWRITABLE = "stateroom: the home cannot be written to"

# A hook that fails ends its container.
_LOOK_AT_HOME = f"""\
[ -w "$JUPYTERHUB_ROOT_DIR" ] && exit
echo "{HOME_UNWRITABLE}" >/dev/termination-log
exit 1
"""
_PROVE_HOME = V1Lifecycle(
    post_start=V1LifecycleHandler.model_validate({"exec": {"command": ["/bin/sh", "-c", _LOOK_AT_HOME]}})
)


def _resources(resources: Resources, site: Site) -> V1ResourceRequirements:
    limits = {"cpu": f"{resources.cpu}m", "memory": format_kubernetes_bytes(resources.memory)}
    requests = {"cpu": f"{resources.cpu_guarantee}m", "memory": format_kubernetes_bytes(resources.memory_guarantee)}
    if resources.gpu:
        limits[site.settings.gpu_resource] = requests[site.settings.gpu_resource] = str(resources.gpu)
    if site.settings.ephemeral_storage:
        limits["ephemeral-storage"] = requests["ephemeral-storage"] = format_kubernetes_bytes(
            site.settings.ephemeral_storage
        )
    return V1ResourceRequirements(limits=limits, requests=requests)


def _volumes(spec: Server, site: Site) -> list[V1Volume]:
    volumes = [claimed(site.homes.shared or mount.home.name) for mount in spec.container.mounts]
    if spec.tls:
        items = [V1KeyToPath(key=kind, path=path.rpartition("/")[2]) for kind, path in CERTIFICATE.items()]
        volumes.append(
            V1Volume(
                name=_CERTIFICATE_VOLUME,
                secret=V1SecretVolumeSource(secret_name=_own(spec, "certificate"), items=items, default_mode=0o440),
            )
        )
    return volumes


def _mounted(mount: Mount, site: Site) -> V1VolumeMount:
    return V1VolumeMount(
        name=HOME_VOLUME,
        mount_path=site.inside(mount.path),
        sub_path=mount.home.name if site.homes.shared else None,
    )


def claimed(name: str) -> V1Volume:
    return V1Volume(name=HOME_VOLUME, persistent_volume_claim=V1PersistentVolumeClaimVolumeSource(claim_name=name))


def pod_security(site: Site, groups: tuple[int, ...]) -> V1PodSecurityContext:
    return V1PodSecurityContext(
        run_as_non_root=True,
        run_as_user=site.settings.user.id,
        # The home is given to this group where the kind of storage allows it.
        fs_group=site.settings.user.group,
        fs_group_change_policy="OnRootMismatch",
        supplemental_groups=list(groups) or None,
        seccomp_profile=V1SeccompProfile(type="RuntimeDefault"),
    )


def _with_the_home(spec: Server) -> V1Affinity:
    """Where the user's other servers are. The first of them fits anywhere, since it is one of those it looks for."""
    return V1Affinity(
        pod_affinity=V1PodAffinity(
            required_during_scheduling_ignored_during_execution=[
                V1PodAffinityTerm(
                    label_selector=V1LabelSelector(match_labels={_HOME: spec.home.name}),
                    topology_key="kubernetes.io/hostname",
                )
            ]
        )
    )


def tolerations(site: Site) -> list[V1Toleration] | None:
    return [
        V1Toleration(key=one.key, operator=one.operator, value=one.value or None, effect=one.effect)
        for one in site.settings.tolerations
    ] or None


def pull_secrets(site: Site) -> list[V1LocalObjectReference] | None:
    return [V1LocalObjectReference(name=name) for name in site.settings.pull_secrets] or None


def common_labels(hub: str, kind: str) -> dict[str, str]:
    return {
        HUB: label_value(hub),
        KIND: kind,
        "app.kubernetes.io/name": "stateroom",
        "app.kubernetes.io/component": kind,
        "app.kubernetes.io/instance": label_value(hub),
        "app.kubernetes.io/managed-by": "stateroom",
    }


def _server_labels(spec: Server) -> dict[str, str]:
    return {
        **common_labels(spec.ref.hub, "server"),
        _NAME: spec.ref.name,
        _HOME: spec.home.name,
        USERNAME: label_value(spec.ref.user),
    }


def _belonging(name: str, ref: ServerRef, owner: V1OwnerReference) -> V1ObjectMeta:
    return V1ObjectMeta(
        name=name,
        labels=common_labels(ref.hub, "server"),
        annotations=dict(ref.labels),
        owner_references=[owner],
    )
