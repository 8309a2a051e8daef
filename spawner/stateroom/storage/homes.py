"""Homes: the storage of a user, which outlives every container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stateroom.common.labels import HUB, KIND, USER, USER_ID, is_number
from stateroom.common.naming import object_name

HOME_PREFIX = "stateroom-home"


@dataclass(frozen=True, slots=True)
class HomeRef:
    """Whose home: all servers of a user share it. `user_id` is the hub's own id of the user."""

    hub: str
    user: str
    user_id: int

    @property
    def name(self) -> str:
        """The volume's, claim's or folder's name; it does not depend on `user_id`."""
        return object_name(HOME_PREFIX, "home", self.hub, self.user)

    @property
    def labels(self) -> Mapping[str, str]:
        """What marks a volume as this home; `user_id` tells a reused user name apart."""
        return {KIND: "home", HUB: self.hub, USER: self.user, USER_ID: str(self.user_id)}


def home_from_labels(labels: Mapping[str, str], hub: str) -> HomeRef | None:
    """The home that `labels` describe, if it is one of `hub`."""
    if labels.get(KIND) != "home" or labels.get(HUB) != hub or USER not in labels:
        return None
    number = labels.get(USER_ID, "")
    return HomeRef(hub, labels[USER], int(number)) if is_number(number) else None
