"""A trial run of an image."""
