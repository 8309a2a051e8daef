"""The checks of `stateroom doctor` on the hub and the proxy that a chart runs, made from the hub's pod."""

from __future__ import annotations

from collections.abc import Iterator

import requests

from stateroom.operations.checks.findings import Finding, fail, ok, skipped
from stateroom.operations.checks.installation import Check
from stateroom.operations.local.pod_folder import Pod

_SECONDS = 5.0

# All routes are many, and one cannot be asked for where it is the hub's: so those that nobody used since this century.
_FEW_ROUTES = "/api/routes?inactive_since=2000-01-01T00:00:00Z"


def pods_of_a_chart(pod: Pod) -> tuple[Check, ...]:
    """Return checks of the addresses that the chart sets."""
    return (Check("Hub", lambda _: _hub(pod)), Check("Proxy", lambda _: _proxy(pod)))


def _hub(pod: Pod) -> Iterator[Finding]:
    if not pod.hub_url:
        yield skipped("STATEROOM_HUB_URL is not set")
        return
    where = f"{pod.hub_url}, where servers and the proxy ask it"
    # With a `base_url` of the admin's own, that page is elsewhere; the hub says so itself.
    if 0 < _status(f"{pod.hub_url}/hub/health") < requests.codes.server_error:
        yield ok(f"answers at {where}")
    else:
        yield fail(f"does not answer at {where}", "See what `kubectl logs` says of the hub's pod.")


def _proxy(pod: Pod) -> Iterator[Finding]:
    if not pod.proxy_api_url:
        yield skipped("STATEROOM_PROXY_API_URL is not set")
        return
    where = f"at {pod.proxy_api_url}, where the hub asks it"
    match _status(f"{pod.proxy_api_url}{_FEW_ROUTES}", pod.proxy_token):
        case requests.codes.ok:
            yield ok(f"answers {where}")
        case requests.codes.forbidden:
            yield fail(
                f"answers {where}, but does not take the hub's token",
                "Restart hub and proxy, so that both have the CONFIGPROXY_AUTH_TOKEN of the same Secret.",
            )
        case _:
            yield fail(f"does not answer {where}", "See what `kubectl logs` says of the proxy's pod.")


def _status(url: str, token: str = "") -> int:
    """Return the final HTTP status, or 0 without an answer. Ignores proxies that the environment names."""
    with requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": f"token {token}"} if token else {}
        try:
            return session.get(url, headers=headers, timeout=_SECONDS).status_code
        except requests.RequestException:
            return 0
