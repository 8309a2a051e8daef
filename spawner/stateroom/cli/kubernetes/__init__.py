"""The commands' side of Kubernetes: a cluster, and what a hub has in it."""
