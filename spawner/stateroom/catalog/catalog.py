"""The catalog: what an admin may write, and what it means.

A section of the file has a module of this folder, and the values in them have
`scalars`. Each field's description is the reference an admin reads. What one
part says about another (a default that nobody may use, a group that is not
listed) is checked by `consistency`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from stateroom.catalog.docker import DockerSettings
from stateroom.catalog.images import Image
from stateroom.catalog.kubernetes import KubernetesSettings
from stateroom.catalog.people import Group, User
from stateroom.catalog.scalars import Duration, Id, IdleTime, MayBeEmpty, Model, Name, Variables, Version
from stateroom.catalog.sizes import Custom, Guarantee, Quota, Size
from stateroom.catalog.storage import Home


class Start(Model):
    """How long a start may take."""

    timeout: Duration = Field(120.0, description="From Start to an answering server, pulling apart.", gt=0)
    pull_timeout: Duration = Field(1200.0, description="For pulling an image that is not there yet.", gt=0)


class Idle(Model):
    """What becomes of servers that nobody uses."""

    stop_after: IdleTime | None = Field(
        None, description="Stop a server after this time without use; a busy kernel is use. Never if left out."
    )


class Catalog(Model):
    """The whole file."""

    version: Version = Field(description="The format's version: 1.")
    hub: Id | None = Field(None, description="The hub's id in names and labels; made once if left out.")
    images: tuple[Image, ...] = Field(description="The images; one of them the default.")
    sizes: tuple[Size, ...] = Field(description="The sizes; one of them the default.")
    custom: Custom | None = Field(
        None, description="Ranges for CPU, memory and GPUs; without it only the sizes are offered."
    )
    guarantee: Guarantee = Field(
        default_factory=Guarantee, description="The share of a server's limits that is guaranteed to it."
    )
    quota: Quota = Field(default_factory=Quota, description="What one user may run at once, over all servers.")
    groups: Annotated[dict[Name, Group], MayBeEmpty] = Field(
        default_factory=dict, description="The hub's groups that have more than others."
    )
    users: Annotated[dict[Name, User], MayBeEmpty] = Field(
        default_factory=dict, description="Single users for whom something else holds; these words beat the groups'."
    )
    home: Home = Field(default_factory=Home, description="Users' storage.")
    environment: Variables = Field(default_factory=dict, description="Variables for every server, as they are written.")
    start: Start = Field(default_factory=Start, description="How long a start may take.")
    idle: Idle = Field(default_factory=Idle, description="What becomes of servers that nobody uses.")
    docker: DockerSettings = Field(default_factory=DockerSettings, description="What only Docker knows.")
    kubernetes: KubernetesSettings = Field(
        default_factory=KubernetesSettings, description="What only Kubernetes knows."
    )

    @field_validator("images", "sizes")
    @classmethod
    def _not_empty(cls, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        if not entries:
            raise ValueError("is empty; list at least one entry")
        return entries

    @property
    def default_image(self) -> Image:
        """The image of a start without a choice."""
        return next(image for image in self.images if image.default)

    @property
    def default_size(self) -> Size:
        """The size of a start without a choice."""
        return next(size for size in self.sizes if size.default)
