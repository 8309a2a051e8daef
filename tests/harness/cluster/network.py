"""The cluster's network namespace, and its cable to this machine."""

from __future__ import annotations

from pathlib import Path

from harness.cluster.programs import quietly, run
from harness.cluster.settings import DNS, HOST, LINK, NODE, PODS, SERVICES, SPACE, ClusterError

# Packets of pods that leave for elsewhere, and what comes back.
_WAY_OUT = (
    ("filter", "FORWARD", "-i", LINK, "-j", "ACCEPT"),
    ("filter", "FORWARD", "-o", LINK, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"),
    ("nat", "POSTROUTING", "-s", PODS, "!", "-o", LINK, "-j", "MASQUERADE"),
)


def make_network(folder: Path) -> None:
    """The namespace and its cable. Its name tells whose it is."""
    if (owner := network_owner()) == folder:
        return
    if owner:
        command = f"python tests/harness/cluster down {owner}"
        raise ClusterError(f"a test cluster runs from {owner} already; end it with: {command}")
    remove_network()
    _ip("netns", "add", SPACE)
    _ip("link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", SPACE)
    inside = ("-n", SPACE)
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "address", "add", f"{DNS}/32", "dev", "lo")
    _ip(*inside, "address", "add", f"{NODE}/24", "dev", "eth0")
    _ip(*inside, "link", "set", "eth0", "up")
    _ip("address", "add", f"{HOST}/24", "dev", LINK)
    _ip("link", "set", LINK, "up")
    _ip(*inside, "route", "add", "default", "via", HOST)
    for net in (PODS, SERVICES):
        _ip("route", "add", net, "via", NODE)
    settings = "echo 1 > /proc/sys/net/ipv4/ip_forward && echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables"
    run("nsenter", f"--net=/run/netns/{SPACE}", "sh", "-c", settings)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for table, *rule in _WAY_OUT:
        run("iptables", "-w", "-t", table, "-A", *rule)
    _ip("link", "set", LINK, "alias", str(folder))  # last: what is half made is made again


def network_owner() -> Path | None:
    alias = Path(f"/sys/class/net/{LINK}/ifalias")
    said = alias.read_text().strip() if alias.exists() else ""
    return Path(said) if said else None


def remove_network() -> None:
    quietly("ip", "link", "delete", LINK)
    quietly("ip", "netns", "delete", SPACE)
    for table, *rule in _WAY_OUT:
        while quietly("iptables", "-w", "-t", table, "-D", *rule):
            pass


def _ip(*words: str) -> None:
    run("ip", *words)
