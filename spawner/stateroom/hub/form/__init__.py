"""The form on which a person chooses a server."""
