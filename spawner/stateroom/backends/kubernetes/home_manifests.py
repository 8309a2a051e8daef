"""From a home to what the cluster is sent for it: pure, so that golden files can hold it."""

from __future__ import annotations

from typing import Any

from kubernetes.aio.client import (
    V1ConfigMap,
    V1Container,
    V1ObjectMeta,
    V1PersistentVolumeClaim,
    V1PersistentVolumeClaimSpec,
    V1Pod,
    V1PodSpec,
    V1ResourceRequirements,
    V1VolumeMount,
    V1VolumeResourceRequirements,
)

from stateroom.backends.kubernetes.manifests import (
    CONFINED,
    HOME_VOLUME,
    USERNAME,
    Site,
    as_json,
    claimed,
    common_labels,
    pod_security,
    pull_secrets,
    tolerations,
)
from stateroom.catalog.storage import KubernetesHome
from stateroom.common.naming import label_value
from stateroom.common.quantity import MiB, format_kubernetes_bytes
from stateroom.storage.homes import HomeRef

_FOLDER_SECONDS = 120


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
                resources=V1VolumeResourceRequirements(requests={"storage": format_kubernetes_bytes(homes.size)}),
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
    small = {"cpu": "50m", "memory": format_kubernetes_bytes(64 * MiB)}
    return as_json(
        V1Pod(
            api_version="v1",
            kind="Pod",
            metadata=V1ObjectMeta(
                name=f"{home.name}-folder", labels=common_labels(home.hub, "folder"), annotations=dict(home.labels)
            ),
            spec=V1PodSpec(
                restart_policy="Never",
                active_deadline_seconds=_FOLDER_SECONDS,
                enable_service_links=False,
                automount_service_account_token=False,
                security_context=pod_security(site, ()),
                containers=[
                    V1Container(
                        name="folder",
                        image=site.image,
                        image_pull_policy="IfNotPresent",
                        command=["/bin/sh", "-c", script, "folder", f"/homes/{home.name}"],
                        resources=V1ResourceRequirements(requests=small, limits=small),
                        security_context=CONFINED,
                        volume_mounts=[V1VolumeMount(name=HOME_VOLUME, mount_path="/homes")],
                        termination_message_policy="FallbackToLogsOnError",
                    )
                ],
                volumes=[claimed(site.homes.shared)],
                node_selector=site.settings.node_selector or None,
                tolerations=tolerations(site),
                priority_class_name=site.settings.priority_class,
                image_pull_secrets=pull_secrets(site),
            ),
        )
    )


def _home_metadata(home: HomeRef) -> V1ObjectMeta:
    return V1ObjectMeta(
        name=home.name,
        labels={**common_labels(home.hub, "home"), USERNAME: label_value(home.user)},
        annotations={**home.labels, USERNAME: home.user},
    )
