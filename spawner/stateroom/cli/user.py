"""`stateroom user`: who may log in. Works whether or not the hub runs."""

from __future__ import annotations

import argparse
import sys

from stateroom.accounts import AccountStore, new_password, parse_name, require
from stateroom.cli.arguments import add_data_option
from stateroom.cli.data import DataFolder
from stateroom.cli.passwords import ask_password, on_terminal, read_password, write_password
from stateroom.cli.pod import require_no_pod
from stateroom.errors import SetupError


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `user` and what it can do."""
    user = commands.add_parser(
        "user",
        help="add, remove and list the people who may log in",
        description="Change who may log in. A running hub follows within seconds.",
        epilog="examples: stateroom user add ada; stateroom user list",
    )
    verbs = user.add_subparsers(metavar="VERB", required=True, title="verbs")

    add = _verb(verbs, "add", "let somebody log in", add_user)
    add.add_argument("--admin", action="store_true", help="an admin of the hub")
    _add_stdin_option(add)

    password = _verb(verbs, "password", "set somebody's password", set_password)
    _add_stdin_option(password)

    _verb(verbs, "remove", "end somebody's access; the home is kept", remove_user)

    listing = verbs.add_parser("list", help="show who may log in")
    add_data_option(listing)
    listing.set_defaults(run=list_users)


def add_user(arguments: argparse.Namespace) -> int:
    """Add an account."""
    name, folder = parse_name(arguments.name), arguments.data
    store = _store(folder)
    folder.make()
    if name in store.accounts():
        raise SetupError(f'There is an account "{name}" already. Choose another name, or set its password.')
    password, made = _password(arguments)
    store.add(name, password, admin=arguments.admin)
    print(f"{name} may log in{' as an admin' if arguments.admin else ''}.")
    if made:
        _hand_over(name, password, folder)
    return 0


def set_password(arguments: argparse.Namespace) -> int:
    """Give an account another password."""
    store = _store(arguments.data)
    name = require(store.accounts(), arguments.name).name
    password, made = _password(arguments)
    store.set_password(name, password)
    print(f"{name} has a new password.")
    if made:
        _hand_over(name, password, arguments.data)
    return 0


def remove_user(arguments: argparse.Namespace) -> int:
    """Remove an account."""
    store = _store(arguments.data)
    name = require(store.accounts(), arguments.name).name
    store.remove(name)
    print(
        f"{name} can no longer log in. The home is kept, and a server that runs is not stopped: "
        "an admin stops it on the hub's admin page."
    )
    return 0


def list_users(arguments: argparse.Namespace) -> int:
    """Print the names, one a line, admins marked."""
    accounts = _store(arguments.data).accounts()
    for account in sorted(accounts.values(), key=lambda account: account.name):
        print(f"{account.name} (admin)" if account.admin else account.name)
    if not accounts:
        print(f"Nobody may log in yet. Run `stateroom user add NAME{arguments.data.option}`.", file=sys.stderr)
    return 0


def _store(folder: DataFolder) -> AccountStore:
    require_no_pod("Who may log in, its authenticator says: set that up in `hub.config` of the chart's values.")
    return AccountStore(folder.accounts)


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    help_text: str,
    run: object,
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help_text)
    verb.add_argument("name", metavar="NAME", help="the user's name")
    add_data_option(verb)
    verb.set_defaults(run=run)
    return verb


def _add_stdin_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stdin", action="store_true", help="read the password from standard input")


def _password(arguments: argparse.Namespace) -> tuple[str, bool]:
    """The password, and whether it was made here and must be told."""
    if arguments.stdin:
        return read_password(), False
    typed = ask_password() if sys.stdin.isatty() else ""
    return (typed, False) if typed else (new_password(), True)


def _hand_over(name: str, password: str, folder: DataFolder) -> None:
    if on_terminal():
        print(f"Password, shown this once: {password}")
    else:
        print(f"The password is in {write_password(name, password, folder.path)}.")
