"""Services that run beside the hub."""
