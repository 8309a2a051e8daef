"""What operators do, callable from commands and hub pages alike."""
