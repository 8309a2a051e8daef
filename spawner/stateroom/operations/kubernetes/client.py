"""A blocking client of a cluster, for operations that do one thing after the other. Runs a loop on its own thread."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from stateroom.backends.kubernetes.api import Cluster, kubeconfig_in_use
from stateroom.common.errors import BackendUnavailable, EngineRefused, SetupError
from stateroom.common.text import clipped

_CLOSING_SECONDS = 5.0

_Result = TypeVar("_Result")


class Client:
    """A cluster that has answered."""

    def __init__(self, cluster: Cluster, loop: asyncio.AbstractEventLoop, kubeconfig: str) -> None:
        self.cluster = cluster
        self.kubeconfig = kubeconfig
        self._loop = loop

    @property
    def namespace(self) -> str:
        """The servers' namespace."""
        return self.cluster.namespace

    def ask(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Return what `work` returns. Raises SetupError if the cluster does not answer, and whatever `work` raises."""
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except BackendUnavailable as error:
            # What its message goes on with is for users who wait for a server.
            fact = error.message.partition(". ")[0]
            why = f': "{clipped(error.detail)}"' if error.detail else ""
            raise SetupError(f"{fact}{why}. {self._hint()}") from error

    @property
    def kubectl(self) -> str:
        """The command line of kubectl for this cluster."""
        return f"kubectl --kubeconfig {self.kubeconfig}" if self.kubeconfig else "kubectl"

    def _hint(self) -> str:
        return f"See what `{self.kubectl} cluster-info` says, or name another cluster with KUBECONFIG."


@contextmanager
def connected(namespace: str, kept: str = "") -> Iterator[Client]:
    """Connect to the cluster of KUBECONFIG, else of the last run's file. Raises SetupError if it does not answer."""
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
def refusals_translated() -> Iterator[None]:
    """Turn a cluster's refusal into a SetupError with a sentence for an administrator."""
    try:
        yield
    except EngineRefused as error:
        raise SetupError(
            f'The cluster refused: "{clipped(error.message)}". `stateroom doctor` names the rights that are missing.'
        ) from error


def chosen_kubeconfig(kept: str) -> str:
    """Return absolute paths, since the hub runs in another folder, or "" for the service account of a pod."""
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
