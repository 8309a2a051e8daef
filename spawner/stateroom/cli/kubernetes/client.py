"""A cluster for commands, which do one thing after the other: a loop on a thread of its own, asked and waited for."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from stateroom.backends.kubernetes.cluster import Cluster, kubeconfig_in_use
from stateroom.errors import BackendUnavailable, EngineRefused, SetupError
from stateroom.wording import clipped

_CLOSING_SECONDS = 5.0

_Result = TypeVar("_Result")


class Client:
    """A cluster that answers."""

    def __init__(self, cluster: Cluster, loop: asyncio.AbstractEventLoop, kubeconfig: str) -> None:
        self.cluster = cluster
        self.kubeconfig = kubeconfig
        self._loop = loop

    @property
    def namespace(self) -> str:
        """The servers' namespace."""
        return self.cluster.namespace

    def ask(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """What `work` returns. Raises SetupError where no answer comes, and what `work` raises."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except BackendUnavailable as error:
            # What its message goes on with is for users who wait for a server.
            fact = error.message.partition(". ")[0]
            why = f': "{clipped(error.detail)}"' if error.detail else ""
            raise SetupError(f"{fact}{why}. {self._hint()}") from error

    @property
    def kubectl(self) -> str:
        """How kubectl is told of this cluster."""
        return f"kubectl --kubeconfig {self.kubeconfig}" if self.kubeconfig else "kubectl"

    def _hint(self) -> str:
        return f"See what `{self.kubectl} cluster-info` says, or name another cluster with KUBECONFIG."


@contextmanager
def connected(namespace: str, kept: str = "") -> Iterator[Client]:
    """A cluster that answers: that of KUBECONFIG, else of the file of the last run. Raises SetupError."""
    kubeconfig = chosen_kubeconfig(kept)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    cluster = Cluster(namespace, kubeconfig)
    try:
        client = Client(cluster, loop, kubeconfig)
        client.ask(cluster.at("/version"))
        yield client
    finally:
        asyncio.run_coroutine_threadsafe(cluster.close(), loop).result(_CLOSING_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSING_SECONDS)
        loop.close()


@contextmanager
def refusals_told() -> Iterator[None]:
    """Turns what the cluster refuses into a sentence for an administrator."""
    try:
        yield
    except EngineRefused as error:
        raise SetupError(
            f'The cluster refused: "{clipped(error.message)}". `stateroom doctor` names the rights that are missing.'
        ) from error


def chosen_kubeconfig(kept: str) -> str:
    """The file or files by their whole names, since the hub runs in another folder; "" for the account of a pod."""
    joined = kept if kept and "KUBECONFIG" not in os.environ else kubeconfig_in_use()
    if not joined:
        return ""
    files = [Path(name).expanduser().absolute() for name in joined.split(os.pathsep) if name]
    if not any(file.is_file() for file in files):
        raise SetupError(
            f"There is no kubeconfig at {os.pathsep.join(map(str, files))}. Set KUBECONFIG to the file that names "
            "your cluster."
        )
    return os.pathsep.join(map(str, files))
