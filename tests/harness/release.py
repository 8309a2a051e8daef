"""A release of the chart in the real cluster, and the people who use it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import requests

from harness.helm import CHART, Json, helm
from harness.hub import Person, wait_for
from harness.pods import Pods, core, kubectl, namespace_of_its_own

# Long enough for the authenticator's rules; an administrator's is longer still.
PASSWORD = "correct horse battery"
AUTHENTICATOR: Json = {
    "JupyterHub": {"authenticator_class": "shared-password"},
    "SharedPasswordAuthenticator": {"user_password": PASSWORD, "admin_password": f"{PASSWORD}, and many more words"},
    "Authenticator": {"allow_all": True, "admin_users": ["root"]},
}
SMALL: Json = {"user_options": {"size": "small"}}
_READY = "--wait", "--timeout=180s"


class Release:
    """One release. Its people need no account."""

    def __init__(self, name: str, namespace: str, servers: str = "") -> None:
        self.name = name
        self.namespace = namespace
        self.pods = Pods(f"{namespace}.{name}", servers or namespace)
        self._people = count(1)

    @property
    def url(self) -> str:
        """Where the proxy's Service is; this machine reaches addresses of services."""
        service = core().read_namespaced_service(f"{self.name}-proxy", self.namespace)
        return f"http://{service.spec.cluster_ip}"

    def apply(self, values: Json | None = None, *options: str, chart: Path = CHART) -> str:
        """Install or upgrade to these values with the tests' authenticator, and wait until all runs; Helm's words.

        The images are in the cluster, so that the hook that brings them is left out unless it is asked for.
        """
        with_login: dict[str, Any] = {"prepull": {"hook": False}, **(values or {})}
        hub = dict(with_login.get("hub", {}))
        with_login["hub"] = {**hub, "config": {**AUTHENTICATOR, **hub.get("config", {})}}
        return self.helm("upgrade", "--install", self.name, str(chart), *_READY, *options, values=with_login)

    def helm(self, *words: str, values: Json | None = None) -> str:
        """Run Helm in the release's namespace."""
        return helm(*words, f"--namespace={self.namespace}", values=values)

    def kubectl(self, *words: str) -> str:
        """What a command prints."""
        return kubectl("--namespace", self.namespace, *words)

    def person(self, name: str = "") -> Person:
        """Somebody new."""
        return Person(self, name or f"person{next(self._people)}", PASSWORD)

    def log(self) -> str:
        """The hub's log."""
        return self.kubectl("logs", f"deployment/{self.name}-hub", "--tail=300")

    def pod(self, part: str) -> Any:
        """The pod of the hub or the proxy, the newest where one takes another's place, None where there is none."""
        selector = f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={part}"
        pods = core().list_namespaced_pod(self.namespace, label_selector=selector).items
        return max(pods, key=lambda pod: pod.metadata.creation_timestamp, default=None)

    def objects(self) -> set[tuple[str, str]]:
        """Everything that is in the namespace, by kind and name."""
        kinds = (
            "pods,jobs,daemonsets,deployments,services,configmaps,secrets,persistentvolumeclaims,"
            "serviceaccounts,roles,rolebindings,networkpolicies,ingresses,poddisruptionbudgets"
        )
        found = json.loads(self.kubectl("get", kinds, "--output=json"))["items"]
        return {(one["kind"], one["metadata"]["name"]) for one in found}

    def answers(self) -> bool:
        """Whether the hub answers through the proxy."""
        try:
            return requests.get(f"{self.url}/hub/api/", timeout=5).ok
        except requests.RequestException:
            return False

    def wait_until_answers(self) -> None:
        """Wait for the hub's answer."""
        wait_for(self.answers, "the hub behind its proxy")


@contextmanager
def release_of_its_own(servers: str = "") -> Iterator[Release]:
    """A release yet to be installed, in a namespace that admits restricted pods alone and goes with all in it.

    `servers` is the namespace of its servers, where that is another.
    """
    with namespace_of_its_own() as namespace:
        yield Release("hub", namespace, servers)
