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
    V1ConfigMap,
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
    V1PersistentVolumeClaim,
    V1PersistentVolumeClaimSpec,
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
    V1VolumeResourceRequirements,
)
from pydantic import BaseModel

from stateroom.backends.kubernetes.patching import faults, merged
from stateroom.catalog import Catalog, KubernetesHome, KubernetesSettings, Pull
from stateroom.contradictions import Fault
from stateroom.names import HUB, KIND, SPEC, TLS, HomeRef, ServerRef, label_value, resources_as_labels
from stateroom.quantity import MiB
from stateroom.spec import CERTIFICATE, PORT, ServerSpec

CONTAINER = "notebook"
GATE = "stateroom.io/variables"  # waits for the pod's Secret

ADDRESS = "io.stateroom.address"  # of the server's Service, to which its certificate is made
_NAME = "io.stateroom.name"  # a label, by which a Service finds its pod
# What the pods of one user share, to put all of them on the node that has the user's home.
_HOME = "io.stateroom.home"
# KubeSpawner's word, by which tools of the ecosystem know whose a pod is.
_USERNAME = "hub.jupyter.org/username"

_HOME_VOLUME, _CERTIFICATE_VOLUME = "home", "certificate"
_CERTIFICATE_FOLDER = CERTIFICATE["keyfile"].rpartition("/")[0]
_FOLDER_SECONDS = 120
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

    def mount_path(self, spec: ServerSpec) -> str:
        """Where the home is inside the server."""
        return f"{self.settings.user.home}/{spec.mount}"


def site_of(catalog: Catalog) -> Site:
    """What a catalog says of the cluster now."""
    return Site(catalog.home.kubernetes, catalog.kubernetes, catalog.default_image.image)


def selector(hub: str) -> str:
    """The label selector for the pods of a hub's servers."""
    return f"{HUB}={label_value(hub)},{KIND}=server"


def home_selector(home: HomeRef) -> str:
    """The label selector for the pods of servers that have a home."""
    return f"{_HOME}={home.name}"


def pod(spec: ServerSpec, site: Site, *, prove_home: bool, beside_others: bool) -> dict[str, Any]:
    """The body of the pod.

    With `prove_home` the server is ended if it cannot write to its home. With `beside_others` it goes to the node of
    the user's other servers, as a home of one node needs; the scheduler then looks at all pods of the cluster, which
    among thousands doubles the time of a start.

    Raises EngineRefused where the catalog's own words for the pod do not fit.
    """
    return merged(_plain_pod(spec, site, prove_home=prove_home, beside_others=beside_others), site.settings.pod)


def pod_faults(catalog: Catalog) -> Iterator[Fault]:
    """What of the catalog's own words for pods does not fit, by its place in the catalog."""
    if catalog.kubernetes.pod:
        anyone = ServerSpec(
            ref=ServerRef("", ""),
            home=HomeRef("", "", 0),
            image=catalog.default_image.image,
            cpu=catalog.default_size.cpu,
            memory=catalog.default_size.memory,
            base_url="/",
            mount=catalog.home.mount,
            environment={},
            secrets={},
            tls=True,
        )
        plain = _plain_pod(anyone, site_of(catalog), prove_home=True, beside_others=True)
        for path, sentence in faults(catalog.kubernetes.pod, plain):
            yield Fault(("kubernetes", *path), sentence)


def _plain_pod(spec: ServerSpec, site: Site, *, prove_home: bool, beside_others: bool) -> dict[str, Any]:
    """The pod without the catalog's own words for it."""
    whole = V1Pod(
        api_version="v1",
        kind="Pod",
        metadata=V1ObjectMeta(
            name=spec.ref.name,
            labels=_server_labels(spec),
            annotations={
                **spec.ref.labels,
                **resources_as_labels(spec.resources),
                SPEC: spec.hash,
                **({TLS: "true"} if spec.tls else {}),
                _USERNAME: spec.ref.user,
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
            automount_service_account_token=spec.service_account_token,
            service_account_name=spec.service_account,
            security_context=_pod_security(site, spec.supplemental_groups),
            containers=[_notebook(spec, site, prove_home=prove_home)],
            volumes=_volumes(spec, site),
            affinity=_with_the_home(spec) if beside_others and _stays_on_a_node(site) else None,
            node_selector=site.settings.node_selector or None,
            tolerations=_tolerations(site),
            priority_class_name=site.settings.priority_class,
            image_pull_secrets=_pull_secrets(site),
        ),
    )
    return as_json(whole)


def variables(spec: ServerSpec, site: Site, owner: V1OwnerReference) -> dict[str, Any]:
    """The Secret with the server's variables, those that grant access and all others."""
    texts = {
        # An image made for GPUs asks for all of them, and gets them where NVIDIA's runtime is the default.
        **({} if spec.gpu else {"NVIDIA_VISIBLE_DEVICES": "void"}),
        **spec.environment,
        "HOME": site.settings.user.home,
        "JUPYTERHUB_ROOT_DIR": site.mount_path(spec),
        **spec.secrets,
    }
    return _secret(_own(spec, "variables"), spec.ref, owner, {name: text.encode() for name, text in texts.items()})


def certificate(spec: ServerSpec, owner: V1OwnerReference, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The Secret with the files of the server's certificate. Apart, since all of the other becomes variables."""
    return _secret(_own(spec, "certificate"), spec.ref, owner, files)


def service(spec: ServerSpec, owner: V1OwnerReference) -> dict[str, Any]:
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


def claim(home: HomeRef, homes: KubernetesHome) -> dict[str, Any]:
    """A user's own claim."""
    return as_json(
        V1PersistentVolumeClaim(
            api_version="v1",
            kind="PersistentVolumeClaim",
            metadata=_home_metadata(home),
            spec=V1PersistentVolumeClaimSpec(
                access_modes=[homes.access],
                storage_class_name=homes.storage_class,
                resources=V1VolumeResourceRequirements(requests={"storage": amount(homes.size)}),
            ),
        )
    )


def home_record(home: HomeRef) -> dict[str, Any]:
    """What says whose a folder of the shared claim is, since a folder cannot."""
    return as_json(V1ConfigMap(api_version="v1", kind="ConfigMap", metadata=_home_metadata(home)))


def folder_pod(home: HomeRef, site: Site, script: str) -> dict[str, Any]:
    """A pod that does something to the folder of a home, as the server's own user, and ends.

    The kubelet would make the folder as root, which file servers refuse.
    """
    small = {"cpu": "50m", "memory": amount(64 * MiB)}
    return as_json(
        V1Pod(
            api_version="v1",
            kind="Pod",
            metadata=V1ObjectMeta(
                name=f"{home.name}-folder", labels=_common(home.hub, "folder"), annotations=dict(home.labels)
            ),
            spec=V1PodSpec(
                restart_policy="Never",
                active_deadline_seconds=_FOLDER_SECONDS,
                enable_service_links=False,
                automount_service_account_token=False,
                security_context=_pod_security(site, ()),
                containers=[
                    V1Container(
                        name="folder",
                        image=site.image,
                        image_pull_policy="IfNotPresent",
                        command=["/bin/sh", "-c", script, "folder", f"/homes/{home.name}"],
                        resources=V1ResourceRequirements(requests=small, limits=small),
                        security_context=_CONFINED,
                        volume_mounts=[V1VolumeMount(name=_HOME_VOLUME, mount_path="/homes")],
                        termination_message_policy="FallbackToLogsOnError",
                    )
                ],
                volumes=[_claimed(site.homes.shared)],
                node_selector=site.settings.node_selector or None,
                tolerations=_tolerations(site),
                priority_class_name=site.settings.priority_class,
                image_pull_secrets=_pull_secrets(site),
            ),
        )
    )


def as_json(whole: BaseModel) -> dict[str, Any]:
    """A typed object as the cluster is sent it, without what is not set."""
    made: dict[str, Any] = whole.model_dump(by_alias=True, exclude_none=True)
    return made


_CONFINED = V1SecurityContext(
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


def _own(spec: ServerSpec, what: str) -> str:
    """The name of something of this start's alone: that of the last start may still be there, or in a node's memory."""
    return f"stateroom-{spec.hash}-{what}"


def _notebook(spec: ServerSpec, site: Site, *, prove_home: bool) -> V1Container:
    mounts = [
        V1VolumeMount(
            name=_HOME_VOLUME,
            mount_path=site.mount_path(spec),
            sub_path=spec.home.name if site.homes.shared else None,
        )
    ]
    if spec.tls:
        mounts.append(V1VolumeMount(name=_CERTIFICATE_VOLUME, mount_path=_CERTIFICATE_FOLDER, read_only=True))
    return V1Container(
        name=CONTAINER,
        image=spec.image,
        image_pull_policy=_PULL_POLICIES[spec.pull],
        ports=[V1ContainerPort(name="notebook", container_port=PORT)],
        env_from=[V1EnvFromSource(secret_ref=V1SecretEnvSource(name=_own(spec, "variables")))],
        resources=_resources(spec, site),
        security_context=_CONFINED,
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


def _resources(spec: ServerSpec, site: Site) -> V1ResourceRequirements:
    limits = {"cpu": f"{spec.cpu}m", "memory": amount(spec.memory)}
    requests = {"cpu": f"{spec.reserved_cpu}m", "memory": amount(spec.reserved_memory)}
    if spec.gpu:
        limits[site.settings.gpu_resource] = requests[site.settings.gpu_resource] = str(spec.gpu)
    if site.settings.ephemeral_storage:
        limits["ephemeral-storage"] = requests["ephemeral-storage"] = amount(site.settings.ephemeral_storage)
    return V1ResourceRequirements(limits=limits, requests=requests)


def amount(size: int) -> str:
    """Bytes as the cluster's own words have them, which come back in what it says of quotas."""
    return f"{size // MiB}Mi" if size % MiB == 0 else str(size)


def _volumes(spec: ServerSpec, site: Site) -> list[V1Volume]:
    volumes = [_claimed(site.homes.shared or spec.home.name)]
    if spec.tls:
        items = [V1KeyToPath(key=kind, path=path.rpartition("/")[2]) for kind, path in CERTIFICATE.items()]
        volumes.append(
            V1Volume(
                name=_CERTIFICATE_VOLUME,
                secret=V1SecretVolumeSource(secret_name=_own(spec, "certificate"), items=items, default_mode=0o440),
            )
        )
    return volumes


def _claimed(name: str) -> V1Volume:
    return V1Volume(name=_HOME_VOLUME, persistent_volume_claim=V1PersistentVolumeClaimVolumeSource(claim_name=name))


def _pod_security(site: Site, groups: tuple[int, ...]) -> V1PodSecurityContext:
    return V1PodSecurityContext(
        run_as_non_root=True,
        run_as_user=site.settings.user.id,
        # The home is given to this group where the kind of storage allows it.
        fs_group=site.settings.user.group,
        fs_group_change_policy="OnRootMismatch",
        supplemental_groups=list(groups) or None,
        seccomp_profile=V1SeccompProfile(type="RuntimeDefault"),
    )


def _stays_on_a_node(site: Site) -> bool:
    return not site.homes.shared and site.homes.access == "ReadWriteOnce"


def _with_the_home(spec: ServerSpec) -> V1Affinity:
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


def _tolerations(site: Site) -> list[V1Toleration] | None:
    return [
        V1Toleration(key=one.key, operator=one.operator, value=one.value or None, effect=one.effect)
        for one in site.settings.tolerations
    ] or None


def _pull_secrets(site: Site) -> list[V1LocalObjectReference] | None:
    return [V1LocalObjectReference(name=name) for name in site.settings.pull_secrets] or None


def _common(hub: str, kind: str) -> dict[str, str]:
    return {
        HUB: label_value(hub),
        KIND: kind,
        "app.kubernetes.io/name": "stateroom",
        "app.kubernetes.io/component": kind,
        "app.kubernetes.io/instance": label_value(hub),
        "app.kubernetes.io/managed-by": "stateroom",
    }


def _server_labels(spec: ServerSpec) -> dict[str, str]:
    return {
        **_common(spec.ref.hub, "server"),
        _NAME: spec.ref.name,
        _HOME: spec.home.name,
        _USERNAME: label_value(spec.ref.user),
    }


def _belonging(name: str, ref: ServerRef, owner: V1OwnerReference) -> V1ObjectMeta:
    return V1ObjectMeta(
        name=name,
        labels=_common(ref.hub, "server"),
        annotations=dict(ref.labels),
        owner_references=[owner],
    )


def _home_metadata(home: HomeRef) -> V1ObjectMeta:
    return V1ObjectMeta(
        name=home.name,
        labels={**_common(home.hub, "home"), _USERNAME: label_value(home.user)},
        annotations={**home.labels, _USERNAME: home.user},
    )
