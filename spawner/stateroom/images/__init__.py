"""Building, describing, moving and checking container images."""
