"""What tests do to a cluster from outside: namespaces of their own, images, and the end of a server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from harness import cluster
from harness.hub import wait_for
from harness.own_engine import smallest_server
from harness.skips import program_or_skip
from stateroom.backends.docker.engine import connect
from stateroom.backends.kubernetes.manifests import CONTAINER
from stateroom.workloads.identity import identify
from stateroom.workloads.names import ServerRef

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_SETTLE_SECONDS = 30


class Pods:
    """The servers and homes of one hub in a namespace of the real cluster."""

    def __init__(self, hub: str, namespace: str) -> None:
        self._hub = hub
        self._namespace = namespace

    def of(self, user: str) -> list[client.V1Pod]:
        """All pods of a user."""
        pods = core().list_namespaced_pod(self._namespace).items
        return [pod for pod in pods if server_of(pod, self._hub) and server_of(pod, self._hub).user == user]

    def output(self, user: str, script: str, server: str = "") -> str:
        """What a shell script prints inside the server."""
        return inside(self._namespace, ServerRef(self._hub, user, server), script)

    def remove_everything(self) -> None:
        """Nothing: the namespace goes with all in it."""


def server_of(pod: client.V1Pod, hub: str) -> ServerRef | None:
    """The server that a pod is."""
    return identify(pod.metadata.name, pod.metadata.annotations, hub)


@cache
def core() -> client.CoreV1Api:
    """The cluster's API, for the tests' own eyes; skips where there is no cluster."""
    path = cluster.kubeconfig()
    if not path.exists():
        pytest.skip("no Kubernetes cluster: set STATEROOM_TEST_KUBECONFIG, or run this tier by ./test")
    return client.CoreV1Api(config.new_client_from_config(str(path)))


@contextmanager
def namespace_of_its_own() -> Iterator[str]:
    """A namespace that admits restricted pods alone, known to the product by KUBECONFIG; removed with all in it."""
    name = f"test-{uuid4().hex[:10]}"
    api = core()
    api.create_namespace({"metadata": {"name": name, "labels": RESTRICTED}})
    until(lambda: service_account_is_there(name), "the namespace has its service account")
    before = os.environ.get("KUBECONFIG")
    os.environ["KUBECONFIG"] = str(cluster.kubeconfig())
    try:
        yield name
    finally:
        os.environ.pop("KUBECONFIG")
        if before is not None:
            os.environ["KUBECONFIG"] = before
        for pod in api.list_namespaced_pod(name).items:
            delete_at_once(name, pod.metadata.name)
        api.delete_namespace(name)


def make_shared_claim(namespace: str) -> None:
    """The claim "homes", whose folders are homes."""
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    core().create_namespaced_persistent_volume_claim(namespace, {"metadata": {"name": "homes"}, "spec": spec})


def service_account_is_there(namespace: str) -> bool:
    return read_or_none(core().read_namespaced_service_account, "default", namespace) is not None


def read_or_none(read: Any, *arguments: str) -> Any:
    """What an API call reads, None if it is not there."""
    try:
        return read(*arguments)
    except ApiException as error:
        if error.status == 404:
            return None
        raise


def delete_at_once(namespace: str, pod: str) -> None:
    """Take a pod away without its consent; one that is gone already is well."""
    read_or_none(lambda: core().delete_namespaced_pod(pod, namespace, grace_period_seconds=0))


def inside(namespace: str, ref: ServerRef, script: str) -> str:
    """What a shell script prints inside a server's container."""
    shell = ["exec", "--namespace", namespace, ref.name, "--container", CONTAINER, "--", "/bin/sh", "-c", script]
    return kubectl(*shell)


def kubectl(*arguments: str, kubeconfig: Path | None = None) -> str:
    """What a command prints, whether or not it ends well; the tests' own account runs it if none is given."""
    command = [kubectl_program(), "--kubeconfig", str(kubeconfig or cluster.kubeconfig()), *arguments]
    # Over a WebSocket, `exec` now and then complains of a stream that it does not know yet.
    environment = {**os.environ, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}
    pipes: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(command, **pipes, env=environment, text=True, timeout=60, check=False)
    return done.stdout


def kill_in_cluster(namespace: str, ref: ServerRef) -> None:
    """End a server as the kernel would: all of its processes at once."""
    inside(namespace, ref, "kill -9 -1")


def claim_of_somebody(namespace: str, name: str) -> None:
    """A claim that no hub has made."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    core().create_namespaced_persistent_volume_claim(namespace, {"metadata": {"name": name}, "spec": spec})


def kubectl_program() -> str:
    """The cluster's own, else one on the PATH."""
    own = cluster.FOLDER / "bin" / "kubectl"
    return str(own) if own.exists() else program_or_skip("kubectl")


@cache
def tiny_image(name: str, *command: str) -> str:
    """An image of a shell and a web server that runs a command, in the cluster and on the local engine."""
    reference = f"stateroom.test/{name}:1"
    changes = ["USER 1000", f"CMD {json.dumps(command)}"]
    with closing(connect()) as engine:
        engine.import_image_from_data(smallest_server(0), f"stateroom.test/{name}", "1", changes=changes)
    return in_cluster(reference)


@cache
def in_cluster(image: str) -> str:
    """An image of the local Docker engine, in the cluster too; in one of somebody else's it must be there already."""
    if "STATEROOM_TEST_KUBECONFIG" not in os.environ:
        cluster.load(cluster.FOLDER, image)
    return image


def until(holds: Callable[[], object], what: str, seconds: float = _SETTLE_SECONDS) -> None:
    """As `wait_for`, for as long as a cluster takes to settle."""
    wait_for(holds, what, seconds)
