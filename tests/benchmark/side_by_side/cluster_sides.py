"""What is compared on a cluster: Stateroom, KubeSpawner and the bare cluster, each set up for the same work.

The same image, the same limits and requests, a namespace each that admits
restricted pods alone, a home as a claim that is there from an earlier start, and
ten seconds between asking a server to end and killing it. The hubs are outside
of the cluster.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from kubernetes.client import VersionApi

from harness import cluster
from harness.pods import core, read_or_none, tiny_image
from harness.workloads import a_server
from stateroom.backends.kubernetes import home_manifests, manifests
from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.manifests import Site
from stateroom.catalog.kubernetes import KubernetesUser
from stateroom.catalog.storage import KubernetesHome
from stateroom.common.quantity import MiB
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.server import PORT, Server

_GRACE = 10  # seconds, as Stateroom has it
_PAUSE = 0.005
_LONG_PAUSE = 0.2  # where nothing is timed
_WATCH_SECONDS = 3600
_MEMORY_MIB = 64
_CPU_GUARANTEE = 0.01  # so that a small node has room for all of a burst
_MOUNT = "notebooks"
_USER = KubernetesUser()

# The least that answers, since what the server itself computes is on no side's account. It ends when it is asked to,
# as a Jupyter server does; the first process of a container would not without a trap.
_STUB = (
    'mkdir -p "/tmp/www$JUPYTERHUB_SERVICE_PREFIX"; echo "{}" >"/tmp/www${JUPYTERHUB_SERVICE_PREFIX}api"; '
    'trap "exit 0" TERM; httpd -f -p 8888 -h /tmp/www & wait'
)


def stub_image() -> str:
    """The image of all servers, in the cluster."""
    return tiny_image("benchmark-stub", "/bin/sh", "-c", _STUB)


class ClusterSide:
    """One of the three. All that it makes is in a namespace of its own."""

    name = ""
    engine_variable = "KUBECONFIG"
    gateway = cluster.HOST

    def __init__(self, namespace: str, image: str) -> None:
        self.namespace = namespace
        self.image = image

    def configuration(self, folder: Path) -> str:
        """The side's own lines of the hub's configuration, whose folder this is."""
        raise NotImplementedError

    def pod(self, user: str) -> str:
        """The name of a user's pod."""
        return ServerRef(self.namespace, user).name

    def make_homes(self, users: Sequence[str]) -> None:
        """Nothing: the first start makes them."""

    def has_server(self, user: str) -> bool:
        """Whether the user's pod is there, running or not."""
        return read_or_none(core().read_namespaced_pod, self.pod(user), self.namespace) is not None

    def servers(self) -> Sequence[Any]:
        """All its pods, ended ones included."""
        found: list[Any] = core().list_namespaced_pod(self.namespace).items
        return found


class Stateroom(ClusterSide):
    """Its one line of configuration, and a catalog."""

    name = "Stateroom"

    def configuration(self, folder: Path) -> str:
        """See ClusterSide."""
        catalog = folder / "catalog.yaml"
        catalog.write_text(
            f"version: 1\n"
            f"hub: {self.namespace}\n"
            f"images:\n"
            f"  - {{id: stub, image: '{self.image}', default: true}}\n"
            f"sizes:\n"
            f"  - {{id: small, cpu: 1, memory: {_MEMORY_MIB} MiB, default: true}}\n"
            f"guarantee: {{cpu: {_CPU_GUARANTEE}, memory: 1}}\n"
            f"home: {{mount: {_MOUNT}, kubernetes: {{size: 1 GiB}}}}\n"
            f"kubernetes: {{namespace: {self.namespace}}}\n"
        )
        return (
            f"c.JupyterHub.hub_ip = {self.gateway!r}\n"
            f"import stateroom\n"
            f"stateroom.configure(c, catalog={str(catalog)!r}, backend='kubernetes')\n"
        )


class KubeSpawner(ClusterSide):
    """As its documentation shows it, with claims for the homes and what a restricted namespace asks for."""

    name = "KubeSpawner"

    def configuration(self, folder: Path) -> str:  # noqa: ARG002 - see ClusterSide
        """See ClusterSide."""
        settings = {
            "image": self.image,
            "image_pull_policy": "IfNotPresent",
            "namespace": self.namespace,
            "cpu_limit": 1.0,
            "cpu_guarantee": _CPU_GUARANTEE,
            "mem_limit": f"{_MEMORY_MIB}M",
            "mem_guarantee": f"{_MEMORY_MIB}M",
            "storage_pvc_ensure": True,
            "storage_capacity": "1Gi",
            "volumes": [{"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}],
            "volume_mounts": [{"name": "home", "mountPath": f"{_USER.home}/{_MOUNT}"}],
            "delete_grace_period": _GRACE,
            "extra_pod_config": {"terminationGracePeriodSeconds": _GRACE},
            "pod_security_context": {
                "runAsNonRoot": True,
                "runAsUser": _USER.id,
                "fsGroup": _USER.group,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "container_security_context": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        return (
            f'c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"\n'
            f"c.JupyterHub.hub_ip = {self.gateway!r}\n"
            f"c.KubeSpawner.update({settings!r})\n"
        )

    def pod(self, user: str) -> str:
        """See ClusterSide."""
        return f"jupyter-{user}"


class BareCluster(ClusterSide):
    """What no hub can beat: the same pods by the same requests, one watch, and nothing else to do."""

    name = "bare cluster"

    def __init__(self, namespace: str, image: str) -> None:
        super().__init__(namespace, image)
        self._cluster = Cluster(namespace)
        self._site = Site(KubernetesHome(size="1 GiB"))
        self._pods: dict[str, dict[str, Any]] = {}
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Know the pods while the body runs; nothing can be started or stopped otherwise."""
        self._watching = asyncio.create_task(self._watch())
        self._watching.add_done_callback(lambda _: self._changed.set())
        async with aiohttp.ClientSession() as self._http:
            try:
                yield
            finally:
                self._watching.cancel()
                await asyncio.wait([self._watching])
                await self._cluster.close()

    async def start(self, user: str) -> float:
        """Start a server; seconds until it answers."""
        began = time.monotonic()
        spec = self._spec(user)
        body = manifests.pod(spec, self._site, prove_home=False, beside_others=False)
        made = await self._cluster.create("pods", body)
        await self._cluster.create("secrets", manifests.variables(spec, self._site, manifests.owner_of(made)))
        await self._cluster.patch("pods", spec.ref.name, manifests.without_gate(made["spec"]["schedulingGates"], ""))
        await self._until(lambda: self._address(spec.ref.name))
        await self._answers(f"http://{self._address(spec.ref.name)}:{PORT}{spec.base_url}api")
        return time.monotonic() - began

    async def stop(self, user: str) -> float:
        """Stop a server; seconds until the cluster says that it is gone."""
        began = time.monotonic()
        name = self.pod(user)
        await self._cluster.delete("pods", name, self._pods[name]["metadata"]["uid"], _GRACE)
        await self._until(lambda: name not in self._pods)
        return time.monotonic() - began

    async def start_all(self, users: Sequence[str]) -> list[float]:
        """Start all at once; how long each waited, the shortest first."""
        return sorted(await asyncio.gather(*map(self.start, users)))

    async def stop_all(self, users: Sequence[str]) -> None:
        """Stop all, until the cluster has none of them."""
        await asyncio.gather(*map(self.stop, users))
        while self.servers():
            await asyncio.sleep(_LONG_PAUSE)

    def cpu_seconds(self) -> float:
        """No hub, so none of its time."""
        return 0.0

    async def make_claims(self, users: Sequence[str]) -> None:
        """What the first start makes on the other sides."""
        for user in users:
            await self._cluster.create(
                "persistentvolumeclaims", home_manifests.claim(self._spec(user).home, self._site.homes)
            )

    def _address(self, pod: str) -> str:
        return str(self._pods.get(pod, {}).get("status", {}).get("podIP", ""))

    async def _until(self, holds: Callable[[], object]) -> None:
        while not holds():
            if self._watching.done():
                self._watching.result()  # which raises
            await self._changed.wait()

    async def _watch(self) -> None:
        page = await anext(self._cluster.pages("pods", ""))  # there are none yet
        version = page["metadata"]["resourceVersion"]
        while True:
            async for change in self._cluster.changes("pods", {"resourceVersion": version}, _WATCH_SECONDS):
                pod = change["object"]
                version = pod["metadata"]["resourceVersion"]
                match change["type"]:
                    case "ADDED" | "MODIFIED":
                        self._pods[pod["metadata"]["name"]] = pod
                    case "DELETED":
                        del self._pods[pod["metadata"]["name"]]
                self._changed.set()
                self._changed.clear()

    async def _answers(self, url: str) -> None:
        while True:
            try:
                async with self._http.get(url) as answer:
                    await answer.read()
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(_PAUSE)

    def _spec(self, user: str) -> Server:
        return a_server(
            self.namespace,
            user,
            home=HomeRef(self.namespace, user, 0),
            image=self.image,
            cpu=1000,
            memory=_MEMORY_MIB * MiB,
            cpu_guarantee=int(1000 * _CPU_GUARANTEE),
            memory_guarantee=_MEMORY_MIB * MiB,
            secrets={"JUPYTERHUB_API_TOKEN": uuid4().hex},
        )


def cluster_version() -> str:
    """What the cluster says that it is."""
    return str(VersionApi(core().api_client).get_code().git_version)
