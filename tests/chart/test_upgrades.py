"""What becomes of people's work when a release changes: upgrades, rollbacks, an uninstall."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.figures import Told
from harness.helm import CATALOG, HelmRefused, chart_of
from harness.hub import Person, wait_for
from harness.kernels import Kernel
from harness.pods import core, in_cluster, until
from harness.release import SMALL, Release, release_of_its_own
from stateroom import __version__
from stateroom.backends.docker.engine import connect
from stateroom.images.sources import HUB_IMAGE

OTHER_CATALOG = CATALOG.replace("{id: small,    title: Small,", "{id: small,    title: Petite,")
BROKEN_CATALOG = CATALOG.replace("memory: 1 GiB", "memroy: 1 GiB")


@pytest.fixture
def ada(release: Release) -> Iterator[Person]:
    """Somebody with a running server."""
    ada = release.person()
    ada.started(SMALL)
    yield ada
    ada.stop()
    ada.close()


@pytest.fixture(scope="module")
def other_image(images: None) -> str:  # noqa: ARG001 - made first
    """The hub's image by another name, as the next version has it."""
    repository, _, _ = HUB_IMAGE.rpartition(":")
    with connect() as engine:
        engine.tag(HUB_IMAGE, repository, "next")
    return in_cluster(f"{repository}:next")


def hubs(release: Release) -> tuple[str, int]:
    """The hub's pod, and how often it was restarted: what changes when the hub restarts."""
    pod = release.pod("hub")
    return pod.metadata.uid, pod.status.container_statuses[0].restart_count


def form(person: Person) -> str:
    return person.web.get(f"{person.hub.url}/hub/spawn/{person.name}").text


def test_a_changed_catalog_moves_the_form_without_a_restart(release: Release, told: Told) -> None:
    person = release.person()
    assert "Petite" not in form(person)
    before = hubs(release)
    release.apply({"catalog": OTHER_CATALOG})
    began = time.monotonic()
    wait_for(lambda: "Petite" in form(person), "the changed form", pause=0.5)
    told(f"The form followed {time.monotonic() - began:.1f} s after the upgrade.")
    assert hubs(release) == before
    release.apply()
    wait_for(lambda: "Petite" not in form(person), "the form as it was", pause=0.5)
    assert hubs(release) == before
    person.close()


def test_another_image_of_the_hub_keeps_servers_and_what_their_kernels_know(
    release: Release, ada: Person, other_image: str
) -> None:
    kernel = Kernel(ada)
    assert kernel.run("answer = 41; print('known')").strip() == "known"
    before = hubs(release)
    release.apply({"hub": {"image": other_image}})
    assert hubs(release)[0] != before[0]
    assert release.pod("hub").spec.containers[0].image == other_image
    assert kernel.run("answer += 1; print(answer)").strip() == "42"
    assert ada.active()

    release.helm("rollback", release.name, "--wait", "--timeout=180s")
    assert release.pod("hub").spec.containers[0].image == HUB_IMAGE
    assert kernel.run("answer += 1; print(answer)").strip() == "43"
    wait_for(ada.active, "the hub's word")


def test_a_server_lives_through_an_upgrade_from_the_chart_before(tmp_path: Path) -> None:
    """No version came before yet: the chart before is this one with an older number."""
    with release_of_its_own() as release:
        release.apply(
            {"hub": {"image": HUB_IMAGE}, "proxy": {"image": HUB_IMAGE.replace("/hub:", "/proxy:")}},
            chart=chart_of(tmp_path, "0.0.9"),
        )
        assert '"chart":"stateroom-0.0.9"' in release.helm("list", "--output=json")
        ada = release.person()
        ada.started(SMALL)
        kernel = Kernel(ada)
        kernel.run("answer = 41; print(answer)")
        secrets = core().read_namespaced_secret(f"{release.name}-secrets", release.namespace).data
        release.apply()
        assert f'"chart":"stateroom-{__version__}"' in release.helm("list", "--output=json")
        assert core().read_namespaced_secret(f"{release.name}-secrets", release.namespace).data == secrets
        assert kernel.run("answer += 1; print(answer)").strip() == "42"
        assert ada.active()
        ada.close()


def test_an_uninstall_leaves_homes_and_says_so_and_an_install_finds_them(images: None) -> None:  # noqa: ARG001
    with release_of_its_own() as release:
        release.apply()
        ada = release.person("ada")
        ada.started(SMALL)
        assert release.pods.output("ada", "echo kept > ~/notebooks/note; cat ~/notebooks/note").strip() == "kept"
        said = release.helm("uninstall", release.name, "--wait")
        assert "1 is kept" in said, said
        assert f"namespace {release.namespace}" in said, said
        assert "kubectl" in said, said
        assert f"[PersistentVolumeClaim] {release.name}-hub" in said, said
        until(lambda: not core().list_namespaced_pod(release.namespace).items, "the end of all pods")
        left = {found for found in release.objects() if found != ("ConfigMap", "kube-root-ca.crt")}
        homes = {found for found in left if found[1].startswith("stateroom-home-")}
        assert len(homes) == 1
        assert left - homes == {
            ("PersistentVolumeClaim", f"{release.name}-hub"),
            ("Secret", f"{release.name}-secrets"),
            ("ServiceAccount", "default"),
        }
        ada.close()

        release.apply()
        ada = release.person("ada")
        ada.started(SMALL)
        assert release.pods.output("ada", "cat ~/notebooks/note").strip() == "kept"
        ada.close()


@pytest.mark.usefixtures("images")
def test_a_mistyped_value_fails_with_its_path_and_nothing_is_made() -> None:
    with release_of_its_own() as release:
        before = release.objects()
        with pytest.raises(HelmRefused, match=r"at '/hub/volume': additional properties 'siez' not allowed"):
            release.apply({"hub": {"volume": {"siez": "1Gi"}}})
        assert release.objects() == before


@pytest.mark.usefixtures("images")
def test_a_bad_catalog_fails_an_install_with_its_line_and_leaves_nothing() -> None:
    with release_of_its_own() as release:
        before = release.objects()
        with pytest.raises(HelmRefused, match=r'catalog\.yaml:\d+:\d+: .*memroy.*did you mean "memory"') as caught:
            release.apply({"catalog": BROKEN_CATALOG})
        assert "pre-install" in str(caught.value)
        until(lambda: not core().list_namespaced_pod(release.namespace).items, "the end of the check's pod")
        made = release.objects() - before
        assert {kind for kind, _ in made} <= {"Secret"}, made
        assert all(name.startswith("sh.helm.release.v1.") for _, name in made), made


def test_a_bad_catalog_fails_an_upgrade_and_changes_nothing(release: Release) -> None:
    person = release.person()
    before, hub = release.objects(), hubs(release)
    with pytest.raises(HelmRefused, match=r'memroy.*did you mean "memory"') as caught:
        release.apply({"catalog": BROKEN_CATALOG, "hub": {"code": "c.JupyterHub.concurrent_spawn_limit = 5"}})
    assert "pre-upgrade" in str(caught.value)
    assert {found for found in release.objects() ^ before if found[0] not in {"Secret", "Pod"}} == set()
    assert hubs(release) == hub
    found = core().read_namespaced_config_map(f"{release.name}-catalog", release.namespace)
    assert found.data["catalog.yaml"] == CATALOG
    assert "Small" in form(person)
    person.close()


@pytest.mark.usefixtures("images")
def test_an_image_that_no_registry_has_fails_an_install_with_its_name_and_leaves_nothing() -> None:
    """The nodes are to have all images before anything takes effect."""
    with release_of_its_own() as release:
        before = release.objects()
        with pytest.raises(HelmRefused) as caught:
            release.apply(
                {"catalog": CATALOG.replace("stateroom/unified:1", "10.97.0.1:1/nothing:1"), "prepull": {"timeout": 10}}
            )
        assert re.search(r"10\.97\.0\.1:1/nothing:1", str(caught.value)), caught.value
        until(lambda: not core().list_namespaced_pod(release.namespace).items, "the end of all pods")
        made = release.objects() - before
        assert all(name.startswith("sh.helm.release.v1.") for _, name in made), made
