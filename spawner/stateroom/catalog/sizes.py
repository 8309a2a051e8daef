"""What servers may have: sizes, ranges of custom amounts, quotas, and the guaranteed share.

Each kind of resource in `quantity.KINDS` is a key of `Size`, `Custom`, `CustomLimits` and `Quota`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pydantic import Field, field_validator, model_validator

from stateroom.catalog.scalars import AtLeastOne, Count, Cpu, Id, Memory, MemoryStep, Model, Name, Share
from stateroom.common.quantity import KINDS, Kind, Resources, format_cpu, format_memory

CUSTOM = "custom"  # the size's id in a choice that names CPU and memory itself


class Size(Model):
    """A named amount of CPU, memory and GPUs."""

    id: Id = Field(description=f"Short name, unique among the sizes, not {CUSTOM!r}.")
    title: str = Field("", description="What users see; the id if left out.", max_length=200)
    description: str = Field("", description="One sentence for the form.", max_length=2000)
    cpu: Cpu = Field(description="Cores, such as 0.5 or 500m.")
    memory: Memory = Field(description="Memory with its unit, such as 2 GiB.")
    gpu: Count = Field(0, description="Whole GPUs.")
    default: bool = Field(False, description="Whether this is the size of a start without a choice.")
    images: tuple[Id, ...] = Field((), description="Only together with these images; with all if left out.")
    groups: tuple[Name, ...] = Field((), description="Only for members of these groups; for everyone if left out.")
    users: tuple[Name, ...] = Field((), description="Only for these users, beside the members of `groups`.")

    @property
    def label(self) -> str:
        """The title, or the id where there is none."""
        return self.title or self.id

    @property
    def resources(self) -> Resources:
        """What a server of this size has."""
        return Resources(**{kind.name: getattr(self, kind.name) for kind in KINDS})

    @field_validator("id")
    @classmethod
    def _not_custom(cls, value: str) -> str:
        if value == CUSTOM:
            raise ValueError(f'"{CUSTOM}" is kept for CPU and memory that users choose themselves; rename this size')
        return value


class Range(Protocol):
    """The amounts of one kind that users may choose."""

    @property
    def min(self) -> int: ...

    @property
    def max(self) -> int: ...

    @property
    def step(self) -> int: ...


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


class GpuRange(Model):
    """The number of GPUs that users may choose."""

    min: Count = Field(0, description="The least.")
    max: Count = Field(description="The most.")

    @property
    def step(self) -> int:
        """GPUs are whole."""
        return 1

    @model_validator(mode="after")
    def _makes_sense(self) -> GpuRange:
        _check_range(self.min, self.max, self.step, str)
        return self


class Custom(Model):
    """The ranges in which users choose CPU, memory and GPUs themselves."""

    cpu: CpuRange = Field(description="The range of CPU.")
    memory: MemoryRange = Field(description="The range of memory.")
    gpu: GpuRange | None = Field(None, description="The range of GPUs; without it custom servers have none.")
    groups: tuple[Name, ...] = Field((), description="Only for members of these groups; for everyone if left out.")
    users: tuple[Name, ...] = Field((), description="Only for these users, beside the members of `groups`.")

    def of(self, kind: Kind) -> Range | None:
        """Return the range of a kind of resource, None where custom servers have none of it."""
        found: Range | None = getattr(self, kind.name)
        return found


class CpuLimits(Model):
    """Other ends of the range of CPU, whole steps away from the catalog's."""

    min: Cpu | None = Field(None, description="The least.")
    max: Cpu | None = Field(None, description="The most.")


class MemoryLimits(Model):
    """Other ends of the range of memory, whole steps away from the catalog's."""

    min: Memory | None = Field(None, description="The least.")
    max: Memory | None = Field(None, description="The most.")


class GpuLimits(Model):
    """Other ends of the range of GPUs."""

    min: Count | None = Field(None, description="The least.")
    max: Count | None = Field(None, description="The most.")


class CustomLimits(Model):
    """Where the ranges of `custom` end for some people."""

    cpu: CpuLimits = Field(default_factory=CpuLimits, description="The range of CPU.")
    memory: MemoryLimits = Field(default_factory=MemoryLimits, description="The range of memory.")
    gpu: GpuLimits = Field(default_factory=GpuLimits, description="The range of GPUs.")


class Quota(Model):
    """What may run at once. What is left out is not limited."""

    servers: AtLeastOne | None = Field(None, description="Servers.")
    cpu: Cpu | None = Field(None, description="CPU of all of them.")
    memory: Memory | None = Field(None, description="Memory of all of them.")
    gpu: Count | None = Field(None, description="GPUs of all of them.")

    def of(self, kind: Kind) -> int | None:
        """Return the limit of a kind, None where it is not limited."""
        limit: int | None = getattr(self, kind.name)
        return limit


class Guarantee(Model):
    """The share of a server's limits that is guaranteed to it."""

    cpu: Share = Field(0.25, description="Of the CPU: what it gets when all servers compute at once.")
    memory: Share = Field(1.0, description="Of the memory.")


def _check_range(least: int, most: int, step: int, spelled: Callable[[int], str]) -> None:
    if most < least:
        raise ValueError(f"max ({spelled(most)}) is below min ({spelled(least)})")
    if (most - least) % step:
        reached = most - (most - least) % step
        raise ValueError(
            f"max ({spelled(most)}) is not min plus whole steps of {spelled(step)}; "
            f"write {spelled(reached)} or {spelled(reached + step)}"
        )
