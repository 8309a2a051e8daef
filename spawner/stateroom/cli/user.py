"""`stateroom user`: changes who can log in. Works whether or not the hub runs."""

from __future__ import annotations

import argparse
import sys

from stateroom.cli.arguments import add_data_option
from stateroom.cli.passwords import ask_password, on_terminal, read_password
from stateroom.cli.plain import print_plain
from stateroom.operations.accounts import new_password
from stateroom.operations.handed_passwords import write_password
from stateroom.operations.local.accounts import open_accounts
from stateroom.operations.local.data import DataFolder


def describe(user: argparse.ArgumentParser) -> None:
    """Add the description and the verbs."""
    user.description = "Change who may log in. A running hub follows within seconds."
    user.epilog = "examples: stateroom user add ada; stateroom user list"
    verbs = user.add_subparsers(metavar="VERB", required=True, title="verbs")

    add = _verb(verbs, "add", "let somebody log in", add_user)
    add.add_argument("--admin", action="store_true", help="an admin of the hub")
    _add_stdin_option(add)

    password = _verb(verbs, "password", "set somebody's password", set_password)
    _add_stdin_option(password)

    admin = _verb(verbs, "admin", "make somebody an admin of the hub", set_admin)
    admin.add_argument("--withdraw", action="store_true", help="no longer")

    _verb(verbs, "remove", "end somebody's access; the home is kept", remove_user)

    listing = verbs.add_parser("list", help="show who may log in")
    add_data_option(listing)
    listing.set_defaults(run=list_users)


def add_user(arguments: argparse.Namespace) -> int:
    """Add an account."""
    folder = arguments.data
    store = open_accounts(folder)
    folder.make()
    name = store.unused_name(arguments.name)
    password, made = _password(arguments)
    store.add(name, password, admin=arguments.admin)
    print_plain(f"{name} may log in{' as an admin' if arguments.admin else ''}.")
    if made:
        _hand_over(name, password, folder)
    return 0


def set_password(arguments: argparse.Namespace) -> int:
    """Give an account another password."""
    store = open_accounts(arguments.data)
    name = store.known_name(arguments.name)
    password, made = _password(arguments)
    store.set_password(name, password)
    print_plain(f"{name} has a new password.")
    if made:
        _hand_over(name, password, arguments.data)
    return 0


def set_admin(arguments: argparse.Namespace) -> int:
    """Make an account an admin's, or no longer."""
    store = open_accounts(arguments.data)
    name = store.known_name(arguments.name)
    store.set_admin(name, admin=not arguments.withdraw)
    print_plain(f"{name} is {'no longer' if arguments.withdraw else 'now'} an admin of the hub.")
    return 0


def remove_user(arguments: argparse.Namespace) -> int:
    """Remove an account."""
    store = open_accounts(arguments.data)
    name = store.known_name(arguments.name)
    store.remove(name)
    print_plain(
        f"{name} can no longer log in. Within seconds a running hub ends {name}'s sessions, tokens and servers; "
        "another hub does so at its start. The home is kept."
    )
    return 0


def list_users(arguments: argparse.Namespace) -> int:
    """Print the names, one a line, admins marked."""
    accounts = open_accounts(arguments.data).accounts()
    for account in sorted(accounts.values(), key=lambda account: account.name):
        facts = [word for word, is_so in (("admin", account.admin), ("no password yet", not account.hash)) if is_so]
        print_plain(f"{account.name} ({', '.join(facts)})" if facts else account.name)
    if not accounts:
        print_plain(f"Nobody may log in yet. Run `stateroom user add NAME{arguments.data.option}`.", error=True)
    return 0


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
    """Return the password, and whether it was made here and must be handed over."""
    if arguments.stdin:
        return read_password(), False
    typed = ask_password() if sys.stdin.isatty() else ""
    return (typed, False) if typed else (new_password(), True)


def _hand_over(name: str, password: str, folder: DataFolder) -> None:
    if on_terminal():
        print_plain(f"Password, shown this once: {password}")
    else:
        print_plain(
            f"The password is in {write_password(name, password, folder.path)} until {name} has logged in with it."
        )
