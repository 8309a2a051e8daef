"""Packet rules: from facts of networks to what iptables is given, against golden files.

`STATEROOM_UPDATE_GOLDEN=1` writes the files anew; read the difference before committing it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from stateroom.backends.docker.packet_rules import (
    IPV4,
    IPV6,
    Family,
    Network,
    Servers,
    change,
    is_in_force,
    network_from_inspect,
    rules,
)

CASES = Path(__file__).parents[1] / "data" / "isolation"
NETWORK = Network("stateroom-net", "br-0123456789ab", "172.18.0.1")
RESEARCH = Network("research", "br-research", "172.19.0.1")
SERVERS = Servers("lab", (NETWORK,), "172.18.0.1", 20001)
INSPECTED = {
    "Name": "stateroom-net",
    "Id": "0123456789ab" + "f" * 52,
    "Driver": "bridge",
    "EnableIPv6": False,
    "IPAM": {"Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
    "Options": {},
    "Containers": {},
}

# A machine with Docker and nothing of ours.
BARE = """\
*filter
:INPUT ACCEPT [12:3456]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER-USER - [0:0]
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j RETURN
COMMIT
"""


def on_machine(saved: str, text: str) -> str:
    """The table after iptables-restore: enough of it for what is asked here."""
    tables: dict[str, list[str]] = {}
    for line in saved.splitlines():
        if line.startswith(":"):
            tables[line[1:].split()[0]] = []
        elif line.startswith("-A "):
            tables[line.split()[1]].append(line.split(" ", 2)[2])
    for line in text.splitlines():
        verb, chain, rule = [*line.split(" ", 2), "", ""][:3]
        if verb == "-N":
            assert chain not in tables
            tables[chain] = []
        elif verb == "-X":
            assert tables.pop(chain) == []
        elif verb == "-D":
            tables[chain].remove(rule)
        elif verb == "-A":
            tables[chain].append(rule)
        elif verb == "-I":
            tables[chain].insert(0, rule)
    lines = [f":{chain} - [0:0]" for chain in tables]
    return "\n".join([*lines, *(f"-A {chain} {rule}" for chain, found in tables.items() for rule in found)])


@pytest.mark.parametrize(
    ("case", "servers", "family"),
    [
        ("one-network", SERVERS, IPV4),
        ("two-networks", replace(SERVERS, networks=(NETWORK, RESEARCH)), IPV4),
        (
            "hub-in-container",
            replace(SERVERS, networks=(replace(NETWORK, hub_container="172.18.0.5"),), address="", port=8081),
            IPV4,
        ),
        ("ipv6", replace(SERVERS, networks=(replace(NETWORK, ipv6=True), RESEARCH)), IPV6),
    ],
)
def test_rules_are_the_golden_ones(case: str, servers: Servers, family: Family) -> None:
    text = change(BARE, servers.hub, rules(servers, family))
    golden = CASES / f"{case}.rules"
    if os.environ.get("STATEROOM_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_what_is_allowed_comes_before_what_any_hub_refuses() -> None:
    other = replace(SERVERS, hub="lab-2", port=20002)
    saved = on_machine(BARE, change(BARE, "lab", rules(SERVERS)))
    saved = on_machine(saved, change(saved, "lab-2", rules(other)))
    targets = [line.rpartition(" ")[2] for line in saved.splitlines() if line.startswith("-A STATEROOM-INPUT")]
    assert targets == sorted(targets, key=lambda target: target == "REJECT")
    assert is_in_force(saved, "lab", rules(SERVERS))
    assert is_in_force(saved, "lab-2", rules(other))


def test_of_two_hubs_each_removes_its_own_and_the_last_one_the_chains() -> None:
    other = replace(SERVERS, hub="lab-2")
    alone = on_machine(BARE, change(BARE, "lab", rules(SERVERS)))
    both = on_machine(alone, change(alone, "lab-2", rules(other)))
    assert on_machine(both, change(both, "lab-2", ())) == alone
    bare = on_machine(alone, change(alone, "lab", ()))
    assert bare == on_machine(BARE, "")


def test_where_nothing_is_there_nothing_is_removed() -> None:
    assert change(BARE, "lab", ()) == ""


def test_again_replaces_all_and_leaves_one_set() -> None:
    once = on_machine(BARE, change(BARE, "lab", rules(SERVERS)))
    again = on_machine(once, change(once, "lab", rules(SERVERS)))
    assert sorted(again.splitlines()) == sorted(once.splitlines())
    moved = rules(replace(SERVERS, port=20003))
    assert not is_in_force(once, "lab", moved)
    after = on_machine(once, change(once, "lab", moved))
    assert is_in_force(after, "lab", moved)
    assert "20001" not in after


def test_without_a_chain_of_dockers_the_machines_own_is_enough() -> None:
    without = "".join(line for line in BARE.splitlines(keepends=True) if "DOCKER-USER" not in line)
    saved = on_machine(without, change(without, "lab", rules(SERVERS)))
    assert "-A FORWARD -j STATEROOM-FORWARD" in saved
    assert is_in_force(saved, "lab", rules(SERVERS))


@pytest.mark.parametrize(
    "missing",
    [
        "INPUT -j STATEROOM-INPUT",
        "OUTPUT -j STATEROOM-OUTPUT",
        "FORWARD -j STATEROOM-FORWARD",
        "DOCKER-USER -j STATEROOM-FORWARD",
    ],
)
def test_rules_that_no_packet_comes_to_are_not_in_force(missing: str) -> None:
    saved = on_machine(BARE, change(BARE, "lab", rules(SERVERS)))
    assert is_in_force(saved, "lab", rules(SERVERS))
    assert not is_in_force(saved.replace(f"-A {missing}", ""), "lab", rules(SERVERS))


class TestNetworks:
    def test_the_bridge_is_named_for_the_network(self) -> None:
        assert network_from_inspect(INSPECTED) == NETWORK

    def test_or_as_its_maker_wanted(self) -> None:
        options = {"com.docker.network.bridge.name": "lab0"}
        found = network_from_inspect(INSPECTED | {"Options": options, "EnableIPv6": True})
        assert found == replace(NETWORK, bridge="lab0", ipv6=True)

    def test_the_hubs_container_has_an_address_on_it(self) -> None:
        containers = {"abc": {"IPv4Address": "172.18.0.5/16"}, "def": {"IPv4Address": "172.18.0.6/16"}}
        found = network_from_inspect(INSPECTED | {"Containers": containers}, "abc")
        assert found == replace(NETWORK, hub_container="172.18.0.5")

    def test_what_is_no_bridge_has_no_rules(self) -> None:
        assert network_from_inspect(INSPECTED | {"Driver": "macvlan"}) is None
