"""What goes wrong on Kubernetes elsewhere, and must not here: each item of research/peers.md, §3 and §4.

`COVERED` names the tests for the items that other files hold; the tests here
are those that no other file has. How long a start takes beside KubeSpawner's is
in the benchmark, and what ten thousand servers cost in the scale test.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from contract.engines import KubernetesSubject, make_spec, start
from harness.api_proxy import ApiProxy
from harness.pods import core, inside, tiny_image
from harness.workloads import changed
from stateroom.backends.base import Life
from stateroom.backends.kubernetes import pod_start as pending
from stateroom.common.deadline import Deadline

TESTS = Path(__file__).parents[1]

COVERED = {
    "§3 all events of the namespace are watched": (
        "kubernetes/test_api_faults.py::test_only_events_of_own_slow_starts_are_heard"
    ),
    "§3 a progress page goes through all events each second": (
        "unit/test_pending.py::test_a_slow_start_asks_for_the_events_of_its_own_pod_and_no_others"
    ),
    "§3 everything is listed again every ten seconds": (
        "kubernetes/test_api_faults.py::test_idle_servers_cost_the_cluster_one_watch_and_no_list"
    ),
    "§3 a list has no pages": "unit/test_cluster_calls.py::test_a_list_is_read_in_pages_to_its_end",
    "§3 a list is parsed at once, and the loop stalls": (
        "unit/test_cluster_calls.py::test_the_loop_turns_while_a_watch_has_much_to_tell"
    ),
    "§3 a slow list holds up the hub": "kubernetes/test_api_faults.py::test_a_slow_list_holds_nobody_up_for_ever",
    "§3 a start with internal TLS deletes, reads and creates each object": (
        "kubernetes/test_internal_ssl.py::test_a_server_with_a_certificate_works_from_its_start_through_a_restart_of_the_hub"
    ),
    "§4 a name's 32 bits of a digest can be met": "unit/test_names.py::test_of_many_names_none_meet",
    "§4 a pod is adopted without a look at its owner": (
        "kubernetes/test_told_in_seconds.py::test_a_pod_of_somebody_else_under_the_servers_name"
    ),
    "§4 a claim is mounted without a look at its owner": (
        "kubernetes/test_told_in_seconds.py::test_a_claim_of_somebody_else"
    ),
    "§4 hostile user and server names": (
        "kubernetes/test_servers_in_pods.py::test_the_cluster_takes_what_is_made_for_hostile_names"
    ),
    "§4 an unknown or misshapen choice is an error 500": (
        "hub/test_refusals.py::test_over_rest_it_is_a_400_with_a_sentence"
    ),
    "§4 a link starts a server": "hub/test_refusals.py::test_a_link_fills_in_the_form_and_starts_nothing",
    "§4 the token is in the pod": (
        "kubernetes/test_servers_in_pods.py::test_no_secret_is_in_a_pod_an_event_or_what_describes_them"
    ),
    "§4 a pod or Secret that is refused is logged with its secrets": (
        "kubernetes/test_api_faults.py::test_a_refusal_puts_no_secret_into_the_log"
    ),
    "§4 the hub may read all Secrets": (
        "kubernetes/test_cli.py::test_the_hubs_account_may_do_what_the_table_says_and_nothing_else"
    ),
    "§4 no capability is dropped, no seccomp, no word on root": (
        "kubernetes/test_servers_in_pods.py::test_a_server_is_confined"
    ),
    "§4 a privileged container comes first": (
        "unit/test_manifests.py::test_every_pod_passes_the_restricted_security_standard"
    ),
    "§4 a leftover pod of the name": "contract/test_servers.py::test_a_start_replaces_what_is_left_of_the_last",
    "§4 a start that failed leaves its pod": (
        "contract/test_servers.py::test_a_silent_server_is_given_up_at_the_deadline"
    ),
    "§4 a hub that crashes in mid-start": "faults/test_cluster_in_trouble.py::test_a_hub_is_killed",
    "§4 a cluster away at the hub's start makes it forget every server": (
        "kubernetes/test_api_faults.py::test_a_hub_that_comes_up_while_the_cluster_is_away_says_so"
    ),
    "§4 410 leads to lists with a growing pause": (
        "kubernetes/test_api_faults.py::test_a_version_that_the_cluster_has_forgotten_leads_to_one_new_list"
    ),
    "§4 one answer of 500 counts as an end": "kubernetes/test_api_faults.py::test_an_error_says_nothing_about_servers",
    "§4 the watch ends for ever after half a minute of errors": (
        "kubernetes/test_api_faults.py::test_the_watch_never_gives_up"
    ),
    "§4 a dead watch says running for ever, to starts and stops too": (
        "kubernetes/test_api_faults.py::test_servers_start_and_stop_while_the_watch_is_silent"
    ),
    "§4 an image that cannot be had is waited for until the timeout": (
        "kubernetes/test_told_in_seconds.py::test_an_image_that_its_registry_has_not"
    ),
    "§4 running out of memory is told as an exit code": (
        "kubernetes/test_servers_in_pods.py::test_an_end_for_want_of_memory_is_told_as_such"
    ),
}


def soon() -> Deadline:
    return Deadline.after(60, "waiting for the server to answer")


@pytest.mark.parametrize("where", COVERED.values(), ids=COVERED)
def test_an_item_has_its_test_elsewhere(where: str) -> None:
    file, _, name = where.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text(), re.MULTILINE)


async def test_s3_a_poll_asks_the_cluster_nothing(proxied: KubernetesSubject, proxy: ApiProxy) -> None:
    spec = make_spec(proxied)
    await start(proxied, spec)
    before = len(proxy.requests)
    for _ in range(1000):
        assert (await proxied.backend.servers.state(spec.ref)).life is Life.RUNNING
    assert [str(request) for request in proxy.requests[before:] if request.verb != "watch"] == []


async def test_s3_a_start_asks_the_cluster_four_things(proxied: KubernetesSubject, proxy: ApiProxy) -> None:
    """KubeSpawner asks one, and puts the token where everybody who may see pods reads it."""
    spec = make_spec(proxied)
    await start(proxied, spec)  # the home is made, and proven
    await proxied.backend.servers.stop(spec.ref, soon())
    before = len(proxy.requests)
    await start(proxied, spec)
    asked = [f"{one.verb} {one.resource}" for one in proxy.requests[before:]]
    assert [one for one in asked if one not in {"watch pods", "watch events"}] == [
        "get persistentvolumeclaims",
        "create pods",
        "create secrets",
        "patch pods",
    ]


async def test_s3_the_watch_ends_the_wait_and_no_clock(
    subject: KubernetesSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KubeSpawner looks again after pauses that grow, twice in a row."""
    monkeypatch.setattr(pending, "_LOOK_AGAIN", 600.0)
    async with asyncio.timeout(30):
        await start(subject, make_spec(subject))


async def test_s3_a_server_has_the_time_to_save_its_work(subject: KubernetesSubject) -> None:
    """KubeSpawner kills it after a second."""
    script = (
        'mkdir -p "/tmp/www$JUPYTERHUB_SERVICE_PREFIX"; echo "{}" >"/tmp/www${JUPYTERHUB_SERVICE_PREFIX}api"; '
        'trap "sleep 4; echo saved >$JUPYTERHUB_ROOT_DIR/work; exit 0" TERM; httpd -f -p 8888 -h /tmp/www & wait'
    )
    slow = tiny_image("saves-its-work", "/bin/sh", "-c", script)
    spec = make_spec(subject, image=slow)
    await start(subject, spec)
    await subject.backend.servers.stop(spec.ref, soon())
    assert core().list_namespaced_pod(subject.namespace).items == []
    await start(subject, spec)
    assert inside(subject.namespace, spec.ref, 'cat "$JUPYTERHUB_ROOT_DIR/work"') == "saved\n"


async def test_s4_what_looks_like_a_template_reaches_the_server_as_it_is(subject: KubernetesSubject) -> None:
    """KubeSpawner formats it in the hub, where `{username:>200000000}` takes 200 MB."""
    hostile = "{userid.__class__} {nokey} {username:>200000000} $(JUPYTERHUB_API_TOKEN) $JUPYTERHUB_API_TOKEN {{x}} %s"
    spec = make_spec(subject)
    spec = changed(spec, environment={**spec.container.environment, "WORDS": hostile})
    await start(subject, spec)
    assert inside(subject.namespace, spec.ref, 'printf "%s" "$WORDS"') == hostile
