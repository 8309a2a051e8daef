"""Places that run servers."""
