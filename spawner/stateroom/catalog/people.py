"""What groups and single users have beyond everyone."""

from __future__ import annotations

from pydantic import Field

from stateroom.catalog.scalars import DnsLabel, GroupId, Model, NetworkName, Variables
from stateroom.catalog.sizes import CustomLimits, Quota


class Identity(Model):
    """What servers are given because of who starts them."""

    environment: Variables = Field(default_factory=dict, description="Variables, beside the catalog's own.")
    supplemental_groups: tuple[GroupId, ...] = Field(
        (), description="Numbers of further groups of the server's processes, for shared file systems."
    )
    service_account: DnsLabel | None = Field(None, description="The service account of the pod, on Kubernetes.")
    service_account_token: bool = Field(
        False, description="Whether the pod gets the account's token for the cluster's own API. Few servers need one."
    )
    network: NetworkName | None = Field(
        None, description="The network of the servers, on Docker; made when the hub starts if it is not there."
    )


class Group(Model):
    """What members of one of the hub's groups have beyond everyone's."""

    custom: CustomLimits = Field(default_factory=CustomLimits, description="Wider ends for the ranges of `custom`.")
    quota: Quota = Field(default_factory=Quota, description="What each member may run at once.")
    total: Quota = Field(default_factory=Quota, description="What all members together may run at once.")
    identity: Identity = Field(default_factory=Identity, description="What servers of members are given.")


class User(Model):
    """What holds for one user, whatever everyone or a group has."""

    custom: CustomLimits = Field(default_factory=CustomLimits, description="Ends for the ranges of `custom`.")
    quota: Quota = Field(default_factory=Quota, description="What this user may run at once.")
    identity: Identity = Field(default_factory=Identity, description="What this user's servers are given.")
