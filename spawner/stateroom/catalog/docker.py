"""What only Docker knows."""

from __future__ import annotations

from pydantic import Field

from stateroom.catalog.scalars import CapacityShare, Model, NetworkName


class Capacity(Model):
    """How much of the machine servers may be promised. Docker itself would take any number of them."""

    memory: CapacityShare = Field(
        0.9,
        description="The share of the machine's memory that the hub may guarantee to all servers together. "
        "Above 1 the same memory is promised more than once.",
    )


class DockerSettings(Model):
    """What only Docker knows."""

    network: NetworkName | None = Field(
        None, description="An existing network for the servers; made by Stateroom if left out."
    )
    capacity: Capacity = Field(default_factory=Capacity, description="How much of the machine servers may be promised.")
