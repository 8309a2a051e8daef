"""Login with the accounts of `stateroom user`."""
