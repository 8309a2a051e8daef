"""Somebody takes the servers' network apart at twenty moments: all is whole again, and nothing leaves the machine."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests
from docker.errors import APIError

from harness.figures import Told
from harness.hub import Hub, Person, free_port, wait_for
from harness.leaks import leaks_to
from harness.looker import Looker
from harness.outside import NEXT_HOP, OUTSIDE, outside, packet_rules
from stateroom.backends.docker.network_keeper import NetworkKeeper
from stateroom.backends.docker.packet_filter import lift_isolation
from stateroom.catalog.load import load_catalog
from stateroom.workloads.names import network_name

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may write packet rules")


def removed(hub: Hub, _person: Person) -> None:
    """As `docker network rm` does, once everything was disconnected from it."""
    network = hub.servers.engine.networks.get(network_name(hub.id))
    network.reload()
    for container in network.attrs["Containers"]:
        with contextlib.suppress(APIError):  # it has ended meanwhile
            network.disconnect(container, force=True)
    with contextlib.suppress(APIError):  # a start has put another one on it
        network.remove()


def disconnected(hub: Hub, person: Person) -> None:
    network = hub.servers.engine.networks.get(network_name(hub.id))
    for container in hub.servers.of(person.name):
        with contextlib.suppress(APIError):
            network.disconnect(container, force=True)


def flushed(hub: Hub, _person: Person) -> None:
    lift_isolation(hub.servers.engine.api, hub.id, ())


def beside(hub: Hub, _person: Person) -> None:
    """Another hub makes its network and rules, and takes them away."""
    other = NetworkKeeper(f"{hub.id}-beside", lambda: load_catalog(hub.catalog), free_port())
    place, _ = other.make()
    lift_isolation(hub.servers.engine.api, f"{hub.id}-beside", place.images)
    hub.servers.engine.networks.get(network_name(f"{hub.id}-beside")).remove()


def idle(hub: Hub, person: Person, act: Callable[[], None]) -> None:  # noqa: ARG001 - as the others
    act()


def during_a_start(hub: Hub, person: Person, act: Callable[[], None]) -> None:  # noqa: ARG001 - as the others
    assert person.start(server="more").status_code in {201, 202}
    act()


def during_a_stop(hub: Hub, person: Person, act: Callable[[], None]) -> None:  # noqa: ARG001 - as the others
    assert person.api("DELETE", f"users/{person.name}/server").status_code in {202, 204}
    act()


def during_a_restart(hub: Hub, person: Person, act: Callable[[], None]) -> None:  # noqa: ARG001 - as the others
    hub.interrupt()
    act()
    hub.up()


def after_a_restart(hub: Hub, person: Person, act: Callable[[], None]) -> None:  # noqa: ARG001 - as the others
    hub.interrupt()
    hub.up()
    act()


@contextmanager
def led_outside(address: str) -> Iterator[None]:
    """The hub's address leads to another machine, as by a default route, wherever it is not this machine's own."""
    subprocess.run(["ip", "route", "add", f"{address}/32", "via", NEXT_HOP], check=True, timeout=60)
    try:
        yield
    finally:
        subprocess.run(["ip", "route", "delete", f"{address}/32", "via", NEXT_HOP], check=False, timeout=60)


@pytest.mark.parametrize("moment", [idle, during_a_start, during_a_stop, during_a_restart, after_a_restart])
@pytest.mark.parametrize("harm", [removed, disconnected, flushed, beside])
def test_the_network_is_whole_again_and_nothing_leaves_the_machine(
    hub: Hub,
    told: Told,
    moment: Callable[[Hub, Person, Callable[[], None]], None],
    harm: Callable[[Hub, Person], None],
) -> None:
    person = hub.person()
    person.started()
    rules = sorted(packet_rules(hub.id))
    network = hub.servers.engine.networks.get(network_name(hub.id))
    address = network.attrs["IPAM"]["Config"][0]["Gateway"]
    with outside(address), led_outside(address), leaks_to(address, OUTSIDE) as leaks:
        with Looker(f"{hub.url}/hub/login").looking() as visitor:
            moment(hub, person, lambda: harm(hub, person))
            wait_for(lambda: len(packet_rules(hub.id)) == len(rules), "the rules")
            wait_for(lambda: requests.get(f"{hub.url}/hub/login", timeout=10).ok, "the login page")
            wait_for(lambda: works(person), "the person's server, or a new one")
        told(f"{harm.__name__}, {moment.__name__.replace('_', ' ')}: no login page for {visitor.gap:.1f} s.")
    assert leaks == []
    person.close()


def works(person: Person) -> bool:
    """Whether the person's server is reached through the proxy; one that has ended is started again."""
    found = person.server()
    if found is None:
        person.start()
        return False
    return bool(found["ready"]) and person.reaches_server()


def test_a_packet_that_leaves_is_seen() -> None:
    address = "10.231.78.1"  # of nobody's
    with outside(address), led_outside(address), leaks_to(address, OUTSIDE) as leaks:
        with contextlib.suppress(OSError):
            socket.create_connection((address, 80), timeout=5).close()
        wait_for(lambda: leaks, "the packet", 10)
