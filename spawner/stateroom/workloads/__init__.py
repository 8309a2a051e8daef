"""What is to run in one container. Pure."""
