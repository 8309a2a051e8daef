"""The accounts of a hub that runs on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stateroom.operations.accounts import AccountStore, new_password
from stateroom.operations.local.data import DataFolder
from stateroom.operations.local.pod_folder import require_no_pod

_FIRST_ACCOUNTS = {"admin": True, "user": False}  # name -> whether an admin


def open_accounts(folder: DataFolder) -> AccountStore:
    """Return the accounts in the data folder. Raises SetupError in a hub's pod, which uses another authenticator."""
    require_no_pod("Who may log in, its authenticator says: set that up in `hub.config` of the chart's values.")
    return AccountStore(folder.accounts)


def make_first_accounts(store: AccountStore, hand_over: Callable[[Mapping[str, str]], None]) -> None:
    """Create the first accounts. `hand_over` receives their passwords, which are known only this once.

    It is called before anything is stored: after an interruption in between, the next run makes new ones.
    """
    passwords = {name: new_password() for name in _FIRST_ACCOUNTS}
    hand_over(passwords)
    for name, admin in _FIRST_ACCOUNTS.items():
        store.add(name, passwords[name], admin=admin)
