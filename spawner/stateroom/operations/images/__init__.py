"""What operators do with images."""
