"""A Kubernetes cluster for the tests, on this machine alone.

All of it runs in a network namespace of its own, so it shares neither ports nor
packet rules with whatever else this machine runs, another cluster included. The
namespace hangs on a cable: the machine is HOST to the cluster's pods, and reaches
pods and services at their own addresses through NODE. To the cluster the machine
is a stranger outside: a network policy that shall let it in names HOST.

Root on Debian; no image registry. Takes only the standard library, since
tests/running asks it what it needs before anything is installed.
`python tests/harness/cluster up|down|load FOLDER` does the same by hand.
"""

from harness.cluster.component import Component, components
from harness.cluster.fake_nodes import fake_nodes
from harness.cluster.images import know_registry, load, push
from harness.cluster.lifecycle import down, up
from harness.cluster.programs import kubectl, missing_packages, program, programs_folder
from harness.cluster.settings import (
    FAKE_PODS,
    FOLDER,
    HOST,
    NODE,
    NODE_NAME,
    PODS,
    SERVICES,
    ClusterError,
    kubeconfig,
)

__all__ = [
    "FAKE_PODS",
    "FOLDER",
    "HOST",
    "NODE",
    "NODE_NAME",
    "PODS",
    "SERVICES",
    "ClusterError",
    "Component",
    "components",
    "down",
    "fake_nodes",
    "know_registry",
    "kubeconfig",
    "kubectl",
    "load",
    "missing_packages",
    "program",
    "programs_folder",
    "push",
    "up",
]
