"""The calls to a cluster's API: plain JSON in and out, no decisions.

One client for the process, with the hub's own account inside a cluster, else
with a kubeconfig. Credentials that have expired are read anew. What the API asks
to be sent again later is sent again later. A write that has begun is seen to its
end even when its caller is cancelled; `settled` waits for those. Of those who call
at the same time, each has a turn of the loop of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncGenerator, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from stateroom.backends.kubernetes.answers import (
    NotFound,
    as_error,
    met_another,
    read_page,
    retry_after,
    silent,
    status_of,
)
from stateroom.backends.kubernetes.fair_scheduler import FairScheduler
from stateroom.common.errors import BackendUnavailable, EngineRefused, NameTaken
from stateroom.common.quantity import KiB

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CALL_SECONDS = 20.0
_LIST_SECONDS = 60.0
_CONNECT_SECONDS = 5.0
_PAGE = 250  # pods, which are read in 15 ms
_RENEWAL_PAUSE = 5.0  # seconds between two readings of the credentials
_SENT_AGAIN = 5  # times
_CONFLICT_PAUSE = 0.2  # seconds after which a write that met another one is sent again
_SLICE = 0.005  # seconds of the loop that are taken at once
_WATCH_GRACE = 15.0  # seconds past its time after which a watch is dead
_LONGEST_LOG = 256 * KiB

_MERGE_PATCH = "application/merge-patch+json"


_Result = TypeVar("_Result")


class Cluster:
    """The API of a cluster, for one namespace: that of the catalog, else the account's or the kubeconfig's own."""

    def __init__(self, namespace: str = "", kubeconfig: str = "") -> None:
        self._namespace = namespace
        self._kubeconfig = kubeconfig  # "" is what the environment names
        self._client: ApiClient | None = None
        self._outdated: ApiClient | None = None  # the one before, on which calls may still be under way
        self._loading = asyncio.Lock()
        self._loaded = 0.0
        self._late: set[asyncio.Task[Any]] = set()
        self._turns = FairScheduler()

    @property
    def namespace(self) -> str:
        """The namespace; "" until the first call where only the credentials know it."""
        return self._namespace

    @property
    def server(self) -> str:
        """The API's address; "" until the first call."""
        return str(self._client.configuration.host) if self._client else ""

    async def create(self, kind: str, manifest: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """What was made. Raises NameTaken where the name is, EngineRefused with the API's words."""
        query = {"dryRun": "All"} if dry_run else {}
        return await self._to_its_end(self._json("POST", await self._path(kind), query, manifest))

    async def read(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object, None if there is none."""
        return await _or_none(self._json("GET", await self._path(kind, name)))

    async def patch(self, kind: str, name: str, patch: Mapping[str, Any]) -> dict[str, Any] | None:
        """What became of the object by a JSON merge patch, None if there is none."""
        path = await self._path(kind, name)
        return await self._to_its_end(_or_none(self._json("PATCH", path, {}, patch)))

    async def delete(self, kind: str, name: str, uid: str, grace: float | None = None) -> None:
        """Begin to delete this very object. Idempotent; another one under its name is left alone."""
        options: dict[str, Any] = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = int(grace)
        path = await self._path(kind, name)
        try:
            await self._to_its_end(_or_none(self._json("DELETE", path, {}, options)))
        except NameTaken:  # a conflict: it is another one now
            return

    async def log(self, pod: str, container: str, lines: int) -> str:
        """The last lines that a container wrote, "" if there are none."""
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(_LONGEST_LOG)}
        try:
            data = await self._bytes("GET", f"{await self._path('pods', pod)}/log", query)
        except EngineRefused:  # it has not run
            return ""
        return data.decode(errors="replace")

    async def pages(self, kind: str, selector: str) -> AsyncGenerator[dict[str, Any], None]:
        """A list of what is there now, in parts, each small enough for the loop. Raises Expired if it took too long.

        The items of a part are read as they are asked for, and only once.
        """
        query = {"labelSelector": selector, "limit": str(_PAGE)}
        path = await self._path(kind)
        while True:
            page = read_page(await self._bytes("GET", path, query, seconds=_LIST_SECONDS))
            yield page
            after = page["metadata"].get("continue")
            if not after:
                return
            query["continue"] = after
            await asyncio.sleep(0)

    async def changes(self, kind: str, query: Mapping[str, str], seconds: int) -> AsyncGenerator[dict[str, Any], None]:
        """What a watch tells, for `seconds`; then it ends, and the next goes on from the last version.

        Raises Expired, and BackendUnavailable when it breaks off or falls silent past its time.
        """
        asked = {**query, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        response = await self._send(
            "GET",
            await self._path(kind),
            asked,
            None,
            aiohttp.ClientTimeout(total=seconds + _WATCH_GRACE, sock_connect=_CONNECT_SECONDS),
        )
        began = time.monotonic()
        try:
            async for line in response.content:
                change = json.loads(line)
                if change["type"] == "ERROR":
                    raise as_error(change["object"].get("code", 500), change["object"])
                yield change
                # A loop that has much to read turns all the same.
                if time.monotonic() - began > _SLICE:
                    await asyncio.sleep(0)
                    began = time.monotonic()
        except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError) as error:
            raise silent(error) from error
        finally:
            response.close()

    async def at(self, path: str) -> dict[str, Any] | None:
        """What the API has at a path of its own, outside the namespace too; None if there is nothing.

        Raises EngineRefused where the account may not see it.
        """
        await self._connected()
        return await _or_none(self._json("GET", path))

    async def may(self, verb: str, resource: str) -> bool:
        """Whether the account may do this in the namespace. `resource` is as a Role names it."""
        await self._connected()
        kind, _, part = resource.partition("/")
        asked = {"namespace": self._namespace, "verb": verb, "resource": kind, "subresource": part}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        answer = await self._json("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {}, review)
        return bool(answer["status"]["allowed"])

    async def settled(self) -> None:
        """Wait for the writes whose callers have left."""
        while self._late:
            await asyncio.wait(self._late)

    async def close(self) -> None:
        """Let go of the connections."""
        for client in (self._client, self._outdated):
            if client is not None:
                await client.close()
        self._client = self._outdated = None

    async def _path(self, kind: str, name: str = "") -> str:
        await self._connected()
        return f"/api/v1/namespaces/{self._namespace}/{kind}" + (f"/{name}" if name else "")

    async def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        seconds: float = _CALL_SECONDS,
    ) -> dict[str, Any]:
        data = await self._bytes(method, path, query or {}, body, seconds)
        try:
            found: dict[str, Any] = json.loads(data)
        except ValueError as error:  # of something that stands before the API
            raise silent(error) from error
        return found

    async def _bytes(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        seconds: float = _CALL_SECONDS,
    ) -> bytes:
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        response = await self._send(method, path, query, body, timeout)
        try:
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise silent(error) from error
        await self._turns.yield_turn()
        return data

    async def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """The answer, once the API gave one that counts."""
        renewed = False
        for attempt in range(_SENT_AGAIN + 1):
            client = await self._connected()
            response = await self._ask(client, method, path, query, body, timeout=timeout)
            if response.status < 400:  # noqa: PLR2004 - the class of HTTP codes
                return response
            status = await status_of(response)
            if response.status == 401 and not renewed:  # noqa: PLR2004
                renewed = await self._renewed(client)
                if renewed:
                    continue
            pause = _CONFLICT_PAUSE if met_another(method, status) else retry_after(response)
            if pause is None or attempt == _SENT_AGAIN:
                raise as_error(response.status, status)
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _ask(
        self,
        client: ApiClient,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Any,
        *,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {
            "Accept": "application/json",
            "Content-Type": _MERGE_PATCH if method == "PATCH" else "application/json",
        }
        await self._turns.yield_turn()
        try:
            serialized = await client.param_serialize(
                method, path, {}, list(query.items()), headers, auth_settings=["BearerToken"]
            )
            answer = await client.call_api(*serialized[:3], body, _request_timeout=timeout)
        except (aiohttp.ClientError, TimeoutError, OSError, ConfigException) as error:
            raise silent(error) from error
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _connected(self) -> ApiClient:
        if self._client is None:
            async with self._loading:
                if self._client is None:
                    await self._load()
        assert self._client is not None  # noqa: S101 - loaded, or that raised
        return self._client

    async def _load(self) -> None:
        configuration = Configuration()
        configuration.connection_pool_maxsize = 0  # watches hold connections; starts must not wait for them
        configuration.retries = None
        # From Python 3.13, the certificates of many clusters would be refused for lack of an extension that nobody else
        # asks for. They are verified all the same.
        configuration.disable_strict_ssl_verification = True
        self._loaded = time.monotonic()
        try:
            namespace = await _load_credentials(configuration, self._kubeconfig)
            client = ApiClient(configuration)
        except (ConfigException, OSError, ValueError, TypeError, LookupError, yaml.YAMLError) as error:
            raise BackendUnavailable(
                "There is no way to a cluster here: no account of a pod, and no kubeconfig that can be used. "
                "An administrator must set KUBECONFIG.",
                detail=str(error),
            ) from error
        self._namespace = self._namespace or namespace
        self._client = client

    async def _renewed(self, refused: ApiClient) -> bool:
        """Whether the credentials were read anew, since those of a client are no longer taken."""
        async with self._loading:
            if self._client is not refused:  # another call was quicker
                return True
            if time.monotonic() - self._loaded < _RENEWAL_PAUSE:
                return False
            await self._load()
            if self._outdated is not None:
                await self._outdated.close()
            self._outdated = refused
            return True

    async def _to_its_end(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        task = asyncio.ensure_future(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._late.add(task)
            task.add_done_callback(self._end_late)
            raise

    def _end_late(self, task: asyncio.Task[Any]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # nobody else asks for it


def kubeconfig_in_use() -> str:
    """The file, or several as KUBECONFIG joins them, that names the cluster; "" for the account of a pod."""
    if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
        return ""
    return os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


async def _load_credentials(configuration: Configuration, chosen: str) -> str:
    """The namespace that they are for."""
    path = chosen or kubeconfig_in_use()
    if not path:
        load_incluster_config(configuration)
        return (_ACCOUNT / "namespace").read_text().strip()
    loader = await load_kube_config(path, client_configuration=configuration, persist_config=False)
    return str(loader.current_context["context"].get("namespace") or "default")


async def _or_none(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return await work
    except NotFound:
        return None
