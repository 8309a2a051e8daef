"""Where homes are."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from stateroom.catalog.scalars import DnsLabel, DnsName, Memory, Model
from stateroom.common.quantity import GiB
from stateroom.common.text import quoted


class DockerHome(Model):
    """Where homes are on Docker: a volume each, or a folder each below `path`."""

    volume: Literal["per-user"] | None = Field(None, description="`per-user`: a named volume for each user.")
    path: str | None = Field(None, description="A host folder; each user gets a folder in it.")

    @model_validator(mode="after")
    def _one_of_two(self) -> DockerHome:
        if self.volume and self.path:
            raise ValueError("names a volume and a path; keep one of the two")
        if self.path is not None and not PurePosixPath(self.path).is_absolute():
            raise ValueError(f"{quoted(self.path)} is not an absolute path; write it from the root, like /srv/homes")
        if self.path is not None and (":" in self.path or ".." in PurePosixPath(self.path).parts):
            raise ValueError(f"{quoted(self.path)} holds ':' or '..'; write a plain path like /srv/homes")
        return self


class KubernetesHome(Model):
    """Where homes are on Kubernetes: a claim each, or a folder each in one shared claim."""

    claim: DnsLabel = Field("per-user", description="`per-user`, or the name of one claim that all share.")
    size: Memory = Field(
        10 * GiB,
        description="How much a claim of a user's own holds. A larger size makes the claims that are there grow.",
    )
    storage_class: DnsName | None = Field(
        None, description="The storage class of new claims; the cluster's default if left out."
    )
    access: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(
        "ReadWriteOnce",
        description="How new claims of users' own are mounted. With `ReadWriteOnce` all servers of a user run on one "
        "node.",
    )

    @property
    def shared(self) -> str:
        """The name of the claim that all share, "" where each user has one."""
        return "" if self.claim == "per-user" else self.claim


class Home(Model):
    """Users' storage. It outlives every container."""

    mount: str = Field("notebooks", description="The folder below the image user's home directory.")
    when_user_is_deleted: Literal["keep", "delete"] = Field(
        "keep", description="What becomes of the home of a user whom the hub deletes."
    )
    docker: DockerHome = Field(default_factory=DockerHome, description="Where homes are on Docker.")
    kubernetes: KubernetesHome = Field(default_factory=KubernetesHome, description="Where homes are on Kubernetes.")

    @field_validator("mount")
    @classmethod
    def _stays_below_home(cls, value: str) -> str:
        parts = PurePosixPath(value).parts
        if not parts or value.startswith("/") or any(part in {"..", "."} for part in value.split("/")):
            raise ValueError(f"{quoted(value)} is not a folder below the home directory; write for example notebooks")
        return str(PurePosixPath(value))

    @model_validator(mode="after")
    def _only_volumes_are_deleted(self) -> Home:
        if self.when_user_is_deleted == "delete" and self.docker.path:
            raise ValueError(
                "when_user_is_deleted: delete is for volumes; Stateroom deletes no host folders, write keep"
            )
        return self
