"""What a server is in a real cluster: its limits, its confinement, its home, and what is left of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from kubernetes.aio.client import V1OwnerReference

from contract.engines import TOKEN, KubernetesSubject, make_spec, start
from harness.hostile import HOSTILE_NAMES
from harness.pods import core, inside, kubectl, make_shared_claim, tiny_image, until
from harness.workloads import changed
from stateroom.backends.base import Life
from stateroom.backends.kubernetes import KubernetesBackend, home_manifests, manifests
from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.manifests import CONTAINER, Site
from stateroom.catalog.kubernetes import KubernetesSettings
from stateroom.catalog.storage import KubernetesHome
from stateroom.common.deadline import Deadline
from stateroom.common.quantity import GiB, MiB
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import Server

_LIMITS = """
cd /sys/fs/cgroup
if [ -e memory.max ]; then cat memory.max cpu.max; else
    cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us
fi
"""
SHARED = Site(homes=KubernetesHome(claim="homes"))


def soon() -> Deadline:
    return Deadline.after(60, "waiting for the server to answer")


def look(subject: KubernetesSubject, spec: Server, script: str) -> str:
    return inside(subject.namespace, spec.ref, script)


async def test_a_server_has_what_was_chosen_and_what_is_guaranteed(subject: KubernetesSubject) -> None:
    spec = make_spec(subject, cpu=1500, memory=192 * MiB, cpu_guarantee=250, memory_guarantee=96 * MiB)
    await start(subject, spec)
    memory, *cpu = look(subject, spec, _LIMITS).split()
    assert int(memory) == 192 * MiB
    assert int(cpu[0]) / int(cpu[1]) == 1.5
    (container,) = core().read_namespaced_pod(spec.ref.name, subject.namespace).spec.containers
    assert container.resources.requests == {"cpu": "250m", "memory": "96Mi"}


async def test_a_pod_that_is_resized_is_listed_with_what_it_has_now_after_a_restart_too(
    subject: KubernetesSubject,
) -> None:
    """In place, as `kubectl patch --subresource resize` does it, or an autoscaler."""
    spec = make_spec(subject, cpu=500, memory=128 * MiB)
    await start(subject, spec)

    async def listed() -> tuple[int, int]:
        (server,) = await subject.backend.servers.list()
        return server.resources.cpu, server.resources.memory

    assert await listed() == (500, 128 * MiB)
    limits = {"limits": {"cpu": "750m", "memory": "192Mi"}}
    patch = json.dumps({"spec": {"containers": [{"name": CONTAINER, "resources": limits}]}})
    kubectl(
        "patch", "pod", spec.ref.name, "--namespace", subject.namespace, "--subresource", "resize", "--patch", patch
    )
    async with asyncio.timeout(60):
        while await listed() != (750, 192 * MiB):  # noqa: ASYNC110 - no event says it to a test
            await asyncio.sleep(0.2)
    await subject.restart()
    assert await listed() == (750, 192 * MiB)


async def test_a_server_is_confined(subject: KubernetesSubject) -> None:
    spec = make_spec(subject)
    await start(subject, spec)
    assert look(subject, spec, "id -u; id -G").split()[:2] == ["1000", "1000"]
    status = look(subject, spec, "cat /proc/self/status")
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in status, status
    assert "serviceaccount" not in look(subject, spec, "cat /proc/mounts")


async def test_no_secret_is_in_a_pod_an_event_or_what_describes_them(subject: KubernetesSubject) -> None:
    spec = make_spec(subject)
    await start(subject, spec)
    assert TOKEN in look(subject, spec, "export -p")
    for what in ("pods", "events", "services"):
        assert TOKEN not in kubectl("get", what, "--namespace", subject.namespace, "--output", "yaml")
    assert TOKEN not in kubectl("describe", "pods,secrets", "--namespace", subject.namespace)


async def test_whoever_removes_a_pod_removes_all_of_its_server_but_the_home(subject: KubernetesSubject) -> None:
    spec = make_spec(subject)
    await start(subject, spec)
    running = await subject.backend.servers.state(spec.ref)
    kubectl("delete", "pod", spec.ref.name, "--namespace", subject.namespace, "--grace-period=1")
    assert (await asyncio.wait_for(subject.backend.servers.changed(spec.ref, running), 10)).life is not Life.RUNNING
    until(lambda: not core().list_namespaced_secret(subject.namespace).items, "the Secret is gone")
    assert core().read_namespaced_persistent_volume_claim(spec.home.name, subject.namespace)


async def test_a_home_is_kept_across_pods_and_its_servers_share_it(subject: KubernetesSubject) -> None:
    spec, second = make_spec(subject), make_spec(subject, server="second")
    await start(subject, spec)
    look(subject, spec, 'echo kept >"$JUPYTERHUB_ROOT_DIR/note"')
    await start(subject, second)
    assert look(subject, second, 'cat "$JUPYTERHUB_ROOT_DIR/note"') == "kept\n"
    for ref in (spec.ref, second.ref):
        await subject.backend.servers.stop(ref, soon())
    await start(subject, spec)
    assert look(subject, spec, 'cat "$JUPYTERHUB_ROOT_DIR/note"') == "kept\n"


async def test_a_users_further_server_goes_where_the_home_is(subject: KubernetesSubject) -> None:
    spec, second = make_spec(subject), make_spec(subject, server="second")
    await subject.backend.servers.list()  # until then it may be that there are others
    await start(subject, spec)
    assert core().read_namespaced_pod(spec.ref.name, subject.namespace).spec.affinity is None
    await start(subject, second)
    affinity = core().read_namespaced_pod(second.ref.name, subject.namespace).spec.affinity.pod_affinity
    (term,) = affinity.required_during_scheduling_ignored_during_execution
    assert term.topology_key == "kubernetes.io/hostname"
    assert term.label_selector.match_labels == {"io.stateroom.home": spec.home.name}


async def test_two_servers_of_a_user_that_start_at_once_go_to_one_node(subject: KubernetesSubject) -> None:
    both = [make_spec(subject), make_spec(subject, server="second")]
    await asyncio.gather(*(start(subject, spec) for spec in both))
    for spec in both:
        assert core().read_namespaced_pod(spec.ref.name, subject.namespace).spec.affinity.pod_affinity


async def test_a_claim_grows_with_the_catalog_and_never_shrinks(subject: KubernetesSubject) -> None:
    spec = make_spec(subject)

    async def size_after_a_start(size: int) -> str:
        subject.site = replace(subject.site, homes=KubernetesHome().model_copy(update={"size": size}))
        await start(subject, spec)
        claim = core().read_namespaced_persistent_volume_claim(spec.home.name, subject.namespace)
        return str(claim.spec.resources.requests["storage"])

    assert await size_after_a_start(1 * GiB) == "1Gi"
    assert await size_after_a_start(2 * GiB) == "2Gi"
    assert await size_after_a_start(1 * GiB) == "2Gi"


@pytest.mark.parametrize("site", [SHARED])
async def test_a_folder_of_a_shared_claim_is_made_and_removed_as_the_servers_user(subject: KubernetesSubject) -> None:
    make_shared_claim(subject.namespace)
    spec, other = make_spec(subject), make_spec(subject, user="bob")
    await start(subject, spec)
    look(subject, spec, 'echo kept >"$JUPYTERHUB_ROOT_DIR/note"')
    await start(subject, other)
    assert look(subject, other, 'ls "$JUPYTERHUB_ROOT_DIR"') == ""
    folder = folder_of_claim(subject) / spec.home.name
    assert folder.stat().st_uid == 1000
    await subject.backend.servers.stop(spec.ref, soon())
    await subject.restart()
    await start(subject, spec)
    assert look(subject, spec, 'cat "$JUPYTERHUB_ROOT_DIR/note"') == "kept\n"
    await subject.backend.servers.stop(spec.ref, soon())
    await subject.backend.homes.remove(spec.home)
    await subject.backend.homes.remove(spec.home)
    assert not folder.exists()
    assert (folder_of_claim(subject) / other.home.name).exists()
    left = {pod.metadata.name for pod in core().list_namespaced_pod(subject.namespace).items}
    assert left == {other.ref.name}


@pytest.mark.parametrize("site", [SHARED])
async def test_a_folder_of_an_earlier_user_of_the_name_is_not_mounted(subject: KubernetesSubject) -> None:
    make_shared_claim(subject.namespace)
    spec = make_spec(subject)
    await start(subject, spec)
    await subject.backend.servers.stop(spec.ref, soon())
    later = make_spec(subject, home=HomeRef(subject.hub, "ada", 2))
    with pytest.raises(Exception, match="belongs to the hub's user number 1, not to ada"):
        await start(subject, later)


def folder_of_claim(subject: KubernetesSubject) -> Path:
    claim = core().read_namespaced_persistent_volume_claim("homes", subject.namespace)
    return Path(core().read_persistent_volume(claim.spec.volume_name).spec.host_path.path)


async def test_a_hub_that_comes_back_finds_its_servers(subject: KubernetesSubject) -> None:
    specs = [make_spec(subject, user=user) for user in ("ada", "bob")]
    addresses = [await start(subject, spec) for spec in specs]
    await subject.restart()
    assert [(await subject.backend.servers.state(spec.ref)).address for spec in specs] == addresses
    assert {server.ref for server in await subject.backend.servers.list()} == {spec.ref for spec in specs}


async def test_the_cluster_takes_what_is_made_for_hostile_names(subject: KubernetesSubject) -> None:
    """All that is made of a server, as far as the API looks at it; nothing is kept."""
    owner = V1OwnerReference(api_version="v1", kind="Pod", name="a", uid="0")
    cluster = Cluster(subject.namespace)
    try:
        for name in HOSTILE_NAMES:
            spec = make_spec(subject, user=name, server=name, base_url="/user/x/")
            await cluster.create(
                "pods", manifests.pod(spec, subject.site, prove_home=True, beside_others=True), dry_run=True
            )
            await cluster.create("secrets", manifests.variables(spec, subject.site, owner), dry_run=True)
            await cluster.create("services", manifests.service(spec, owner), dry_run=True)
            await cluster.create("configmaps", home_manifests.home_record(spec.home), dry_run=True)
            claim = home_manifests.claim(spec.home, subject.site.homes)
            await cluster.create("persistentvolumeclaims", claim, dry_run=True)
    finally:
        await cluster.close()


@pytest.mark.parametrize("name", ["../../etc", "{username}", "ü" * 60, "x" * 1000, "a\nb"])
async def test_a_server_of_a_hostile_name_is_found_again(subject: KubernetesSubject, name: str) -> None:
    spec = make_spec(subject, user=name, server=name, base_url="/user/x/")
    await start(subject, spec)
    await subject.restart()
    assert [server.ref for server in await subject.backend.servers.list()] == [ServerRef(subject.hub, name, name)]
    await subject.backend.servers.stop(spec.ref, soon())
    assert await subject.backend.servers.list() == []


@pytest.mark.parametrize(
    "site",
    [
        Site(
            settings=KubernetesSettings(
                pod={
                    "metadata": {"labels": {"team": "data"}},
                    "spec": {
                        "affinity": {
                            "nodeAffinity": {
                                "preferredDuringSchedulingIgnoredDuringExecution": [
                                    {
                                        "weight": "1",
                                        "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]},
                                    }
                                ]
                            }
                        },
                        "volumes": [{"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}}],
                        "containers": [
                            {
                                "name": "notebook",
                                "env": [{"name": "EXTRA", "value": "1"}],
                                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                            }
                        ],
                    },
                }
            )
        )
    ],
)
async def test_what_only_a_site_knows_is_in_the_pod(subject: KubernetesSubject) -> None:
    spec = make_spec(subject)
    await start(subject, spec)
    assert look(subject, spec, 'echo $EXTRA; cd /scratch && echo here; cd "$JUPYTERHUB_ROOT_DIR" && echo there') == (
        "1\nhere\nthere\n"
    )
    pod = core().read_namespaced_pod(spec.ref.name, subject.namespace)
    assert pod.metadata.labels["team"] == "data"
    assert pod.spec.affinity.node_affinity
    second = make_spec(subject, server="second")
    await start(subject, second)
    affinity = core().read_namespaced_pod(second.ref.name, subject.namespace).spec.affinity
    assert affinity.node_affinity
    assert affinity.pod_affinity


async def test_groups_and_a_service_account_are_given(subject: KubernetesSubject) -> None:
    core().create_namespaced_service_account(subject.namespace, {"metadata": {"name": "research"}})
    spec = make_spec(subject, supplemental_groups=(2001,), service_account="research")
    await start(subject, spec)
    assert "2001" in look(subject, spec, "id -G").split()
    assert core().read_namespaced_pod(spec.ref.name, subject.namespace).spec.service_account_name == "research"
    assert "serviceaccount" not in look(subject, spec, "cat /proc/mounts")
    await start(subject, changed(spec, service_account_token=True))
    assert "serviceaccount" in look(subject, spec, "cat /proc/mounts")


async def test_an_end_for_want_of_memory_is_told_as_such(subject: KubernetesSubject) -> None:
    served = (
        "mkdir -p /tmp/w; httpd -p 8888 -h /tmp/w; sleep 3; held=xxxxxxxxxxxxxxxx; while :; do held=$held$held; done"
    )
    spec = make_spec(subject, image=tiny_image("hungry-later", "/bin/sh", "-c", served), memory=64 * MiB)
    await start(subject, spec)
    running = await subject.backend.servers.state(spec.ref)
    state = await asyncio.wait_for(subject.backend.servers.changed(spec.ref, running), 20)
    assert (state.life, state.out_of_memory) == (Life.ENDED, True)
    assert state.reason == "It ran out of memory."


async def test_two_hubs_in_a_namespace_do_not_see_each_other(subject: KubernetesSubject) -> None:
    other = KubernetesBackend("another-hub", subject.namespace, lambda: subject.site)
    try:
        spec = make_spec(subject)
        await start(subject, spec)
        assert await other.servers.list() == []
        theirs = changed(spec, ref=ServerRef("another-hub", "ada"), home=HomeRef("another-hub", "ada", 1))
        await other.servers.start(theirs, soon(), lambda _: None)
        await other.servers.stop(theirs.ref, soon())
        assert (await subject.backend.servers.state(spec.ref)).life is Life.RUNNING
    finally:
        await other.close()
