"""The calls to a Docker engine: one method each, no decisions.

The SDK blocks, so calls run on threads: a pool for the short ones and another
for pulls, so that no pull makes a start or a poll wait. A call that has begun
is seen to its end even when its caller is cancelled, for some seconds: whoever
cleans up afterwards then finds what the call has made. `settled` waits for
those that took longer.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import docker
import requests.exceptions
import urllib3.exceptions
from docker import errors as docker_errors
from docker.utils import kwargs_from_env, parse_repository_tag

from stateroom.backends.diagnosis import PULL, diagnosed
from stateroom.common.errors import BackendUnavailable, EngineRefused, ImageUnavailable, NameTaken
from stateroom.common.labels import HUB
from stateroom.common.quantity import MiB
from stateroom.common.text import clipped
from stateroom.workloads.names import network_name

# Starts gain up to 8 at once on an engine, measured; more only queue inside it.
_CALLS_AT_ONCE = 8
_PULLS_AT_ONCE = 6  # a registry that stalls holds one of them
_CALL_TIMEOUT = 60  # seconds without a byte from the engine
_CANCELLED_PATIENCE = 5  # seconds for a call whose caller was cancelled
_LONGEST_REASON = 300  # letters, about three lines of a page
_LONGEST_PASSWD = MiB


# What Podman says of a conflict, for which its status is 500.
_PODMAN_CONFLICTS = ("that name is already in use", "container state improper", "volume already exists")

_Result = TypeVar("_Result")


class Engine:
    """A Docker engine, found as every Docker client finds it (`DOCKER_HOST` and its kin)."""

    def __init__(self) -> None:
        self._connection: docker.APIClient | None = None
        self._connecting = threading.Lock()
        self._calls = ThreadPoolExecutor(_CALLS_AT_ONCE, thread_name_prefix="docker-call")
        self._pulls = ThreadPoolExecutor(_PULLS_AT_ONCE, thread_name_prefix="docker-pull")
        self._late: set[asyncio.Future[Any]] = set()

    async def inspect_image(self, reference: str) -> dict[str, Any] | None:
        """The image's description, None if it is not on the engine. Raises ImageUnavailable for what is no name."""
        return await self._call(lambda client: _inspect_image(client, reference))

    async def read_passwd(self, image_id: str, labels: Mapping[str, str]) -> str:
        """The image's /etc/passwd, "" if it has none; takes a container that is never started.

        What is there with the same labels is removed first: an earlier look was interrupted.
        """
        return await self._call(lambda client: read_passwd(client, image_id, labels))

    async def pull(self, reference: str, told: Callable[[Mapping[str, Any]], None]) -> None:
        """Pull the image, with the logins of `docker login` as they are now. Raises ImageUnavailable.

        `told` hears every line of the engine's, on the pull's thread.
        """
        await self._on(self._pulls, lambda client: _pull(client, reference, told))

    async def create_container(self, name: str, payload: Mapping[str, Any]) -> None:
        """Raises NameTaken when a container has the name already."""
        await self._call(lambda client: _create_container(client, name, payload))

    async def put_archive(self, name: str, archive: bytes) -> None:
        """Unpack a tar at the root of the container's file system, its mounts included."""
        await self._call(lambda client: client.put_archive(name, "/", archive))

    async def owner(self, name: str, path: str) -> int:
        """The number of the user who owns a folder of the container, its mounts included."""
        return await self._call(lambda client: _owner(client, name, path))

    async def start_container(self, name: str, handed: bytes) -> tuple[dict[str, Any] | None, float]:
        """Start a created container that reads `handed` on its standard input.

        Its description when it had started, None if it is gone, and when that was asked for.
        """

        def start(client: docker.APIClient) -> tuple[dict[str, Any] | None, float]:
            start_container(client, name, handed)
            began = time.monotonic()
            return or_none(lambda: client.inspect_container(name)), began

        return await self._call(start)

    async def inspect_container(self, name: str) -> dict[str, Any] | None:
        """The container's description, None if there is none."""
        return await self._call(lambda client: or_none(lambda: client.inspect_container(name)))

    async def signal_container(self, name: str, signal: str) -> None:
        """Send the container's first process a signal. Idempotent: one that has ended needs none."""
        await self._call(lambda client: _signal_container(client, name, signal))

    async def remove_container(self, name: str) -> None:
        """Kill and remove the container with its nameless volumes. Idempotent."""
        await self._call(lambda client: _remove_container(client, name))

    async def settled(self) -> None:
        """Wait for the calls whose callers have left."""
        while self._late:
            await asyncio.wait(self._late)

    async def read_logs(self, name: str, lines: int) -> str:
        """The last lines the container wrote, "" if there is none."""
        data = await self._call(lambda client: or_none(lambda: client.logs(name, tail=lines)))
        return (data or b"").decode("utf-8", "replace")

    async def inspect_volume(self, name: str) -> dict[str, Any] | None:
        """The volume's description, None if there is none."""
        return await self._call(lambda client: or_none(lambda: client.inspect_volume(name)))

    async def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Make the volume; an existing one keeps its labels."""
        await self._call(lambda client: _create_volume(client, name, labels))

    async def remove_volume(self, name: str) -> None:
        """Remove the volume and all in it. Idempotent."""
        await self._call(lambda client: or_none(lambda: client.remove_volume(name)))

    def close(self) -> None:
        """Let go of the threads; calls under way end on their own."""
        self._calls.shutdown(wait=False)
        self._pulls.shutdown(wait=False)

    async def _call(self, work: Callable[[docker.APIClient], _Result]) -> _Result:
        return await self._on(self._calls, work)

    async def _on(self, pool: ThreadPoolExecutor, work: Callable[[docker.APIClient], _Result]) -> _Result:
        call = pool.submit(self._do, work)
        running = asyncio.wrap_future(call)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            if pool is self._calls and not call.cancel():
                await self._let_end(running)
            raise

    async def _let_end(self, running: asyncio.Future[Any]) -> None:
        self._late.add(running)
        running.add_done_callback(self._has_ended)
        await asyncio.wait([running], timeout=_CANCELLED_PATIENCE)

    def _has_ended(self, late: asyncio.Future[Any]) -> None:
        self._late.discard(late)
        if not late.cancelled():
            late.exception()  # nobody is left to hear of it

    def _do(self, work: Callable[[docker.APIClient], _Result]) -> _Result:
        with translated():
            return work(self._client())

    def _client(self) -> docker.APIClient:
        with self._connecting:
            if self._connection is None:
                self._connection = connect()
            return self._connection


def connect(timeout: int = _CALL_TIMEOUT) -> docker.APIClient:
    """A client of the engine that the environment names. Raises what the SDK raises."""
    return docker.APIClient(**kwargs_from_env(), timeout=timeout, num_pools=_CALLS_AT_ONCE + _PULLS_AT_ONCE)


@contextmanager
def translated() -> Iterator[None]:
    """The one place where the SDK's errors become ours."""
    try:
        yield
    except docker_errors.APIError as error:
        reason = clipped(error.explanation or error, _LONGEST_REASON)
        raise EngineRefused(f'The Docker engine refused: "{reason}".') from error
    except (
        docker_errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise BackendUnavailable(
            "The Docker engine does not answer. Try again in a minute; if it stays so, tell an administrator.",
            detail=clipped(error, _LONGEST_REASON),
        ) from error


def ensure_network(client: docker.APIClient, name: str, labels: Mapping[str, str]) -> str:
    """The gateway's address of the bridge network `name`, made first if it is not there.

    Containers on it cannot reach each other (`enable_icc`). Raises EngineRefused
    for a network without a gateway, NameTaken for one that has the name of the
    hub's own and is another's.
    """
    found = or_none(lambda: client.inspect_network(name))
    if found is None:
        client.create_network(
            name,
            driver="bridge",
            check_duplicate=True,
            labels=dict(labels),
            options={"com.docker.network.bridge.enable_icc": "false"},
        )
    elif name == network_name(labels[HUB]) and not labels.items() <= (found["Labels"] or {}).items():
        raise NameTaken(
            f'A network named "{name}" is there, and it is not of this hub. '
            "It was left as it is; an administrator must remove it, or name another in the catalog (docker.network)."
        )
    for pool in client.inspect_network(name)["IPAM"]["Config"] or ():
        if gateway := pool.get("Gateway"):
            return str(gateway)
    raise EngineRefused(f'The network "{name}" has no gateway. Name a bridge network, or remove it to have one made.')


def or_none(read: Callable[[], _Result]) -> _Result | None:
    """What is read, None for what is not there."""
    try:
        return read()
    except docker_errors.NotFound:
        return None


def _inspect_image(client: docker.APIClient, reference: str) -> dict[str, Any] | None:
    try:
        return or_none(lambda: client.inspect_image(reference))
    except docker_errors.APIError as error:
        if error.status_code == requests.codes.bad_request:
            raise _not_pulled(reference, error.explanation or error) from error
        raise


def _create_container(client: docker.APIClient, name: str, payload: Mapping[str, Any]) -> None:
    try:
        client.create_container_from_config(payload, name)
    except docker_errors.APIError as error:
        if _code(error) == requests.codes.conflict:
            raise NameTaken(f'A container named "{name}" is there already.') from error
        raise


def _create_volume(client: docker.APIClient, name: str, labels: Mapping[str, str]) -> None:
    # A conflict: another server of its owner's makes it at this moment. Docker takes it for done.
    with _unless(requests.codes.conflict):
        client.create_volume(name, labels=dict(labels))


def start_container(client: docker.APIClient, name: str, handed: bytes) -> None:
    """See Engine.start_container."""
    # As the SDK's own call to attach does, which leaves the response open.
    url = f"{client.base_url}/v{client.api_version}/containers/{name}/attach"
    upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
    with client.post(
        url, params={"stdin": 1, "stream": 1}, headers=upgrade, stream=True, timeout=client.timeout
    ) as response:
        stdin = client._get_raw_response_socket(response)  # type: ignore[attr-defined]  # noqa: SLF001
        getattr(stdin, "_sock", stdin).sendall(handed)  # a socket, or what reads from one
        client.start(name)


def _remove_container(client: docker.APIClient, name: str) -> None:
    # A conflict: somebody else's removal of it is under way, which is as good.
    with _unless(requests.codes.not_found, requests.codes.conflict):
        client.remove_container(name, force=True, v=True)


def _signal_container(client: docker.APIClient, name: str, signal: str) -> None:
    # A conflict: it does not run.
    with _unless(requests.codes.not_found, requests.codes.conflict):
        client.kill(name, signal)


@contextmanager
def _unless(*codes: int) -> Iterator[None]:
    """What is refused with one of these codes was done before."""
    try:
        yield
    except docker_errors.APIError as error:
        if _code(error) not in codes:
            raise


def _code(error: docker_errors.APIError) -> int | None:
    """The status that Docker would have given."""
    told = any(words in str(error.explanation) for words in _PODMAN_CONFLICTS)
    code: int | None = requests.codes.conflict if told else error.status_code
    return code


def _pull(client: docker.APIClient, reference: str, told: Callable[[Mapping[str, Any]], None]) -> None:
    repository, tag = parse_repository_tag(reference)
    # The SDK reads the logins once, when it connects; an admin's `docker login` is to count at once.
    client.reload_config()
    try:
        for line in client.pull(repository, tag=tag or "latest", stream=True, decode=True):
            if "error" in line:
                raise _not_pulled(reference, line["error"])
            told(line)
    except docker_errors.APIError as error:
        raise _not_pulled(reference, error.explanation or error) from error
    except docker_errors.DockerException as error:  # a helper that keeps the logins
        raise _not_pulled(reference, error) from error


def _not_pulled(reference: str, reason: object) -> ImageUnavailable:
    said = clipped(reason, _LONGEST_REASON)
    told = diagnosed(said, PULL, reference) or (
        f'The image "{reference}" could not be fetched: "{said}". Choose another image, and tell an administrator.'
    )
    return ImageUnavailable(told, detail=said)


def read_passwd(client: docker.APIClient, image_id: str, labels: Mapping[str, str]) -> str:
    """See Engine.read_passwd."""
    filters = {"label": [f"{key}={value}" for key, value in labels.items()]}
    for left in client.containers(all=True, filters=filters):
        client.remove_container(left["Id"], force=True, v=True)
    payload = {"Image": image_id, "Entrypoint": ["/"], "Cmd": [], "Labels": dict(labels)}
    container = client.create_container_from_config(payload)["Id"]
    try:
        chunks, _ = client.get_archive(container, "/etc/passwd")
        data = b""
        for chunk in chunks:
            data += chunk
            if len(data) > _LONGEST_PASSWD:
                return ""
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            file = archive.extractfile(archive.getmembers()[0])
            return file.read().decode("utf-8", "replace") if file else ""
    except docker_errors.NotFound:
        return ""
    finally:
        client.remove_container(container, force=True, v=True)


def _owner(client: docker.APIClient, name: str, path: str) -> int:
    # The folder is the first entry of its own archive. The SDK's call would have to read on to the end.
    url = f"{client.base_url}/v{client.api_version}/containers/{name}/archive"
    plain = {"Accept-Encoding": "identity"}
    with client.get(url, params={"path": path}, headers=plain, stream=True, timeout=client.timeout) as response:
        response.raise_for_status()
        return tarfile.TarInfo.frombuf(response.raw.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape").uid
