"""A start that cannot succeed: told within ten seconds, with cause and remedy, and nothing is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contract.engines import KubernetesSubject, make_spec
from harness import cluster
from harness.pods import claim_of_somebody, core, kubectl, tiny_image, until
from harness.registry import running_registry
from stateroom.backends.base import Life
from stateroom.backends.kubernetes.manifests import Site
from stateroom.backends.memory import Behaviour
from stateroom.catalog.kubernetes import KubernetesSettings
from stateroom.catalog.storage import KubernetesHome
from stateroom.common.deadline import Deadline
from stateroom.common.errors import (
    BackendError,
    DeadlineExceeded,
    EngineRefused,
    HomeRefused,
    ImageUnavailable,
    NameTaken,
    OutOfMemory,
)
from stateroom.common.quantity import GiB, MiB
from stateroom.workloads.progress import Progress
from stateroom.workloads.server import Server


async def told(subject: KubernetesSubject, spec: Server) -> BackendError:
    """What a start says that fails before its deadline, with nothing left of the server."""
    with pytest.raises(BackendError) as caught:
        await subject.backend.servers.start(
            spec, Deadline.after(60, "waiting for the server to answer"), lambda _: None
        )
    assert not isinstance(caught.value, DeadlineExceeded), "known long before"
    assert str(caught.value).endswith("."), str(caught.value)
    assert (await subject.backend.servers.state(spec.ref)).life is Life.ABSENT
    until(lambda: not objects_of(subject), "nothing is left of the server")
    return caught.value


def objects_of(subject: KubernetesSubject) -> list[str]:
    """Everything in the namespace that belongs to servers."""
    found = kubectl("get", "pods,secrets,services", "--namespace", subject.namespace, "--output", "name")
    return [line for line in found.splitlines() if "/" in line]


async def test_an_image_whose_name_is_none(subject: KubernetesSubject) -> None:
    error = await told(subject, make_spec(subject, image="Not/A:Name:1"))
    assert isinstance(error, ImageUnavailable)
    assert '"Not/A:Name:1" is no name of an image' in str(error)


async def test_an_image_that_its_registry_has_not(subject: KubernetesSubject, tmp_path: Path) -> None:
    with registry_of_the_cluster(tmp_path) as registry:
        error = await told(subject, make_spec(subject, image=f"{registry}/nothing:1"))
    assert isinstance(error, ImageUnavailable)
    assert str(error) == (
        f'The registry has no image "{registry}/nothing:1". Choose another image, and tell an administrator: '
        "the catalog names one that is not there."
    )


async def test_a_registry_that_wants_a_login(subject: KubernetesSubject, tmp_path: Path) -> None:
    with registry_of_the_cluster(tmp_path, closed=True) as registry:
        error = await told(subject, make_spec(subject, image=f"{registry}/secret:1"))
    assert isinstance(error, ImageUnavailable)
    assert f'The registry does not give out "{registry}/secret:1" without a login.' in str(error)


@contextmanager
def registry_of_the_cluster(folder: Path, *, closed: bool = False) -> Iterator[str]:
    """A registry that the cluster's node reaches."""
    if "STATEROOM_TEST_KUBECONFIG" in os.environ:
        pytest.skip("a cluster of somebody else's fetches from no registry of a test's")
    with running_registry(folder, closed=closed, host=cluster.HOST) as registry:
        cluster.know_registry(registry.address)
        yield registry.address


async def test_more_than_any_node_has(subject: KubernetesSubject) -> None:
    error = await told(subject, make_spec(subject, cpu=900_000, cpu_guarantee=900_000))
    assert str(error).startswith("No node of the cluster has enough cpu free for this size. Choose a smaller size")
    error = await told(subject, make_spec(subject, memory_guarantee=2000 * GiB, memory=2000 * GiB))
    assert str(error).startswith("No node of the cluster has enough memory free for this size.")
    error = await told(subject, make_spec(subject, gpu=1))
    assert str(error).startswith("All GPUs of the cluster are in use, or there is none.")


@pytest.mark.parametrize("site", [Site(settings=KubernetesSettings(node_selector={"kind": "notebooks"}))])
async def test_no_node_is_meant_for_servers(subject: KubernetesSubject) -> None:
    error = await told(subject, make_spec(subject))
    assert "node_selector and tolerations must fit its nodes" in str(error)


async def test_a_quota_that_is_used_up(subject: KubernetesSubject) -> None:
    hard = {"limits.memory": "200Mi", "pods": "5"}
    core().create_namespaced_resource_quota(subject.namespace, {"metadata": {"name": "small"}, "spec": {"hard": hard}})
    until(lambda: core().read_namespaced_resource_quota("small", subject.namespace).status.hard, "the quota holds")
    error = await told(subject, make_spec(subject, memory=256 * MiB))
    assert isinstance(error, EngineRefused)
    assert str(error) == (
        "The cluster's quota for servers is used up: limits.memory=0 of limits.memory=200Mi is in use, and yours would "
        "take limits.memory=256Mi. Stop a server that is not needed, choose a smaller size, or tell an administrator."
    )


async def test_a_rule_for_sizes(subject: KubernetesSubject) -> None:
    limits = {"limits": [{"type": "Container", "max": {"memory": "100Mi"}}]}
    core().create_namespaced_limit_range(subject.namespace, {"metadata": {"name": "small"}, "spec": limits})
    error = await told(subject, make_spec(subject, memory=256 * MiB))
    assert "a rule that this size breaks: maximum memory usage per Container is 100Mi" in str(error)


async def test_a_server_that_runs_out_of_memory(subject: KubernetesSubject) -> None:
    hungry = tiny_image("hungry", "/bin/sh", "-c", "held=xxxxxxxxxxxxxxxx; while :; do held=$held$held; done")
    error = await told(subject, make_spec(subject, image=hungry, memory=64 * MiB))
    assert isinstance(error, OutOfMemory)
    assert str(error).startswith("The server ran out of its 64 MiB of memory before it answered. Choose more memory.")


async def test_an_image_whose_command_is_missing(subject: KubernetesSubject) -> None:
    broken = tiny_image("broken", "/nowhere/notebook")
    error = await told(subject, make_spec(subject, image=broken))
    assert "cannot be started: its command is missing" in str(error)


@pytest.mark.parametrize("site", [Site(homes=KubernetesHome(storage_class="nowhere"))])
async def test_storage_that_is_not_there(subject: KubernetesSubject) -> None:
    error = await told(subject, make_spec(subject))
    assert "The cluster has no storage for your home." in str(error)


@pytest.mark.parametrize("site", [Site(homes=KubernetesHome(claim="homes"))])
async def test_a_shared_claim_that_is_not_there(subject: KubernetesSubject) -> None:
    error = await told(subject, make_spec(subject))
    assert isinstance(error, HomeRefused)
    assert str(error).startswith("The claim homes, in which the homes are, is not in the cluster.")


async def test_a_home_that_the_server_cannot_write_to(subject: KubernetesSubject) -> None:
    spec = make_spec(subject)
    await subject.backend.servers.start(spec, Deadline.after(60, "waiting"), lambda _: None)
    await subject.backend.servers.stop(spec.ref, Deadline.after(60, "stopping"))
    claim = core().read_namespaced_persistent_volume_claim(spec.home.name, subject.namespace)
    folder = Path(core().read_persistent_volume(claim.spec.volume_name).spec.host_path.path)
    folder.chmod(0o555)  # noqa: ASYNC240 - done in a moment
    await subject.restart()
    error = await told(subject, make_spec(subject, image=subject.image(Behaviour.IS_SILENT)))
    assert isinstance(error, HomeRefused)
    assert "cannot be written to by user 1000" in str(error)


async def test_a_claim_of_somebody_else(subject: KubernetesSubject) -> None:
    spec = make_spec(subject)
    claim_of_somebody(subject.namespace, spec.home.name)
    error = await told(subject, spec)
    assert isinstance(error, HomeRefused)
    assert f'There is a claim "{spec.home.name}" that is no home of this hub.' in str(error)


async def test_a_pod_of_somebody_else_under_the_servers_name(subject: KubernetesSubject) -> None:
    spec = make_spec(subject)
    image = subject.image(Behaviour.ANSWERS)
    strange = {
        "metadata": {"name": spec.ref.name},
        "spec": {"schedulingGates": [{"name": "example.com/never"}], "containers": [{"name": "a", "image": image}]},
    }
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
    core().patch_namespace(subject.namespace, labels)
    core().create_namespaced_pod(subject.namespace, strange)
    with pytest.raises(NameTaken, match="it is not of this hub"):
        await subject.backend.servers.start(spec, Deadline.after(60, "waiting"), lambda _: None)
    assert core().read_namespaced_pod(spec.ref.name, subject.namespace)


@pytest.mark.parametrize(
    ("site", "words"),
    [
        (Site(settings=KubernetesSettings(priority_class="urgent")), "priority class urgent is not"),
        (
            Site(
                settings=KubernetesSettings(pod={"spec": {"hostNetwork": "true"}}),
            ),
            "security rules do not admit servers",
        ),
        (
            Site(settings=KubernetesSettings(pod={"spec": {"hostNetwrok": "true"}})),
            "kubernetes.pod does not fit: pod.spec.hostNetwrok is no field",
        ),
    ],
    indirect=["site"],
)
async def test_what_the_cluster_does_not_admit(subject: KubernetesSubject, words: str) -> None:
    assert words in str(await told(subject, make_spec(subject)))


async def test_a_service_account_that_is_not_there(subject: KubernetesSubject) -> None:
    error = await told(subject, make_spec(subject, service_account="research"))
    assert "The service account that the catalog gives your servers is not in the cluster." in str(error)


async def test_progress_tells_of_the_node_and_the_image(subject: KubernetesSubject, tmp_path: Path) -> None:
    """A pull that takes some seconds, from a registry of the test's own."""
    heard: list[Progress] = []
    with registry_of_the_cluster(tmp_path) as registry:
        image = f"{registry}/fresh:1"
        cluster.push(subject.image(Behaviour.ANSWERS), image)
        spec = make_spec(subject, image=image, pull="always")
        await subject.backend.servers.start(spec, Deadline.after(60, "waiting"), heard.append)
    words = [progress.message for progress in heard]
    assert "Fetching the image; this happens once for each node" in words, words
    percents = [progress.percent for progress in heard]
    assert percents == sorted(percents)
