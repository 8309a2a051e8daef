"""What every backend promises of homes (`stateroom.backends.base.Homes`), checked against each that has them."""

from __future__ import annotations

import pytest

from contract.engines import Subject, absent, make_spec, soon, unheard
from stateroom.common.errors import HomeRefused
from stateroom.storage.homes import HomeRef


async def test_the_home_of_an_earlier_user_of_the_name_is_not_mounted(subject: Subject) -> None:
    spec = make_spec(subject)
    await subject.backend.servers.start(spec, soon(), unheard)
    await subject.backend.servers.stop(spec.ref, soon())
    later = make_spec(subject, home=HomeRef(subject.hub, "ada", 2))
    with pytest.raises(HomeRefused, match="belongs to"):
        await subject.backend.servers.start(later, soon(), unheard)
    assert await absent(subject, spec.ref)


async def test_a_home_is_removed_by_its_owner_alone_and_twice_without_harm(subject: Subject) -> None:
    homes = subject.backend.homes
    assert homes is not None
    spec = make_spec(subject)
    await subject.backend.servers.start(spec, soon(), unheard)
    await subject.backend.servers.stop(spec.ref, soon())
    with pytest.raises(HomeRefused):
        await homes.remove(HomeRef(subject.hub, "ada", 2))
    await homes.remove(spec.home)
    await homes.remove(spec.home)
    later = make_spec(subject, home=HomeRef(subject.hub, "ada", 2))
    await subject.backend.servers.start(later, soon(), unheard)
