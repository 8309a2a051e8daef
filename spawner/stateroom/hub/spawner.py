"""The JupyterHub adapter: traits, the hub's hooks in their order, and the saved state.

Order at a start, by the hub (6.1): `clear_state`, group overrides,
`apply_user_options` (here a choice is accepted or refused), `start`,
`get_state`. At a stop: `poll`, `stop` if that said "running",
`run_post_stop_hook` in any case, `clear_state`, `get_state`; then the object is
dropped. The hub's own memory of options is kept equal to the accepted ones,
since the hub stores options before they are checked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from jupyterhub import orm
from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future
from tornado import web
from traitlets import Any as Anything
from traitlets import Dict, Enum, Integer, Unicode, Union, default

from stateroom.backends.base import Life
from stateroom.catalog.sizes import Quota
from stateroom.common.deadline import Deadline
from stateroom.common.errors import BackendError, ChoiceRefused, EngineRefused, OutOfMemory
from stateroom.common.quantity import format_duration
from stateroom.hub.certificates import server_tls
from stateroom.hub.expected_errors import PrefillOnly, failure, refusal, shown
from stateroom.hub.form.render import render_form
from stateroom.hub.form.request import keep_linked, keep_posted, options_from_body, stopped_as_idle, typed_before
from stateroom.hub.form.state import form_state
from stateroom.hub.saved_state import SavedState, end_reason
from stateroom.hub.server_watch import ServerWatch
from stateroom.hub.tokens import find_token_id, revoke_token, revoke_unsaved_tokens
from stateroom.offers.allowance import Allowance, Person
from stateroom.offers.choice import Choice, Recalled, choose, recall
from stateroom.offers.quota import Left, Members
from stateroom.runtime.runtime import Runtime, RuntimeSettings, runtime_for
from stateroom.storage.homes import HomeRef
from stateroom.workloads.names import ServerRef
from stateroom.workloads.progress import Phase, Progress, ProgressLog
from stateroom.workloads.server import CERTIFICATE, PORT, Server, reports_every, server_for

_STOP_SECONDS = 60
_RETRY_PAUSE = 1.0


class StateroomSpawner(Spawner):
    """Starts servers as the catalog says, on the backend that is set."""

    catalog = Unicode(config=True, help="The catalog file.")
    backend = Enum(["docker", "kubernetes", "memory"], "docker", config=True, help="Where servers run.")
    hub_id = Unicode(config=True, help="The hub's id in the names and labels of what it makes.")
    home_assignments = Unicode(config=True, help="The file that says which homes were handed to another user.")
    reached_port = Integer(0, config=True, help="The hub's port that packet rules let servers reach; 0 for any.")

    # Servers listen on every address of their own container.
    ip = Unicode("0.0.0.0")  # noqa: S104 - a container's own
    port = Integer(PORT)

    # JupyterHub 5 stores what a REST start sends before anybody checks it. With the hub's own trait, options
    # that are no object would keep their user from every page; so they get as far as being refused.
    user_options = Union([Dict(), Anything()])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.watch = ServerWatch(self)
        self.ends_at_once = False  # without time to end by itself: its owner has lost all access
        self._saved = SavedState()
        self._choice: Choice | None = None
        self._home: HomeRef | None = None
        self._begun: asyncio.Future[str] | None = None
        self._progress = ProgressLog()

    @default("env_keep")
    def _no_variables_of_the_hub(self) -> list[str]:
        return []

    @default("options_form")
    def _form(self) -> Callable[[StateroomSpawner], Awaitable[str]]:
        return lambda spawner: spawner.render_form()

    @default("options_from_form")
    def _from_form(self) -> Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]:
        return self.accept_form

    @default("apply_user_options")
    def _apply(self) -> Callable[[StateroomSpawner, dict[str, Any]], Awaitable[None]]:
        return lambda spawner, options: spawner.accept(options)

    @property
    def runtime(self) -> Runtime:
        """What the servers of this hub share, by the traits."""
        assignments = Path(self.home_assignments) if self.home_assignments else None
        return runtime_for(RuntimeSettings(Path(self.catalog), str(self.backend), self.hub_id, assignments))

    @property
    def ref(self) -> ServerRef:
        """The server's name for the backend."""
        return ServerRef(self.hub_id, self.user.name, self.name)

    # Choosing

    async def render_form(self) -> str:
        """Return the form, with what this request typed, else with the remembered choice."""
        runtime, allowance, typed = self.runtime, self.allowance(), typed_before()
        state = form_state(
            typed,
            self._saved,
            allowance,
            left=typed.left if typed.errors else await self._left(allowance),
            problems=runtime.catalog_file.problems if self.user.admin else (),
            machine=await runtime.machine(),
        )
        return render_form(allowance, state)

    def accept_form(self, form: Mapping[str, Any]) -> Awaitable[dict[str, Any]]:
        """Check what was posted; the hub shows the form again with status 400 if it is refused.

        No coroutine, for the reason in `stateroom.hub.form.request`.
        """
        typed = keep_posted(form)

        async def accepted() -> dict[str, Any]:
            allowance = self.allowance()
            try:
                choice = choose(typed.options, allowance)
                # Checked here, where the form can show a refusal; `accept` is what counts.
                with contextlib.suppress(BackendError):
                    members = members_of(allowance, self.user.db)
                    await self.runtime.admissions.check(self.ref, choice.resources, allowance, members)
            except ChoiceRefused as refused:
                typed.refuse(refused, await self._left(allowance))
                raise refusal(refused) from None
            return choice.as_options()

        return accepted()

    def options_from_query(self, query_data: Mapping[str, list[str]]) -> dict[str, Any]:
        """Fill in the form from a link. Returning would start the server, so this always raises."""
        keep_linked(query_data)
        raise PrefillOnly

    async def accept(self, options: dict[str, Any]) -> None:
        """Accept or refuse a choice, from whichever way it came, before anything is made for it."""
        accepted, allowance = self._saved.accepted, self.allowance()
        try:
            options = options_from_body(options, accepted)
            is_remembered = accepted is not None and options == accepted
            recalled = recall(options, allowance) if is_remembered else Recalled(choose(options, allowance))
            choice, home = recalled.choice, self.runtime.home_of(self._own_home())
            members = members_of(allowance, self.user.db)
            await self.runtime.admissions.admit(self.ref, choice.resources, allowance, members)
        except (ChoiceRefused, BackendError) as error:
            self._set_options(accepted)
            self._save()
            if isinstance(error, ChoiceRefused):
                raise refusal(error) from None
            raise failure(error) from error
        self._choice, self._home = choice, home
        self._saved = replace(self._saved, accepted=choice.as_options(), end_reason="", out_of_memory=False)
        self._set_options(self._saved.accepted)
        # The hub's own limit, above ours so that ours speaks first.
        start = self.runtime.catalog.start
        self.start_timeout = int(start.timeout + start.pull_timeout) + _STOP_SECONDS
        if recalled.notice:
            self._progress.report(Progress(Phase.PREPARING, recalled.notice))

    def allowance(self) -> Allowance:
        """Return what this server's owner may choose, whoever asks."""
        return self.runtime.allowance(person_of(self.user))

    async def _left(self, allowance: Allowance) -> list[Left]:
        return await self.runtime.admissions.left(self.ref, allowance, members_of(allowance, self.user.db))

    def _set_options(self, options: dict[str, Any] | None) -> None:
        """Have the hub remember these options from the next commit on."""
        self.user_options = self.orm_spawner.user_options = options or {}

    # Starting and stopping

    async def create_certs(self) -> dict[str, str]:
        """Return where the files of the server's certificate will be: it is made when the server has an address."""
        return dict(CERTIFICATE)

    async def start(self) -> str:
        """Start the server and return its URL once it responds. On failure, raise a sentence and leave nothing."""
        try:
            self._begun = self._begin()
            return await asyncio.shield(self._begun)
        except BackendError as error:
            self._revoke_token()
            self._saved = replace(self._saved, out_of_memory=isinstance(error, OutOfMemory))
            self.log.warning("Could not start %s: %s %s", self._log_name, error, error.detail)
            # The hub keeps what is raised until the next start, and so all that its causes hold.
            failed, self._begun = failure(error), None
        except asyncio.CancelledError:
            # Does not wait for the end: the hub gives a start that it interrupts one second, and answers its
            # owner with a 500 if it takes longer. It then polls, and waits in `stop`.
            if self._begun is not None and self._begun.cancel():
                self._revoke_token()
            raise
        finally:
            self.runtime.admissions.release(self.ref)
            self._progress.close()
        raise failed

    def _begin(self) -> asyncio.Future[str]:
        """Begin a start, after saving what a hub that is killed from here on must know.

        Raises EngineRefused where packet rules would keep the server from its hub.
        """
        if self.reached_port not in (0, self.hub.port):
            raise EngineRefused(
                f"Servers may reach their hub at port {self.reached_port}, and it listens at {self.hub.port}. "
                "An administrator must set c.JupyterHub.hub_port above stateroom.configure, and restart the hub."
            )
        catalog = self.runtime.catalog
        deadline = Deadline.after(catalog.start.timeout, "waiting for the server to answer")
        # Before the spec, which may be refused: the failure then revokes the token.
        self._saved = replace(self._saved, token_id=find_token_id(self.user, self.api_token))
        spec = self._spec()
        self._save(spec_hash=spec.hash, activity_interval=reports_every(catalog))
        tls = server_tls(self) if self.internal_ssl else None
        return asyncio.ensure_future(self.runtime.backend.servers.start(spec, deadline, self._progress.report, tls))

    def _spec(self) -> Server:
        assert self._choice is not None and self._home is not None  # noqa: S101 - the hub applies options first
        return server_for(
            self.runtime.catalog,
            self.allowance(),
            self._choice,
            ref=self.ref,
            home=self._home,
            base_url=self.server.base_url,
            variables=self.get_env(),
            tls=self.internal_ssl,
        )

    def _own_home(self) -> HomeRef:
        return HomeRef(self.hub_id, self.user.name, self.user.id)

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the hub's signature
        """End the server. The hub waits for it; repeated calls do no harm."""
        stop_after = self.runtime.catalog.idle.stop_after
        if stopped_as_idle.get() and stop_after:
            reason = f"Your server was stopped since nobody had used it for {format_duration(stop_after)}."
            self._saved = replace(self._saved, end_reason=reason)
        deadline = Deadline.after(_STOP_SECONDS, "stopping the server")
        await self.runtime.backend.servers.stop(self.ref, deadline, gently=not self.ends_at_once)

    async def poll(self) -> int | None:
        """Return None while the server runs, is being started or ends in its start, else its exit code."""
        if self._begun is not None and not self._begun.done():
            return None
        if self._saved.token_id is None:
            return 0
        try:
            state = await self.runtime.backend.servers.state(self.ref)
        except BackendError as error:
            # Says nothing about the server; the hub would forget it.
            self.log.warning("Cannot look at %s: %s %s", self._log_name, error, error.detail)
            return None
        saved = self._saved
        if state.life is Life.RUNNING and saved.spec_hash in ("", state.spec_hash):
            return None
        choice = recall(saved.accepted, self.allowance()).choice if saved.accepted is not None else None
        out_of_memory = saved.out_of_memory or state.out_of_memory
        self._saved = replace(saved, end_reason=end_reason(state, choice), out_of_memory=out_of_memory)
        return state.exit_code

    async def get_url(self) -> str:
        """Return where the server is now; asked when a hub has restarted.

        Waits for an engine that is away: the hub takes any answer from here for
        the truth, and ends a server that it does not find there.
        """
        while True:
            try:
                state = await self.runtime.backend.servers.state(self.ref)
            except BackendError:
                await asyncio.sleep(_RETRY_PAUSE)
            else:
                return f"{state.address}{self.server.base_url}" if state.address else str(self.server.url)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the hub's progress events; the hub itself adds the last one."""
        async for percent, message in self._progress.follow():
            yield {"progress": percent, "message": message}

    def start_polling(self) -> None:
        """Poll as the hub wants, and act at once when the backend reports a change."""
        super().start_polling()
        self.watch.begin()

    def stop_polling(self) -> None:
        """End both."""
        super().stop_polling()
        self.watch.end()

    def note_out_of_memory(self) -> None:
        """Save that a program in the running server ran out of memory, for its owner's next form."""
        if not self._saved.out_of_memory:
            self.log.warning("A program in %s ran out of memory, and was ended.", self._log_name)
            self._save(out_of_memory=True)

    async def run_post_stop_hook(self) -> None:
        """Clear away what is left. The hub calls this after every stop, also of a server that died or never ran."""
        self.runtime.admissions.release(self.ref)
        revoke_unsaved_tokens(self.user, self.name)
        if self._saved.token_id is not None:
            self._revoke_token()
            try:
                await self.stop()
            except BackendError as error:
                # The next start removes it.
                self.log.warning("Something is left of %s: %s %s", self._log_name, error, error.detail)
        await maybe_future(super().run_post_stop_hook())

    async def rename(self, old_name: str, new_name: str) -> None:  # noqa: ARG002 - the hub's signature
        """Let a stopped server have another name (JupyterHub 6).

        Its home is the user's and its saved state the hub's: both stay. A
        container is found by its server's name, so none may keep the old one.
        """
        if await self.poll() is None:
            sentence = "Stop the server before you rename it."
            raise shown(web.HTTPError(400, sentence), sentence)
        try:
            await self.stop()
        except BackendError as error:
            raise failure(error) from error

    async def delete_forever(self) -> None:
        """Delete the home if the catalog says so. The hub calls this for a removed named server too."""
        if self.name == "" and self.runtime.catalog.home.when_user_is_deleted == "delete":
            await self.runtime.remove_home(self.runtime.home_of(self._own_home()))

    # Saved state

    def get_state(self) -> dict[str, Any]:
        """Return what outlives this object."""
        return asdict(self._saved)

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what an earlier object saved."""
        super().load_state(state)
        self._saved = SavedState.from_json(state)

    def clear_state(self) -> None:
        """Forget the server; the accepted choice and the reason of its end stay."""
        super().clear_state()
        self._saved = self._saved.without_server()

    def _save(self, **changes: Any) -> None:
        self._saved = replace(self._saved, **changes)
        self.orm_spawner.state = self.get_state()
        self.user.db.commit()

    def _revoke_token(self) -> None:
        revoke_token(self.user.db, self._saved.token_id)
        self._save(token_id=None)


def person_of(user: Any) -> Person:
    """Return a user of the hub as offers know one."""
    return Person(user.name, frozenset(group.name for group in user.groups))


def members_of(allowance: Allowance, db: Any) -> Members:
    """Return the members of the groups whose totals limit the user, from the hub's database."""
    limited = {name for name, total in allowance.totals.items() if total != Quota()}
    groups = {name: orm.Group.find(db, name) for name in limited}
    return {name: [user.name for user in group.users] for name, group in groups.items() if group}
