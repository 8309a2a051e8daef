"""A server's life in a cluster: what `lifecycle` needs to be done, in calls to the cluster."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from kubernetes.aio.client import V1OwnerReference

from stateroom.backends.base import Report, Tls
from stateroom.backends.diagnosis import ADMISSION, diagnosed
from stateroom.backends.kubernetes import manifests
from stateroom.backends.kubernetes.api import Cluster
from stateroom.backends.kubernetes.homes import Homes
from stateroom.backends.kubernetes.manifests import CONTAINER, GRACE, HOME_UNWRITABLE, Site
from stateroom.backends.kubernetes.observation import ObservedPod, pod_from_json
from stateroom.backends.kubernetes.pod_start import Pending
from stateroom.backends.kubernetes.pod_watch import PodWatch
from stateroom.backends.lifecycle import Lifecycle
from stateroom.common.deadline import Deadline
from stateroom.common.errors import BackendError, BackendUnavailable, EngineRefused, HomeRefused, ServerEnded
from stateroom.workloads.names import ServerRef
from stateroom.workloads.progress import Phase, Progress
from stateroom.workloads.server import Server

_SHORT_GRACE = 1.0  # for one that nobody used yet
_OVERDUE = 10.0  # seconds past its grace after which a pod is taken from a node that does not answer
_LOOK_AGAIN = 2.0  # seconds without news of a pod after which the cluster is asked itself


class Pods:
    """The pods of one hub's servers. See `lifecycle.ServerEngine`."""

    kind = "pod"

    def __init__(self, cluster: Cluster, hub: str, site: Callable[[], Site]) -> None:
        self.cluster = cluster
        self.watch = PodWatch(cluster, hub)
        self.homes = Homes(cluster, hub, site)
        self._hub = hub
        self._site = site

    def attempt(self, spec: Server, report: Report, tls: Tls | None, servers: Lifecycle) -> PodStart:
        """See ServerEngine.attempt."""
        return PodStart(self, self._site(), spec, report, tls, servers)

    async def remove(self, ref: ServerRef, *, gently: bool) -> bool:
        """See ServerEngine.remove. All that belongs to the pod goes with it."""
        found = self.watch.picture.get(ref.name) or await self._found(ref)
        if found is None:
            return False
        grace = GRACE if gently else _SHORT_GRACE
        if not found.finished:
            await self.cluster.delete("pods", ref.name, found.uid, grace)
            if await self._is_gone(ref, found.uid, grace + _OVERDUE):
                return True
        # Nothing of it runs any more, so the node's own clearing up need not be waited for;
        # or the node does not answer, and whatever the pod is there ends when it does.
        await self.cluster.delete("pods", ref.name, found.uid, 0)
        if not await self._is_gone(ref, found.uid, _OVERDUE):
            raise BackendUnavailable("The cluster has not removed the server yet, and will when it comes to it.")
        return True

    async def is_taken(self, ref: ServerRef) -> bool:
        """See ServerEngine.is_taken."""
        return await self.cluster.read("pods", ref.name) is not None

    async def observed(self) -> list[ObservedPod]:
        """See ServerEngine.observed."""
        return await self.watch.picture.all()

    async def settled(self) -> None:
        """See ServerEngine.settled."""
        await self.cluster.settled()

    async def logs(self, ref: ServerRef, lines: int) -> str:
        """See ServerEngine.logs."""
        return await self.cluster.log(ref.name, CONTAINER, lines) if await self._found(ref) else ""

    async def _is_gone(self, ref: ServerRef, uid: str, seconds: float) -> bool:
        """Wait until the pod is gone, but no longer than its end or `seconds`; whether it is gone."""
        until = time.monotonic() + seconds
        first = observed = self.watch.picture.get(ref.name)
        while observed is not None and observed.uid == uid:
            left = until - time.monotonic()
            if left <= 0 or (observed.finished and first is not None and not first.finished):
                return False
            after = await self.watch.picture.next(ref.name, observed, min(_LOOK_AGAIN, left))
            if after == observed:
                with contextlib.suppress(BackendUnavailable):
                    await self.watch.refresh(ref.name)
                    after = self.watch.picture.get(ref.name)
            observed = after
        return True

    async def _found(self, ref: ServerRef) -> ObservedPod | None:
        """The server's pod, None if there is none. A pod of someone else under its name does not count."""
        found = await self.watch.refresh(ref.name)
        if found is None:
            return None
        observed = pod_from_json(found, self._hub)
        return observed if observed.ref == ref else None


class PodStart:
    """One start of a server in a pod. See `lifecycle.Attempt`."""

    def __init__(  # noqa: PLR0917 - made in one place
        self, pods: Pods, site: Site, spec: Server, report: Report, tls: Tls | None, servers: Lifecycle
    ) -> None:
        self._cluster = pods.cluster
        self._watch = pods.watch
        self._homes = pods.homes
        self._site = site
        self._spec = spec
        self._report = report
        self._tls = tls
        self._servers = servers
        self._stays_on_a_node: bool  # known from its home

    async def prepare(self, deadline: Deadline) -> Deadline:
        """See Attempt.prepare. A node fetches the image itself."""
        self._report(Progress(Phase.PREPARING, "Looking for your home"))
        return deadline

    async def make(self, deadline: Deadline) -> tuple[str, Deadline]:
        """See Attempt.make."""
        async with deadline.enforced():
            self._stays_on_a_node = await self._homes.ensure(self._spec.home, self._report)
            self._report(Progress(Phase.PREPARING, "Preparing your server", 0.3))
            uid = await self._make()
        self._report(Progress(Phase.PREPARING, "Looking for a node", 0.5))
        pending = Pending(self._cluster, self._watch, self._site, self._spec, uid)
        observed, deadline = await pending.until_running(deadline, self._report)
        return observed.state.address, deadline

    async def confirm(self) -> None:
        """See Attempt.confirm. The watch is never as late as a node is with another pod's address."""

    def explain(self, error: BackendError, output: str) -> BackendError:
        """See Attempt.explain."""
        observed = self._watch.picture.get(self._spec.ref.name)
        if observed is not None and HOME_UNWRITABLE in observed.waiting.message:
            user = self._site.settings.user
            return HomeRefused(
                f"Your home cannot be written to by user {user.id}, as whom servers run. "
                f"It was left as it is; an administrator must give {self._spec.home.name} to that user, or to group "
                f"{user.group}."
            )
        return type(error)(f"{error} {output}".rstrip(), detail=error.detail)

    def succeeded(self) -> None:
        """See Attempt.succeeded."""
        self._homes.prove(self._spec.home)

    async def _make(self) -> str:
        """The pod with all that belongs to it, and its unique id. What fails here leaves nothing but the pod."""
        try:
            made = await self._servers.create(self._spec.ref, self._create)
            self._watch.record(made)
            owner = manifests.owner_of(made)
            address = await self._service(owner)
            await self._cluster.create("secrets", manifests.variables(self._spec, self._site, owner))
            patch = manifests.without_gate(made["spec"].get("schedulingGates") or (), address)
            freed = await self._cluster.patch("pods", self._spec.ref.name, patch)
        except EngineRefused as error:
            cause = diagnosed(error.message, ADMISSION, self._spec.container.image)
            raise EngineRefused(self._shown(cause or error.message), detail=self._shown(error.message)) from None
        if freed is None:
            raise ServerEnded("The server was removed before it answered.")
        self._watch.record(freed)
        return str(made["metadata"]["uid"])

    async def _create(self) -> dict[str, Any]:
        ref, home = self._spec.ref, self._spec.home
        body = manifests.pod(
            self._spec,
            self._site,
            prove_home=not self._homes.is_proven(home),
            beside_others=self._stays_on_a_node
            and (self._servers.has_sibling_of(ref) or self._watch.has_sibling_of(ref)),
        )
        return await self._cluster.create("pods", body)

    async def _service(self, owner: V1OwnerReference) -> str:
        """The address of the server's Service, which it has where it serves TLS, with a certificate to it."""
        if self._tls is None:
            return ""
        service = await self._cluster.create("services", manifests.service(self._spec, owner))
        address = str(service["spec"]["clusterIP"])
        files = await self._tls.certify(address)
        await self._cluster.create("secrets", manifests.certificate(self._spec, owner, files))
        return address

    def _shown(self, text: str) -> str:
        """A text without the server's secrets."""
        for secret in self._spec.container.secrets.values():
            text = text.replace(secret, "***")
        return text
