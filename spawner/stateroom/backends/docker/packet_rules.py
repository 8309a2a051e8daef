"""What servers may reach, as rules for the packet filter of the engine's machine: pure.

Servers reach the outside and their hub. They reach no other port of the
machine but a name server's, no metadata service of a cloud, and no other
server. The engine's own name server answers inside a container, but asks the
machine's from there: port 53 is the one exception. Nobody else reaches the hub
at that address. What this machine sends there never leaves it, not even when
the network with that address was removed and packets would follow the machine's
default route.

Three chains serve all hubs on a machine, so that what one hub allows comes
before what any of them refuses, also on a network that two of them use. A
rule's comment tells whose it is, with a digest over all rules of that hub.
Docker leaves DOCKER-USER and INPUT alone when it starts anew, so the rules
stay until the machine does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stateroom.workloads.server import CONNECTIONS_TO_HUB

FORWARD, INPUT, OUTPUT = "STATEROOM-FORWARD", "STATEROOM-INPUT", "STATEROOM-OUTPUT"
_CHAINS = (FORWARD, INPUT, OUTPUT)

_BRIDGE = "com.docker.network.bridge.name"

_REPLIES = "-m conntrack --ctstate RELATED,ESTABLISHED"


@dataclass(frozen=True, slots=True)
class Network:
    """A network of servers, as the engine's machine knows it."""

    name: str
    bridge: str  # its interface on the machine
    gateway: str  # the machine's address on it
    ipv6: bool = False
    hub_container: str = ""  # the address of the hub's container on it, "" where the hub is in none


@dataclass(frozen=True, slots=True)
class Servers:
    """The networks of a hub's servers, and where their hub listens; `address` is "" for a hub in a container.

    A server has a bounded number of connections to the hub, unless the packet filter cannot count them.
    """

    hub: str
    networks: tuple[Network, ...]
    address: str
    port: int
    bounded: bool = True


@dataclass(frozen=True, slots=True)
class Family:
    """A version of the Internet protocol: iptables for it, and where clouds keep their metadata."""

    program: str
    metadata: tuple[str, ...]
    for_ipv6: bool = False


IPV4 = Family("iptables", ("169.254.0.0/16",))
IPV6 = Family("ip6tables", ("fe80::/10", "fd00:ec2::254"), for_ipv6=True)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule looks for, and what becomes of it."""

    chain: str
    match: str
    target: str


def network_from_inspect(found: Mapping[str, Any], container: str = "") -> Network | None:
    """From the engine's description of a network and the id of the hub's container; None if it is no bridge."""
    if found["Driver"] != "bridge":
        return None
    options, pools = found.get("Options") or {}, (found.get("IPAM") or {}).get("Config") or ()
    joined = (found.get("Containers") or {}).get(container) or {}
    return Network(
        name=found["Name"],
        bridge=options.get(_BRIDGE) or bridge_name(found["Id"]),
        gateway=next((pool["Gateway"] for pool in pools if pool.get("Gateway")), ""),
        ipv6=bool(found.get("EnableIPv6")),
        hub_container=joined.get("IPv4Address", "").partition("/")[0],
    )


def bridge_name(network_id: str) -> str:
    """How Docker calls the interface of a network that was given no name for it."""
    return f"br-{network_id[:12]}"


def rules(servers: Servers, family: Family = IPV4) -> list[Rule]:
    """All rules of a hub for one version of the protocol."""
    networks = [network for network in servers.networks if network.ipv6 or not family.for_ipv6]
    bridges = [network.bridge for network in networks]
    own = _rules_of_hub(servers) if servers.address and not family.for_ipv6 else ()
    return [*own, *(rule for network in networks for rule in _rules_of(network, bridges, servers, family))]


def _rules_of_hub(servers: Servers) -> Iterator[Rule]:
    # The port alone: where a hub is no more and its rules are, the address may be anybody's.
    yield Rule(OUTPUT, f"-d {servers.address} ! -o lo -p tcp --dport {servers.port}", "REJECT")
    # A neighbour that has a route through this machine reaches all of its addresses.
    yield Rule(INPUT, f"-d {servers.address} ! -i lo -p tcp --dport {servers.port}", "REJECT")


def _rules_of(network: Network, bridges: Sequence[str], servers: Servers, family: Family) -> Iterator[Rule]:
    server = f"-i {network.bridge}"
    name_server = [f"-p {protocol} --dport 53" for protocol in ("udp", "tcp")]

    # To the machine. RETURN leaves the matter to the machine's own rules.
    yield Rule(INPUT, f"{server} {_REPLIES}", "RETURN")
    if servers.address and not family.for_ipv6:
        yield Rule(INPUT, f"{server} -d {servers.address} {_to_hub(servers)}", "ACCEPT")
    for port in name_server:
        yield Rule(INPUT, f"{server} {port}", "RETURN")
    if family.for_ipv6:
        yield Rule(INPUT, f"{server} -p ipv6-icmp", "RETURN")  # how neighbours find each other
    yield Rule(INPUT, server, "REJECT")

    # Through the machine.
    if network.hub_container and not family.for_ipv6:
        within, hub = f"{server} -o {network.bridge}", network.hub_container
        yield Rule(FORWARD, f"{within} -s {hub}", "ACCEPT")
        yield Rule(FORWARD, f"{within} -d {hub} {_REPLIES}", "ACCEPT")
        yield Rule(FORWARD, f"{within} -d {hub} {_to_hub(servers)}", "ACCEPT")
        yield Rule(FORWARD, f"-d {hub} ! -o {network.bridge} -p tcp --dport {servers.port}", "REJECT")
    for service in family.metadata:
        # Some clouds have their name server at the address of their metadata.
        for port in name_server:
            yield Rule(FORWARD, f"{server} -d {service} {port}", "RETURN")
        yield Rule(FORWARD, f"{server} -d {service}", "REJECT")
    for other in bridges:
        yield Rule(FORWARD, f"{server} -o {other}", "REJECT")
    # A port of the machine that leads to somebody else's container.
    yield Rule(FORWARD, f"{server} -m conntrack --ctstate DNAT", "REJECT")


def _to_hub(servers: Servers) -> str:
    """A connection of a server to its hub, one of few: one server could use up all that the hub may have."""
    few = f" -m connlimit --connlimit-upto {CONNECTIONS_TO_HUB} --connlimit-mask 32" if servers.bounded else ""
    return f"-p tcp --dport {servers.port}{few}"


def change(saved: str, hub: str, wanted: Sequence[Rule]) -> str:
    """What `iptables-restore --noflush` must be given, so that `hub` has the wanted rules and no others.

    `saved` is what `iptables-save -t filter` printed. Nothing wanted and
    nothing there gives "". Rules of other hubs stay as they are; chains go
    with the last rule in them.
    """
    lines = saved.splitlines()
    ours = _ours(lines, hub)
    if not ours and not wanted:
        return ""
    hooks = [line for line in lines if line.startswith("-A ") and line.endswith(tuple(f"-j {one}" for one in _CHAINS))]
    others = [line for line in lines if line.startswith(tuple(f"-A {one} " for one in _CHAINS)) and line not in ours]
    there = [chain for chain in _CHAINS if _has_chain(lines, chain)]
    return _restoring(
        # -N fails where a hub that starts at this very moment was first, while declaring the chain would empty it.
        *(f"-N {chain}" for chain in _CHAINS if chain not in there and wanted),
        *(f"-D {line.removeprefix('-A ')}" for line in (*ours, *hooks)),
        *(_put(rule, comment(hub, wanted)) for rule in wanted),
        *(_hooks(lines) if wanted or others else (f"-X {chain}" for chain in there)),
    )


def is_in_force(saved: str, hub: str, wanted: Sequence[Rule]) -> bool:
    """Whether a table has the wanted rules of the hub and no others, and packets come to them."""
    lines = saved.splitlines()
    ours = _ours(lines, hub)
    current = [line for line in ours if f'--comment "{comment(hub, wanted)}"' in line]
    hooks = {hook.replace("-I", "-A", 1) for hook in _hooks(lines)} if wanted else set()
    return len(ours) == len(current) == len(wanted) and hooks.issubset(lines)


def comment(hub: str, wanted: Sequence[Rule]) -> str:
    """What stands at each rule of the hub; iptables prints rules in other words than it was given."""
    content = "\n".join(f"{rule.chain} {rule.match} {rule.target}" for rule in wanted)
    return f"{_owner(hub)} {hashlib.sha256(content.encode()).hexdigest()[:8]}"


def _ours(lines: Sequence[str], hub: str) -> list[str]:
    return [line for line in lines if line.startswith("-A ") and f'--comment "{_owner(hub)} ' in line]


def _owner(hub: str) -> str:
    return f"stateroom hub {hub}"


def _put(rule: Rule, words: str) -> str:
    where = "-A" if rule.target == "REJECT" else "-I"
    return f'{where} {rule.chain} {rule.match} -m comment --comment "{words}" -j {rule.target}'


def _hooks(lines: Sequence[str]) -> list[str]:
    """Where packets come to our chains: before the machine's own rules, and before Docker's.

    DOCKER-USER alone would do, but Docker 20.10 takes it out of FORWARD while
    it makes a network. FORWARD alone would too, until Docker puts rules before ours.
    """
    before = [("INPUT", INPUT), ("OUTPUT", OUTPUT), ("FORWARD", FORWARD)]
    before += [("DOCKER-USER", FORWARD)] if _has_chain(lines, "DOCKER-USER") else []
    return [f"-I {chain} -j {ours}" for chain, ours in before]


def _has_chain(lines: Sequence[str], chain: str) -> bool:
    return any(line.startswith(f":{chain} ") for line in lines)


def _restoring(*lines: str) -> str:
    return "\n".join(("*filter", *lines, "COMMIT", ""))
