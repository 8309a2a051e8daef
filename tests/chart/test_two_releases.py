"""Two releases in one cluster, one of them with a namespace for its servers: neither sees the other's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.helm import CATALOG
from harness.hub import Person
from harness.pods import core, namespace_of_its_own
from harness.release import SMALL, Release, release_of_its_own

from .test_network_policies import reaches


@pytest.fixture(scope="module")
def other(images: None) -> Iterator[Release]:  # noqa: ARG001 - made first
    """A release of the same name in another namespace, with its servers in a third."""
    with namespace_of_its_own() as servers, release_of_its_own(servers) as release:
        release.apply({"catalog": f"{CATALOG}\nkubernetes: {{namespace: {servers}}}\n"})
        yield release


@pytest.fixture(scope="module")
def twins(release: Release, other: Release) -> Iterator[tuple[Person, Person]]:
    """Two people of one name, each with a server."""
    twins = (release.person("eve"), other.person("eve"))
    for person in twins:
        person.started(SMALL)
    yield twins
    for person in twins:
        person.stop()
        person.close()


def test_each_hub_has_its_servers_where_it_is_told(
    release: Release, other: Release, twins: tuple[Person, Person]
) -> None:
    (here,), (there,) = release.pods.of("eve"), other.pods.of("eve")
    assert here.metadata.namespace == release.namespace
    assert there.metadata.namespace not in {release.namespace, other.namespace}
    for person in twins:
        assert person.active()


def test_servers_of_two_hubs_do_not_reach_each_other_nor_the_others_hub(
    release: Release, other: Release, twins: tuple[Person, Person]
) -> None:
    assert twins
    (here,), (there,) = release.pods.of("eve"), other.pods.of("eve")
    assert not reaches(release, here.metadata.name, there.status.pod_ip, 8888)
    assert not reaches(release, here.metadata.name, other.pod("hub").status.pod_ip, 8081)
    assert reaches(release, here.metadata.name, release.pod("hub").status.pod_ip, 8081)


def test_an_uninstall_takes_its_own_servers_and_no_others(
    release: Release, other: Release, twins: tuple[Person, Person]
) -> None:
    (there,) = other.pods.of("eve")
    said = other.helm("uninstall", other.name, "--wait")
    assert "1 stopped" in said
    assert f"namespace {there.metadata.namespace}" in said
    assert not other.pods.of("eve")
    assert twins[0].active()
    assert len(release.pods.of("eve")) == 1
    left = core().list_namespaced_persistent_volume_claim(there.metadata.namespace).items
    assert len(left) == 1, "the home"
    other.apply({"catalog": f"{CATALOG}\nkubernetes: {{namespace: {there.metadata.namespace}}}\n"})
    twins[1].started(SMALL)
