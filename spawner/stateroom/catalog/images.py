"""The images of the catalog."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from stateroom.catalog.scalars import Id, KernelName, Model, Name
from stateroom.common.text import quoted

Pull = Literal["missing", "always", "never"]


class Image(Model):
    """A container image that servers may run."""

    id: Id = Field(description="Short name, unique among the images.")
    title: str = Field("", description="What users see; the id if left out.", max_length=200)
    description: str = Field("", description="One or two sentences for the form.", max_length=2000)
    image: str = Field(description="The container image's reference, such as stateroom/unified:1.", min_length=1)
    pull: Pull = Field(
        "missing",
        description="When a start fetches the image from its registry: `missing`, where the machine has none of this "
        "name; `always`, to have the newest behind a tag that moves; `never`, where it is put there by other means.",
    )
    default: bool = Field(False, description="Whether this is the image of a start without a choice.")
    groups: tuple[Name, ...] = Field((), description="Only for members of these groups; for everyone if left out.")
    users: tuple[Name, ...] = Field((), description="Only for these users, beside the members of `groups`.")
    kernels: tuple[KernelName, ...] = Field(
        (), description="The kernels it has, by their names; `stateroom images check` compares them."
    )
    hidden: bool = Field(
        False, description="Left out of the form; whoever used it last, or knows its id, may start it."
    )
    deprecated: str = Field(
        "", description="Why and until when, shown on the form. It can still be started.", max_length=500
    )
    replaced_by: Id | None = Field(
        None,
        description="The image that takes its place. Without `deprecated` it can no longer be started: "
        "whoever used it last gets the other one and is told.",
    )

    @property
    def label(self) -> str:
        """The title, or the id where there is none."""
        return self.title or self.id

    @property
    def retired(self) -> bool:
        """Whether another image has taken its place."""
        return self.replaced_by is not None and not self.deprecated

    @field_validator("image")
    @classmethod
    def _one_word(cls, value: str) -> str:
        if re.search(r"\s", value) or not value.isprintable():
            raise ValueError(f"{quoted(value)} is not an image reference; it holds white space")
        return value
