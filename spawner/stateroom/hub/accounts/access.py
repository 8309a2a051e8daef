"""Ends what the accounts no longer give: sessions, tokens and servers of people who lost their access.

The accounts file may change while the hub runs and while it does not. So a
record beside it has what each of the hub's users was last given. Where the two
differ, the hub follows within seconds:

- an account that is gone, or another one of the same name: the hub's user goes,
  with sessions, tokens and servers. Whoever has the name next is a user with
  another number, for whom the home of the one before is refused. Homes are kept;
- another password, or an admin's right withdrawn: all sessions and tokens end.
  Servers run on, with their own tokens.

What an admin changes on the hub's own pages, a name or the admin's right, goes
into the file.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jupyterhub import orm
from jupyterhub.roles import assign_default_roles
from sqlalchemy import event, inspect

from stateroom.common.errors import SetupError
from stateroom.common.files import file_signature, replace_file
from stateroom.hub.saved_state import SavedState
from stateroom.operations.accounts import Account, AccountStore

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
_REMOVAL_SECONDS = 30.0  # for which a login waits
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Granted:
    """What one of the hub's users was last given."""

    name: str
    account: str  # its id
    password: str  # a digest of the hash
    admin: bool

    @classmethod
    def by(cls, account: Account) -> Granted:
        """What an account gives."""
        digest = hashlib.sha256(account.hash.encode()).hexdigest()[:16]
        return cls(account.name, account.id, digest, account.admin)

    def is_given_by(self, account: Account) -> bool:
        """Whether it is this account, and not a later one of the same name."""
        return self.account == account.id


class Access:
    """The access of a hub's users. `app` is the hub; the record is beside the file of `store`."""

    def __init__(self, app: Any, store: AccountStore) -> None:
        self._app = app
        self._store = store
        self._record = store.path.with_name("access.json")
        self._granted = _read(self._record)  # by the user's number
        self._recorded = dict(self._granted)
        self._followed: object = None  # the file's state that was acted on
        self._ending: dict[int, asyncio.Task[None]] = {}
        self._left_to_hub: set[int] = set()
        self._keeping: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Follow the accounts from now on, until the running loop ends."""
        event.listen(orm.User, "after_update", self._note_change)
        self._keeping = asyncio.ensure_future(self._keep())

    def is_current(self, user: Any, account: Account) -> bool:
        """Whether a user of the hub is the account's, and not that of an earlier one of the same name."""
        granted = self._granted.get(user.id)
        return user.id not in self._ending and (granted is None or granted.is_given_by(account))

    def follow(self) -> None:
        """Act on what has changed. Servers are ended later; all else has ended when this returns. Raises SetupError."""
        state = file_signature(self._store.path)
        if state is None or state == self._followed:  # a file that is not there says nothing about anybody
            return
        accounts = self._store.accounts()
        db = self._app.db
        users = db.query(orm.User.id, orm.User.name, orm.User.admin).all()  # whole users take ten times as long
        for number, name, admin in users:
            account = accounts.get(name)
            if account and account.admin == admin and number not in self._granted:
                self._granted[number] = Granted.by(account)
            elif not account or account.admin != admin or self._granted[number] != Granted.by(account):
                self._settle(db.get(orm.User, number), self._store.accounts())
        numbers = {number for number, _, _ in users}
        self._granted = {number: granted for number, granted in self._granted.items() if number in numbers}
        db.commit()
        self._keep_record()
        self._followed = state

    def admit(self, user: Any) -> None:
        """Record a new user of the hub, who has an account."""
        self._settle(user.orm_user, self._store.accounts())
        self._app.db.commit()
        self._keep_record()

    def leave_to_hub(self, user: Any) -> None:
        """Leave a user alone whom the hub itself is about to delete."""
        self._left_to_hub.add(user.id)

    async def is_gone(self, name: str) -> bool:
        """Wait until nothing is left of an earlier user of the name; whether that is so. Raises SetupError."""
        self.follow()
        user = orm.User.find(self._app.db, name)
        if user is not None and (task := self._ending.get(user.id)):
            await asyncio.wait([task], timeout=_REMOVAL_SECONDS)
            return orm.User.find(self._app.db, name) is None
        return True

    async def _keep(self) -> None:
        said = ""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            try:
                self.follow()
                self._keep_record()
                said = ""
            except SetupError as error:  # it cannot be read, which says nothing about anybody
                if said != (said := str(error)):
                    log.error("%s", error)  # noqa: TRY400 - the sentence says it all
            except Exception:
                log.exception("The accounts could not be followed.")
                self._app.db.rollback()

    def _note_change(self, _mapper: object, _connection: object, user: Any) -> None:
        """Have another look if the hub has changed a name or an admin's right."""
        changed = inspect(user).attrs
        if changed.name.history.has_changes() or changed.admin.history.has_changes():
            self._followed = None

    def _settle(self, user: Any, accounts: Mapping[str, Account]) -> None:
        """Bring one of the hub's users to what the accounts give."""
        if user.id in self._left_to_hub:
            return
        granted = self._granted.get(user.id)
        if granted and user.name != granted.name:
            accounts = self._renamed(user, granted, accounts)
        account = accounts.get(user.name)
        if account is None and granted is None and user.last_activity is None:
            return  # somebody whom an admin put into a group, and who has no account yet
        if account is None or (granted and not granted.is_given_by(account)):
            self._end(user)
            return
        if granted and user.admin != granted.admin == account.admin:
            account = self._with_admin(account, admin=user.admin)
        if user.admin != account.admin:
            user.admin = account.admin
            assign_default_roles(self._app.db, entity=user)
        given = Granted.by(account)
        if granted and (granted.password != given.password or (granted.admin and not given.admin)):
            self._shut_out(user, servers=False)
            log.warning("All sessions and tokens of %s have ended: the password or the rights changed.", user.name)
        self._granted[user.id] = given

    def _renamed(self, user: Any, granted: Granted, accounts: Mapping[str, Account]) -> Mapping[str, Account]:
        """The accounts after somebody was renamed on the hub's page. Another account's name cannot be taken."""
        account = accounts.get(granted.name)
        if account is None or not granted.is_given_by(account):
            return accounts
        try:
            self._store.rename(account.name, user.name)
        except SetupError as error:
            log.error("The user %s keeps this name, and is not renamed. %s", account.name, error)  # noqa: TRY400
            user.name = account.name
        return self._store.accounts()

    def _with_admin(self, account: Account, *, admin: bool) -> Account:
        """The account after an admin's right was given or withdrawn on the hub's page."""
        self._store.set_admin(account.name, admin=admin)
        return self._store.accounts()[account.name]

    def _shut_out(self, user: Any, *, servers: bool) -> None:
        """End a user's sessions and tokens, of `servers` as well or not."""
        spawners = () if servers else user.orm_spawners.values()
        kept = {SavedState.from_json(spawner.state or {}).token_id for spawner in spawners}
        user.cookie_id = orm.new_token()
        for token in list(user.api_tokens):
            if token.id not in kept:
                self._app.db.delete(token)
        for code in list(user.oauth_codes):
            self._app.db.delete(code)
        self._app.db.commit()

    def _end(self, user: Any) -> None:
        """Let a user of the hub go: sessions and tokens at once, servers and the user itself in a task."""
        if user.id in self._ending:
            return
        log.warning("%s has no account any more: sessions and tokens have ended, and servers are stopped.", user.name)
        self._shut_out(user, servers=True)
        number = user.id
        self._ending[number] = asyncio.ensure_future(self._remove(number))
        self._ending[number].add_done_callback(lambda _: self._ending.pop(number, None))

    async def _remove(self, number: int) -> None:
        try:
            user = self._app.users[number]
            for name in list(user.orm_spawners):
                await self._stop(user, name)
            self._app.users.delete(user)
            self._granted.pop(number, None)
            self._keep_record()
        except Exception:
            log.exception("The hub's user number %d could not be removed; this is tried again.", number)
            self._app.db.rollback()
            await asyncio.sleep(_PAUSE_SECONDS)
            self._followed = None

    async def _stop(self, user: Any, name: str) -> None:
        """Stop a server at once, in whatever state it is, without giving it time: it may serve its user meanwhile."""
        spawner = user.spawners[name]
        spawner.ends_at_once = True
        while spawner.pending:
            if spawner.pending == "spawn":
                await spawner.stop()  # the start fails then
            await asyncio.sleep(_PAUSE_SECONDS)
        if spawner.active:
            await self._app.proxy.delete_user(user, name)
            await user.stop(name)

    def _keep_record(self) -> None:
        """Write the record if it has changed. On a full disk, the next call tries again."""
        if self._granted == self._recorded:
            return
        try:
            _write(self._record, self._granted)
        except OSError as error:
            log.error("%s cannot be written: %s", self._record, error)  # noqa: TRY400 - the sentence says it all
        else:
            self._recorded = dict(self._granted)


def _read(path: Path) -> dict[int, Granted]:
    """What was recorded; nothing where there is no record yet, or it is damaged."""
    try:
        data = json.loads(path.read_bytes())
        return {int(number): Granted(**granted) for number, granted in data["users"].items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        log.warning("%s is damaged, and is made again.", path)
        return {}


def _write(path: Path, granted: Mapping[int, Granted]) -> None:
    users = {str(number): asdict(one) for number, one in granted.items()}
    replace_file(path, json.dumps({"version": _VERSION, "users": users}, indent=2) + "\n")
