"""The catalog's models: what an admin may write, and what it means.

Each field's description is the reference an admin reads. Quantities are parsed
here, once: behind these models CPU is thousandths of a core and memory is
bytes. A catalog that exists is a catalog that makes sense: defaults exist,
names are unique, ranges hold their own steps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from stateroom.quantity import MiB, format_cpu, format_memory, parse_cpu, parse_memory, quoted

CUSTOM = "custom"  # the size's id in a choice that names CPU and memory itself

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|sec|min|h)")
_SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_id(value: object) -> str:
    """An id: lower-case letters, digits, `.`, `_` and `-`, at most 63 of them."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise ValueError(f"{quoted(value)} is not an id; write lower-case letters, digits, '.', '_' or '-'")


def parse_duration(value: object) -> float:
    """Seconds from "90 s", "2 min" or "8 h"."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{quoted(value)} is not a length of time; write for example 2 min")
    return float(match[1]) * _SECONDS[match[2]]


def _at_least(least: int, spelled: Callable[[int], str]) -> AfterValidator:
    def check(value: int) -> int:
        if value < least:
            raise ValueError(f"{spelled(value)} is too little; write at least {spelled(least)}")
        return value

    return AfterValidator(check)


# The least that the engines take (CPU), and that anything starts in (memory).
Cpu = Annotated[int, BeforeValidator(parse_cpu), _at_least(10, format_cpu)]
Memory = Annotated[int, BeforeValidator(parse_memory), _at_least(64 * MiB, format_memory)]
MemoryStep = Annotated[int, BeforeValidator(parse_memory), _at_least(MiB, format_memory)]
Id = Annotated[str, BeforeValidator(parse_id)]
Duration = Annotated[float, BeforeValidator(parse_duration)]


class Model(BaseModel):
    """What all parts of the catalog share: unknown keys are refused and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Image(Model):
    """A container image that servers may run."""

    id: Id = Field(description="Short name, unique among the images.")
    title: str = Field("", description="What users see; the id if left out.", max_length=200)
    description: str = Field("", description="One or two sentences for the form.", max_length=2000)
    image: str = Field(description="The container image's reference, such as stateroom/unified:1.", min_length=1)
    default: bool = Field(False, description="Whether this is the image of a start without a choice.")

    @property
    def label(self) -> str:
        """The title, or the id where there is none."""
        return self.title or self.id

    @field_validator("image")
    @classmethod
    def _one_word(cls, value: str) -> str:
        if re.search(r"\s", value) or not value.isprintable():
            raise ValueError(f"{quoted(value)} is not an image reference; it holds white space")
        return value


class Size(Model):
    """A named amount of CPU and memory."""

    id: Id = Field(description=f"Short name, unique among the sizes, not {CUSTOM!r}.")
    title: str = Field("", description="What users see; the id if left out.", max_length=200)
    description: str = Field("", description="One sentence for the form.", max_length=2000)
    cpu: Cpu = Field(description="Cores, such as 0.5 or 500m.")
    memory: Memory = Field(description="Memory with its unit, such as 2 GiB.")
    default: bool = Field(False, description="Whether this is the size of a start without a choice.")

    @property
    def label(self) -> str:
        """The title, or the id where there is none."""
        return self.title or self.id

    @field_validator("id")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value == CUSTOM:
            raise ValueError(f'"{CUSTOM}" is kept for CPU and memory that users choose themselves; rename this size')
        return value


class CpuRange(Model):
    """The CPU that users may choose."""

    min: Cpu = Field(description="The least.")
    max: Cpu = Field(description="The most.")
    step: Cpu = Field(description="Only min plus whole steps are offered.")

    @model_validator(mode="after")
    def _makes_sense(self) -> CpuRange:
        _check_range(self.min, self.max, self.step, format_cpu)
        return self


class MemoryRange(Model):
    """The memory that users may choose."""

    min: Memory = Field(description="The least.")
    max: Memory = Field(description="The most.")
    step: MemoryStep = Field(description="Only min plus whole steps are offered.")

    @model_validator(mode="after")
    def _makes_sense(self) -> MemoryRange:
        _check_range(self.min, self.max, self.step, format_memory)
        return self


class Custom(Model):
    """The ranges in which users choose CPU and memory themselves."""

    cpu: CpuRange = Field(description="The range of CPU.")
    memory: MemoryRange = Field(description="The range of memory.")


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


class Home(Model):
    """Users' storage. It outlives every container."""

    mount: str = Field("notebooks", description="The folder below the image user's home directory.")
    when_user_is_deleted: Literal["keep", "delete"] = Field(
        "keep", description="What becomes of the home of a user whom the hub deletes."
    )
    docker: DockerHome = Field(default_factory=DockerHome, description="Where homes are on Docker.")

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


class Start(Model):
    """How long a start may take."""

    timeout: Duration = Field(120.0, description="From Start to an answering server, pulling apart.", gt=0)
    pull_timeout: Duration = Field(1200.0, description="For pulling an image that is not there yet.", gt=0)


class DockerSettings(Model):
    """What only Docker knows."""

    network: str | None = Field(None, description="An existing network for the servers; made by Stateroom if left out.")


class Catalog(Model):
    """The whole file."""

    version: Literal[1] = Field(description="The format's version: 1.")
    hub: Id | None = Field(None, description="The hub's id in names and labels; made once if left out.")
    images: tuple[Image, ...] = Field(description="The images; one of them the default.")
    sizes: tuple[Size, ...] = Field(description="The sizes; one of them the default.")
    custom: Custom | None = Field(None, description="Ranges for CPU and memory; without it only the sizes are offered.")
    home: Home = Field(default_factory=Home, description="Users' storage.")
    environment: dict[str, str] = Field(default_factory=dict, description="Variables for every server.")
    start: Start = Field(default_factory=Start, description="How long a start may take.")
    docker: DockerSettings = Field(default_factory=DockerSettings, description="What only Docker knows.")

    @field_validator("images", "sizes")
    @classmethod
    def _unique_with_one_default(cls, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        _check_entries(entries)
        return entries

    @field_validator("environment", mode="before")
    @classmethod
    def _variables(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for name in value:
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
                raise ValueError(f"{quoted(name)} is not a variable's name; write letters, digits and '_'")
            if name.startswith(("JUPYTERHUB_", "JPY_")):
                raise ValueError(f"{quoted(name)} is set by the hub; remove it")
        return {name: str(item) if isinstance(item, (int, float)) else item for name, item in value.items()}

    @property
    def default_image(self) -> Image:
        """The image of a start without a choice."""
        return next(image for image in self.images if image.default)

    @property
    def default_size(self) -> Size:
        """The size of a start without a choice."""
        return next(size for size in self.sizes if size.default)


class _Entry(Protocol):
    id: str
    default: bool


def _check_entries(entries: Sequence[_Entry]) -> None:
    if not entries:
        raise ValueError("is empty; list at least one entry")
    for name, count in Counter(entry.id for entry in entries).items():
        if count > 1:
            raise ValueError(f'"{name}" is used {count} times; give each entry an id of its own')
    defaults = [entry.id for entry in entries if entry.default]
    if len(defaults) != 1:
        found = " and ".join(f'"{name}"' for name in defaults) or "none"
        raise ValueError(f"exactly one entry is the default, found {found}; write default: true at one")


def _check_range(least: int, most: int, step: int, spelled: Callable[[int], str]) -> None:
    if most < least:
        raise ValueError(f"max ({spelled(most)}) is below min ({spelled(least)})")
    if (most - least) % step:
        reached = most - (most - least) % step
        raise ValueError(
            f"max ({spelled(most)}) is not min plus whole steps of {spelled(step)}; "
            f"write {spelled(reached)} or {spelled(reached + step)}"
        )
