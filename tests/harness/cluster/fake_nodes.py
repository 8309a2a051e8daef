"""Nodes that only pretend."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

from harness.cluster.component import Component, start
from harness.cluster.programs import kubectl, unpacked_program
from harness.cluster.settings import FAKE_PODS, NODE, kubeconfig_of


def fake_nodes(folder: Path, count: int, cidr: str = FAKE_PODS, pods: int = 1000) -> Component:
    """Have nodes that only pretend: their pods are Running at once, at addresses where nobody is.

    `ip route add local CIDR dev lo` brings all these addresses to this machine.
    Once kwok runs, another `cidr` changes nothing until it is stopped.
    """
    folder = folder.resolve()
    net = ip_network(cidr)
    command = [
        str(unpacked_program(folder, "kwok")),
        f"--kubeconfig={kubeconfig_of('admin', folder)}",
        f"--cidr={net[1]}/{net.prefixlen}",  # the first address that it gives
        "--manage-nodes-with-label-selector=type=kwok",
        f"--node-ip={NODE}",
    ]
    kwok = start(folder, "kwok", command)
    nodes = [_fake_node(f"fake-{number}", pods) for number in range(count)]
    kubectl(folder, "apply", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": nodes})
    kubectl(folder, "wait", "--for=condition=Ready", "node", "--selector=type=kwok", "--timeout=60s")
    return kwok


def _fake_node(name: str, pods: int) -> dict[str, Any]:
    room = {"cpu": "100k", "memory": "1Pi", "pods": str(pods)}
    labels = {"type": "kwok", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"capacity": room, "allocatable": room},
    }
