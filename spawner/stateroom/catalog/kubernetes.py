"""What only Kubernetes knows."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from stateroom.catalog.scalars import DnsLabel, DnsName, Duration, GroupId, MayBeEmpty, Memory, Model
from stateroom.common.text import quoted


class Toleration(Model):
    """A taint of nodes that servers may run on all the same."""

    key: str = Field(description="The taint's key.", min_length=1)
    operator: Literal["Exists", "Equal"] = Field("Exists", description="How the taint is compared.")
    value: str = Field("", description="The taint's value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        None, description="The taint's effect; every effect if left out."
    )


class KubernetesUser(Model):
    """The user of the images, as whom servers run. A cluster cannot be asked what an image says."""

    id: GroupId = Field(1000, description="The user's number.")
    group: GroupId = Field(100, description="The number of the group that homes are given to.")
    home: str = Field("/home/jovyan", description="The user's home directory, with the users' storage below it.")

    @field_validator("home")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        parts = PurePosixPath(value).parts
        if not value.startswith("/") or len(parts) < 2 or ".." in parts or ":" in value:  # noqa: PLR2004 - the root alone
            raise ValueError(f"{quoted(value)} is not a home directory; write it from the root, like /home/jovyan")
        return value.rstrip("/")


class KubernetesSettings(Model):
    """What only Kubernetes knows."""

    namespace: DnsLabel | None = Field(None, description="The namespace of the servers; the hub's own if left out.")
    user: KubernetesUser = Field(default_factory=KubernetesUser, description="The user of the images.")
    node_selector: Annotated[dict[str, str], MayBeEmpty] = Field(
        default_factory=dict, description="Labels of the nodes that servers run on."
    )
    tolerations: tuple[Toleration, ...] = Field((), description="Taints of nodes that servers may run on.")
    priority_class: DnsName | None = Field(None, description="The priority class of servers.")
    pull_secrets: tuple[DnsName, ...] = Field((), description="Secrets for pulling images.")
    gpu_resource: str = Field(
        "nvidia.com/gpu", description="What the cluster calls a GPU.", pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$"
    )
    ephemeral_storage: Memory | None = Field(
        None, description="How much a server may write outside its home; not limited if left out."
    )
    autoscaler_timeout: Duration | None = Field(
        None,
        description="How long a start waits for an autoscaler to bring a node with room. Without it, a server that no "
        "node has room for is refused within seconds.",
    )
    pod: Annotated[dict[str, Any], MayBeEmpty] = Field(
        default_factory=dict,
        description="What only your cluster needs in each server's pod, such as affinity, sidecars or further volumes: "
        "a strategic merge patch. The server's own container is called `notebook`.",
    )
