"""The Kubernetes backend: the order of things, and what each answer of the cluster means."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from stateroom.backends.base import Life, Report, RunningServer, ServerState, Tls
from stateroom.backends.diagnosis import ADMISSION, diagnosed, ended, last_words
from stateroom.backends.kubernetes import manifests
from stateroom.backends.kubernetes.cluster import Cluster
from stateroom.backends.kubernetes.homes import Homes
from stateroom.backends.kubernetes.manifests import CONTAINER, GRACE, HOME_UNWRITABLE, Site
from stateroom.backends.kubernetes.observation import Seen, seen_from_pod
from stateroom.backends.kubernetes.pending import Pending
from stateroom.backends.kubernetes.watch import PodWatch
from stateroom.backends.removals import Removals
from stateroom.backends.starts import Starts
from stateroom.deadline import Deadline
from stateroom.errors import (
    BackendError,
    BackendUnavailable,
    DeadlineExceeded,
    EngineRefused,
    HomeRefused,
    NameTaken,
    ServerEnded,
)
from stateroom.names import HomeRef, ServerRef
from stateroom.progress import Phase, Progress
from stateroom.quantity import Machine
from stateroom.readiness import wait_until_answers
from stateroom.spec import ServerSpec, require_passable

_LAST_WORDS = 20  # lines of a dead server's log that are looked at
_SHORT_GRACE = 1.0  # for one that nobody used yet
_OVERDUE = 10.0  # seconds past its grace after which a pod is taken from a node that does not answer
_PATIENCE = 5.0  # seconds for the clearing away after a failed start
_LOOK_AGAIN = 2.0  # seconds without news of a pod after which the cluster is asked itself


class KubernetesBackend:
    """Servers of one hub as pods of one namespace, the credentials' own where it is "".

    `site` tells what the catalog says of the cluster at the moment.
    """

    def __init__(self, hub: str, namespace: str, site: Callable[[], Site]) -> None:
        self._hub = hub
        self._site_now = site
        self._cluster = Cluster(namespace)
        self._watch = PodWatch(self._cluster, hub)
        self._homes = Homes(self._cluster, hub, site)
        self._starts = Starts()
        self._removals = Removals(self._remove_what_is_left)

    @property
    def _site(self) -> Site:
        return self._site_now()

    async def start(self, spec: ServerSpec, deadline: Deadline, report: Report, tls: Tls | None = None) -> str:
        """See Backend.start."""
        return await self._starts.run(spec.ref, self._start(spec, deadline, report, tls))

    async def state(self, ref: ServerRef) -> ServerState:
        """See Backend.state."""
        return await self._watch.state(ref.name)

    async def changed(self, ref: ServerRef, known: ServerState | None) -> ServerState:
        """See Backend.changed."""
        return await self._watch.changed(ref.name, known)

    async def stop(self, ref: ServerRef, deadline: Deadline) -> None:
        """See Backend.stop. What the cluster could not do now is done when it answers again."""
        await self._starts.cancel(ref)
        try:
            async with deadline.enforced():
                await self._remove(ref, GRACE)
        except BackendError:
            self._removals.later(ref)
            raise

    async def list(self) -> list[RunningServer]:
        """See Backend.list."""
        return [
            RunningServer(seen.ref, seen.state, seen.image, seen.resources)
            for seen in await self._watch.all()
            if seen.ref is not None
        ]

    async def machine(self) -> Machine | None:
        """See Backend.machine. A cluster is no machine, and admits by its own rules."""
        await self._watch.all()
        return None

    def silence(self) -> float:
        """See Backend.silence."""
        return self._watch.silence()

    async def logs(self, ref: ServerRef, lines: int) -> str:
        """See Backend.logs."""
        return await self._cluster.log(ref.name, CONTAINER, lines) if await self._found(ref) else ""

    async def remove_home(self, home: HomeRef) -> None:
        """See Backend.remove_home."""
        await self._homes.remove(home)

    async def close(self) -> None:
        """See Backend.close."""
        self._removals.close()
        await self._watch.close()
        await self._cluster.close()

    async def _start(self, spec: ServerSpec, deadline: Deadline, report: Report, tls: Tls | None) -> str:
        require_passable(spec)
        report(Progress(Phase.PREPARING, "Looking for your home"))
        try:
            async with deadline.enforced():
                await self._homes.ensure(spec.home, report)
                report(Progress(Phase.PREPARING, "Preparing your server", 0.3))
                uid = await self._make(spec, tls)
            report(Progress(Phase.PREPARING, "Looking for a node", 0.5))
            pending = Pending(self._cluster, self._watch, self._site, spec, uid)
            seen, deadline = await pending.until_running(deadline, report)
            report(Progress(Phase.ANSWERING, "Waiting for your server to answer"))
            async with deadline.enforced():
                await self._answer(spec, seen, tls)
        except (ServerEnded, DeadlineExceeded) as error:
            explained = await self._explained(error, spec)
            await self._discard(spec.ref)
            raise explained from error
        except BaseException:
            await self._discard(spec.ref)
            raise
        self._homes.prove(spec.home)
        return seen.state.address

    async def _make(self, spec: ServerSpec, tls: Tls | None) -> str:
        """The pod with all that belongs to it, and its unique id. What fails here leaves nothing but the pod."""
        await self._removals.end(spec.ref)
        try:
            made = await self._create(spec)
            owner = manifests.owner_of(made)
            address = ""
            if tls is not None:
                service = await self._cluster.create("services", manifests.service(spec, owner))
                address = service["spec"]["clusterIP"]
                files = await tls.certify(address)
                await self._cluster.create("secrets", manifests.certificate(spec, owner, files))
            await self._cluster.create("secrets", manifests.variables(spec, self._site, owner))
            patch = manifests.without_gate(made["spec"].get("schedulingGates") or (), address)
            freed = await self._cluster.patch("pods", spec.ref.name, patch)
        except EngineRefused as error:
            told = diagnosed(error.message, ADMISSION, spec.image)
            raise EngineRefused(_without(told or error.message, spec), detail=_without(error.message, spec)) from None
        if freed is None:
            raise ServerEnded("The server was removed before it answered.")
        self._watch.take(freed)
        return str(made["metadata"]["uid"])

    async def _create(self, spec: ServerSpec) -> dict[str, Any]:
        body = manifests.pod(
            spec,
            self._site,
            prove_home=not self._homes.is_proven(spec.home),
            beside_others=self._starts.has_sibling_of(spec.ref) or self._watch.has_sibling_of(spec.ref),
        )
        try:
            made = await self._create_or_doubt(spec.ref, body)
        except NameTaken:
            if not await self._remove(spec.ref, _SHORT_GRACE) and await self._cluster.read("pods", spec.ref.name):
                raise NameTaken(
                    f'A pod named "{spec.ref.name}" is there, and it is not of this hub. '
                    "It was left as it is; an administrator must remove it.",
                ) from None
            made = await self._create_or_doubt(spec.ref, body)
        self._watch.take(made)
        return made

    async def _create_or_doubt(self, ref: ServerRef, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return await self._cluster.create("pods", body)
        except (BackendUnavailable, asyncio.CancelledError):
            # The answer did not come, which does not keep the cluster from making it.
            self._removals.later(ref)
            raise

    async def _answer(self, spec: ServerSpec, seen: Seen, tls: Tls | None) -> None:
        """Wait until the server answers or ends, whichever is first."""
        address = seen.state.address
        over = asyncio.ensure_future(self._over(spec.ref, seen.state))
        answers = asyncio.ensure_future(wait_until_answers(address, spec.base_url, tls.hub if tls else None))
        try:
            await asyncio.wait([over, answers], return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                raise ended(spec, over.result())
            answers.result()
            if (state := self._watch.last(spec.ref.name)).address != address:
                raise ended(spec, state)
        finally:
            over.cancel()
            answers.cancel()

    async def _over(self, ref: ServerRef, state: ServerState) -> ServerState:
        """Wait until a server that runs, as `state` says, does so no more."""
        while state.life is Life.RUNNING:
            state = await self.changed(ref, state)
        return state

    async def _explained(self, error: BackendError, spec: ServerSpec) -> BackendError:
        """Why a server came to nothing, after what it wrote and what the cluster says."""
        seen = self._watch.seen(spec.ref.name)
        if seen is not None and HOME_UNWRITABLE in seen.waiting.message:
            return HomeRefused(
                f"Your home cannot be written to by user {self._site.settings.user.id}, as whom servers run. "
                f"It was left as it is; an administrator must give {spec.home.name} to that user, or to group "
                f"{self._site.settings.user.group}."
            )
        words = ""
        with contextlib.suppress(BackendError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                words = last_words(await self.logs(spec.ref, _LAST_WORDS), spec.secrets.values())
        return type(error)(f"{error} {words}".rstrip(), detail=error.detail)

    async def _discard(self, ref: ServerRef) -> None:
        """Leave nothing of a failed start; with a cluster that does not answer, once it does."""
        try:
            async with asyncio.timeout(_PATIENCE):
                # What is not there now may be made by a call that still hangs.
                await self._cluster.settled()
                await self._remove(ref, _SHORT_GRACE)
        except (BackendError, TimeoutError):
            self._removals.later(ref)

    async def _remove_what_is_left(self, ref: ServerRef) -> bool:
        await self._cluster.settled()
        return await self._remove(ref, _SHORT_GRACE)

    async def _remove(self, ref: ServerRef, grace: float) -> bool:
        """Remove the server's pod, and with it all that belongs to it; whether there was one."""
        found = self._watch.seen(ref.name) or await self._found(ref)
        if found is None:
            return False
        if not found.finished:
            await self._cluster.delete("pods", ref.name, found.uid, grace)
            if await self._is_gone(ref, found.uid, grace + _OVERDUE):
                return True
        # Nothing of it runs any more, so the node's own clearing up need not be waited for;
        # or the node does not answer, and whatever the pod is there ends when it does.
        await self._cluster.delete("pods", ref.name, found.uid, 0)
        if not await self._is_gone(ref, found.uid, _OVERDUE):
            raise BackendUnavailable("The cluster has not removed the server yet, and will when it comes to it.")
        return True

    async def _is_gone(self, ref: ServerRef, uid: str, seconds: float) -> bool:
        """Wait until the pod is gone, but no longer than its end or `seconds`; whether it is gone."""
        until = time.monotonic() + seconds
        first = seen = self._watch.seen(ref.name)
        while seen is not None and seen.uid == uid:
            left = until - time.monotonic()
            if left <= 0 or (seen.finished and first is not None and not first.finished):
                return False
            after = await self._watch.next(ref.name, seen, min(_LOOK_AGAIN, left))
            if after == seen:
                with contextlib.suppress(BackendUnavailable):
                    await self._watch.look(ref.name)
                    after = self._watch.seen(ref.name)
            seen = after
        return True

    async def _found(self, ref: ServerRef) -> Seen | None:
        """The server's pod, None if there is none. One of somebody else's under its name does not count."""
        found = await self._watch.look(ref.name)
        if found is None:
            return None
        seen = seen_from_pod(found)
        return seen if seen.ref == ref else None


def _without(text: str, spec: ServerSpec) -> str:
    """A text without the server's secrets."""
    for secret in spec.secrets.values():
        text = text.replace(secret, "***")
    return text
