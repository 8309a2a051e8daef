"""What outlives a container."""
