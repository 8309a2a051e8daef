"""The JupyterHub adapter: few traits, the hub's hook order, saved state. It decides nothing.

Order at a start, by the hub (6.1): `clear_state`, group overrides,
`apply_user_options` (here a choice is accepted or refused), `start`,
`get_state`. At a stop: `poll`, `stop` if that said "running",
`run_post_stop_hook` in any case, `clear_state`, `get_state`; then the object is
dropped.

Saved state is `accepted` (the options of the last accepted choice),
`token_id` (the database id of the server's token while it may run), `farewell`
(why the server ended, if not by its owner), `ran_out` (whether it, or a program
in it, ran out of memory), `spec_hash` (of the server that this hub started) and
`reports_every` (seconds between its reports of use, for the idle culler). The hub's own memory of options is
kept equal to `accepted`, since the hub stores options before they are checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jupyterhub
from certipy import Certipy
from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.spawner import Spawner
from jupyterhub.utils import make_ssl_context, maybe_future, url_escape_path, url_path_join
from prometheus_client import Gauge
from tornado import web
from tornado.log import app_log
from traitlets import Any as Anything
from traitlets import Dict, Enum, Integer, Unicode, Union, default

from stateroom.admission import Admissions
from stateroom.backends.base import Backend, Life, ServerState, Tls
from stateroom.backends.docker import DockerBackend
from stateroom.backends.docker.network import servers_network
from stateroom.backends.memory import Behaviour, MemoryBackend
from stateroom.catalog import Catalog, DockerHome, Quota, format_duration
from stateroom.choice import Choice, Recalled, choose, larger, recall
from stateroom.deadline import Deadline
from stateroom.errors import (
    BackendError,
    BackendUnavailable,
    ChoiceRefused,
    EngineRefused,
    OutOfMemory,
    QuotaExceeded,
    StateroomError,
)
from stateroom.form import FormState, options_from_form, render_form, values_from_choice, values_from_query
from stateroom.home_assignments import HomeAssignments
from stateroom.loading import CatalogFile, watched_catalog_file
from stateroom.names import HomeRef, ServerRef
from stateroom.policy import Allowance, Person, allowance_for
from stateroom.progress import Phase, Progress, ProgressLog
from stateroom.quantity import Machine, format_memory
from stateroom.quota import Left
from stateroom.spec import CERTIFICATE, PORT, ServerSpec, build_spec, reports_every

_STOP_SECONDS = 60
_HUB_CLIENT = "jupyterhub"  # whose tokens the hub's own are
_RETRY_PAUSE = 1.0
_AUTHORITY = "notebooks-ca"  # the hub's, for the certificates of servers


@dataclass
class _Typed:
    """What a request typed or was linked with, for the form that answers it."""

    state: FormState = field(default_factory=lambda: FormState(values={}))


# Each request of the hub runs in a task of its own, so that two tabs, or two servers of one user,
# never see each other's.
_typed: ContextVar[_Typed | None] = ContextVar("typed", default=None)

# Whether this request stops servers because they are idle.
stopped_as_idle: ContextVar[bool] = ContextVar("stopped_as_idle", default=False)

# Among the hub's own metrics. In no probe: an engine that is away must not have a working hub restarted.
_SILENCE = Gauge("stateroom_engine_silence_seconds", "Time since the engine was last heard of", ["network"])

try:
    from jupyterhub.spawner import SpawnException as _SpawnException
except ImportError:
    _SpawnException = None  # JupyterHub 5


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
        self._accepted: dict[str, Any] | None = None
        self._farewell = ""
        self._ran_out = False
        self._token_id: int | None = None
        self._spec_hash = ""
        self._reports_every = 0
        self._choice: Choice | None = None
        self._begun: asyncio.Future[str] | None = None
        self._progress = ProgressLog()
        self._watch: asyncio.Task[None] | None = None
        for log in (self.log, app_log):  # the hub writes to both
            if _without_expected_tracebacks not in log.filters:
                log.addFilter(_without_expected_tracebacks)

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

    # Choosing

    async def render_form(self) -> str:
        """The form, with what this request typed, else with the remembered choice."""
        typed = (_typed.get() or _Typed()).state
        # After a refusal the hub has the default server render the form, whichever server is meant.
        notices = [self._farewell] if self._farewell and not typed.errors else []
        if self._ran_out and not notices and not typed.errors:
            notices = ["A program in your last server ran out of memory, and was ended."]
        left = typed.left if typed.errors else tuple(await self.left())
        values = dict(typed.values)
        allowance = self.allowance()
        if not values and self._accepted is not None:
            recalled = recall(self._accepted, allowance)
            more = larger(recalled.choice, allowance) if self._ran_out else None
            values = values_from_choice(more or recalled.choice)
            notices += [f"{more.size.label if more.size else 'More memory'} is chosen below."] if more else []
            notices += [recalled.notice] if recalled.notice else []
        problems = self._catalog_file().problems if self.user.admin else ()
        machine = await self._machine()
        return render_form(allowance, FormState(values, typed.errors, tuple(notices), problems, left, machine))

    def accept_form(self, form: Mapping[str, Any]) -> Awaitable[dict[str, Any]]:
        """What was posted, as options; the hub shows the form again with status 400 if they are refused.

        No coroutine, since the hub runs one in a task of its own, of which the
        request's would see nothing.
        """
        _typed.set(typed := _Typed())
        return self._accepted_form(options_from_form(form), typed)

    async def _accepted_form(self, options: dict[str, Any], typed: _Typed) -> dict[str, Any]:
        allowance = self.allowance()
        try:
            choice = choose(options, allowance)
            # Told here, where the form can show it; `accept` is what counts.
            with contextlib.suppress(BackendError):
                await self._admissions().check(self._ref(), choice.resources, allowance, *self._witnesses(allowance))
        except ChoiceRefused as refused:
            values = {key: value for key, value in options.items() if isinstance(value, str)}
            typed.state = FormState(values, refused.fields, left=tuple(await self.left()))
            raise _refusal(refused) from None
        return choice.as_options()

    def options_from_query(self, query_data: Mapping[str, list[str]]) -> dict[str, Any]:
        """Fill in the form from a link. Returning would start the server, so this always raises."""
        _typed.set(_Typed(FormState(values=values_from_query(query_data))))
        raise _PrefillOnly

    async def accept(self, options: dict[str, Any]) -> None:
        """Accept or refuse a choice, from whichever way it came, before anything is made for it."""
        allowance = self.allowance()
        try:
            recalled = self._checked(options, allowance)
            resources = recalled.choice.resources
            await self._admissions().admit(self._ref(), resources, allowance, *self._witnesses(allowance))
        except ChoiceRefused as refused:
            self._remember(self._accepted)
            raise _refusal(refused) from None
        except BackendError as error:
            self._remember(self._accepted)
            raise _failure(error) from error
        self._choice = recalled.choice
        self._accepted = recalled.choice.as_options()
        self._farewell, self._ran_out = "", False
        self._note(self._accepted)
        # The hub's own limit, above ours so that ours speaks first.
        start = self._catalog().start
        self.start_timeout = int(start.timeout + start.pull_timeout) + _STOP_SECONDS
        if recalled.notice:
            self._progress.report(Progress(Phase.PREPARING, recalled.notice))

    def allowance(self) -> Allowance:
        """What this server's owner may choose, whoever asks."""
        return allowance_for(
            self._catalog(), Person(self.user.name, frozenset(group.name for group in self.user.groups))
        )

    async def left(self) -> list[Left]:
        """What the owner may still start; nothing is known of it while the engine is away."""
        allowance = self.allowance()
        try:
            return await self._admissions().left(self._ref(), allowance, *self._witnesses(allowance))
        except BackendError:
            return []

    async def _machine(self) -> Machine | None:
        """What all servers share; unknown while the engine is away."""
        try:
            return await self._backend().machine()
        except BackendError:
            return None

    def _checked(self, options: dict[str, Any], allowance: Allowance) -> Recalled:
        if not isinstance(options, dict):
            raise ChoiceRefused({"user_options": "The options must be an object, such as {}."})
        if jupyterhub.version_info[0] < 6 and options and options.keys() <= {"display_name", "user_options"}:  # noqa: PLR2004 - the major version
            # JupyterHub 6's body of a REST start, sent to a JupyterHub 5. Without a choice it means the last one.
            given = options.get("user_options")
            options = (self._accepted or {}) if given is None else given
            return self._checked(options, allowance)
        if self._accepted is not None and options == self._accepted:
            return recall(options, allowance)
        return Recalled(choose(options, allowance))

    def _remember(self, options: dict[str, Any] | None) -> None:
        self._note(options)
        self._save()

    def _note(self, options: dict[str, Any] | None) -> None:
        """Remember these options once the start has begun, which saves everything."""
        self.user_options = self.orm_spawner.user_options = options or {}

    # Starting and stopping

    async def create_certs(self) -> dict[str, str]:
        """Where the files of the server's certificate will be: it is made when the server has an address."""
        return dict(CERTIFICATE)

    async def start(self) -> str:
        """The address of a server that answers. What fails is said in a sentence, and leaves nothing behind."""
        try:
            self._begun = self._begin()
            return await asyncio.shield(self._begun)
        except BackendError as error:
            self._revoke_token()
            self._ran_out = isinstance(error, OutOfMemory)
            self.log.warning("Could not start %s: %s %s", self._log_name, error, error.detail)
            # The hub keeps what is raised until the next start, and so all that its causes hold.
            failure, self._begun = _failure(error), None
        except asyncio.CancelledError:
            # Does not wait for the end: the hub gives a start that it interrupts one second, and answers its
            # owner with a 500 if it takes longer. It then polls, and waits in `stop`.
            if self._begun is not None and self._begun.cancel():
                self._revoke_token()
            raise
        finally:
            self._admissions().release(self._ref())
            self._progress.close()
        raise failure

    def _begin(self) -> asyncio.Future[str]:
        """Begin a start, after saving what a hub that is killed from here on must know.

        Raises HomeRefused, and EngineRefused where packet rules would keep the server from its hub.
        """
        if self.reached_port not in (0, self.hub.port):
            raise EngineRefused(
                f"Servers may reach their hub at port {self.reached_port}, and it listens at {self.hub.port}. "
                "An administrator must set c.JupyterHub.hub_port above stateroom.configure, and restart the hub."
            )
        catalog = self._catalog()
        deadline = Deadline.after(catalog.start.timeout, "waiting for the server to answer")
        self._token_id = self._find_token_id()
        spec = self._spec(catalog)
        self._spec_hash = spec.hash
        self._reports_every = reports_every(catalog)
        self._save()
        return asyncio.ensure_future(self._backend().start(spec, deadline, self._progress.report, self._tls()))

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - the hub's signature
        """End the server. The hub waits for it; repeated calls do no harm."""
        stop_after = self._catalog().idle.stop_after
        if stopped_as_idle.get() and stop_after:
            self._farewell = f"Your server was stopped since nobody had used it for {format_duration(stop_after)}."
        await self._backend().stop(self._ref(), Deadline.after(_STOP_SECONDS, "stopping the server"))

    async def poll(self) -> int | None:
        """None while the server runs, is being started or ends in its start, else its exit code."""
        if self._begun is not None and not self._begun.done():
            return None
        if self._token_id is None:
            return 0
        try:
            state = await self._backend().state(self._ref())
        except BackendError as error:
            # Says nothing about the server; the hub would forget it.
            self.log.warning("Cannot look at %s: %s %s", self._log_name, error, error.detail)
            return None
        if state.life is Life.RUNNING and self._spec_hash in ("", state.spec_hash):
            return None
        self._farewell = self._last_word(state)
        self._ran_out = self._ran_out or state.out_of_memory
        return state.exit_code

    def _last_word(self, state: ServerState) -> str:
        """Why a server is no more, for its owner's next form."""
        if state.life in (Life.RUNNING, Life.STARTING):
            # What is there was not made, or not started, by the last start.
            return "The hub was restarted while your server was starting. Start it again."
        if state.life is Life.ABSENT:
            return "Your server was stopped from outside the hub."
        if state.out_of_memory and self._accepted is not None:
            memory = format_memory(recall(self._accepted, self.allowance()).choice.memory)
            return f"Your server ran out of its {memory} of memory, and ended."
        return f"Your server has ended. {state.reason}" if state.reason else "Your server ended by itself."

    async def get_url(self) -> str:
        """Where the server is now; asked when a hub has restarted.

        Waits for an engine that is away: the hub takes any answer from here for
        the truth, and ends a server that it does not find there.
        """
        while True:
            try:
                state = await self._backend().state(self._ref())
            except BackendError:
                await asyncio.sleep(_RETRY_PAUSE)
            else:
                return f"{state.address}{self.server.base_url}" if state.address else str(self.server.url)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """The hub's progress events; the hub itself adds the last one."""
        async for percent, message in self._progress.follow():
            yield {"progress": percent, "message": message}

    def start_polling(self) -> None:
        """Polls as the hub wants, and acts at once when the backend tells of a change."""
        super().start_polling()
        self._watch = asyncio.ensure_future(self._follow())

    def stop_polling(self) -> None:
        """Ends both. Runs inside the watch itself when that noticed the end."""
        super().stop_polling()
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        self._watch = None

    @property
    def unwatched(self) -> bool:
        """Whether the hub takes the server for running, and would not hear of its end."""
        return bool(self.ready) and (self._watch is None or self._watch.done())

    async def resume_watch(self, ended: Callable[[], Awaitable[None]]) -> None:
        """Watch the server again, and look at it now; `ended` is for the hub to act on its end."""
        self._callbacks: list[Any] = []  # the hub's own, of which those of an interrupted stop are left
        self.add_poll_callback(ended)
        self.start_polling()
        await self.poll_and_notify()

    async def run_post_stop_hook(self) -> None:
        """The hub calls this after every stop, also of a server that died or never ran: nothing may be left."""
        self._admissions().release(self._ref())
        self._revoke_unsaved_tokens()
        if self._token_id is not None:
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
            raise _shown(web.HTTPError(400, sentence), sentence)
        try:
            await self.stop()
        except BackendError as error:
            raise _failure(error) from error

    async def delete_forever(self) -> None:
        """Deletes the home if the catalog says so. The hub calls this for a removed named server too."""
        policy = self._catalog().home.when_user_is_deleted
        if self.name == "" and policy == "delete":
            home = self._home()
            await self._backend().remove_home(home)
            if self.home_assignments:
                HomeAssignments(Path(self.home_assignments)).forget(home)

    # Saved state

    def get_state(self) -> dict[str, Any]:
        """What outlives this object: never the token itself."""
        state = {
            "accepted": self._accepted,
            "token_id": self._token_id,
            "farewell": self._farewell,
            "ran_out": self._ran_out,
            "spec_hash": self._spec_hash,
            "reports_every": self._reports_every,
        }
        return {key: value for key, value in state.items() if value}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over what an earlier object saved."""
        super().load_state(state)
        self._accepted = state.get("accepted")
        self._token_id = state.get("token_id")
        self._farewell = state.get("farewell", "")
        self._ran_out = state.get("ran_out", False)
        self._spec_hash = state.get("spec_hash", "")
        self._reports_every = state.get("reports_every", 0)

    def clear_state(self) -> None:
        """Forget the server; the accepted choice and the reason of its end stay."""
        super().clear_state()
        self._token_id = None
        self._spec_hash = ""
        self._reports_every = 0

    def _save(self) -> None:
        self.orm_spawner.state = self.get_state()
        self.user.db.commit()

    def _find_token_id(self) -> int | None:
        """The database id of this start's token. Hashes are compared only where needed, since that takes 10 ms."""
        found = orm.APIToken.find_prefix(self.user.db, self.api_token).filter_by(user_id=self.user.id).limit(2).all()
        token = found[0] if len(found) == 1 else orm.APIToken.find(self.user.db, self.api_token)
        return token.id if token else None

    def _revoke_token(self) -> None:
        token = self.user.db.get(orm.APIToken, self._token_id) if self._token_id is not None else None
        if token is not None:
            self.user.db.delete(token)
        self._token_id = None
        self._save()

    def _revoke_unsaved_tokens(self) -> None:
        """Revoke what a hub made for this server and was killed before `start` could save: the hub marks it so."""
        note = f"Server at {url_path_join(self.user.base_url, url_escape_path(self.name), '/')}"
        made = self.user.db.query(orm.APIToken).filter_by(user_id=self.user.id, client_id=_HUB_CLIENT, note=note).all()
        for token in made:
            self.user.db.delete(token)
        if made:
            self.user.db.commit()

    async def _follow(self) -> None:
        """Follow the running server from change to change; the hub is told of its end."""
        state = await self._backend().changed(self._ref(), None)
        while state.life is Life.RUNNING:
            if state.out_of_memory and not self._ran_out:
                self.log.warning("A program in %s ran out of memory, and was ended.", self._log_name)
                self._ran_out = True
                self._save()
            await self._route_to(state.address)
            state = await self._backend().changed(self._ref(), state)
        await self.poll_and_notify()

    async def _route_to(self, address: str) -> None:
        """Tell hub and proxy where the server is, if it has moved: a container may come back on another address."""
        there = urlsplit(address)
        if not address or (there.hostname, there.port) == (self.server.ip, self.server.port):
            return
        self.log.warning("%s is at %s now.", self._log_name, address)
        self.server.ip, self.server.port = there.hostname, there.port
        self.user.db.commit()
        await JupyterHub.instance().proxy.add_user(self.user, self.name)

    # Parts

    def _ref(self) -> ServerRef:
        return ServerRef(self.hub_id, self.user.name, self.name)

    def _spec(self, catalog: Catalog) -> ServerSpec:
        assert self._choice is not None  # noqa: S101 - the hub applies options before each start
        return build_spec(
            catalog,
            self.allowance(),
            self._choice,
            ref=self._ref(),
            home=self._home(),
            base_url=self.server.base_url,
            variables=self.get_env(),
            tls=self.internal_ssl,
        )

    def _tls(self) -> Tls | None:
        if not self.internal_ssl:
            return None
        key, certificate, authorities = (self.user.settings[f"internal_ssl_{part}"] for part in ("key", "cert", "ca"))
        return Tls(self._certificate, make_ssl_context(key, certificate, cafile=authorities))

    async def _certificate(self, address: str) -> dict[str, bytes]:
        """The files of a certificate for the server at an address, signed by the hub's own authority.

        The hub's own way keeps one for all servers of a user, and fails at long names.
        """
        names = await maybe_future(self.ssl_alt_names(self)) if callable(self.ssl_alt_names) else self.ssl_alt_names
        local = ["DNS:localhost", "IP:127.0.0.1"] if self.ssl_alt_names_include_local else []
        made = Certipy(store_dir=self.internal_certs_location).create_signed_pair(
            self._ref().name, _AUTHORITY, alt_names=[*local, *names, f"IP:{address}"], overwrite=True
        )
        files = made["files"]
        paths = {
            "keyfile": files["key"],
            "certfile": files["cert"],
            "cafile": self.internal_trust_bundles[_AUTHORITY],
        }
        return {kind: Path(path).read_bytes() for kind, path in paths.items()}  # noqa: ASYNC240 - small files

    def _home(self) -> HomeRef:
        own = HomeRef(self.hub_id, self.user.name, self.user.id)
        return HomeAssignments(Path(self.home_assignments)).home_of(own) if self.home_assignments else own

    def _catalog(self) -> Catalog:
        return self._catalog_file().catalog

    def _catalog_file(self) -> CatalogFile:
        return watched_catalog_file(Path(self.catalog))

    def _admissions(self) -> Admissions:
        return _admissions(self.hub_id)

    def _witnesses(self, allowance: Allowance) -> tuple[Backend, dict[str, list[str]]]:
        """What an admission asks: the backend for what runs, the hub's database for who is in a group."""
        limited = {name for name, total in allowance.totals.items() if total != Quota()}
        groups = {name: orm.Group.find(self.user.db, name) for name in limited}
        return self._backend(), {name: [user.name for user in group.users] for name, group in groups.items() if group}

    def _backend(self) -> Backend:
        catalog = self._catalog()
        if self.backend == "memory":
            return _memory_backend(frozenset(image.image for image in catalog.images))
        if self.backend == "kubernetes":
            return _kubernetes_backend(self.hub_id, catalog.kubernetes.namespace or "", self._catalog_file())
        return _docker_backend(self.hub_id, servers_network(catalog, self.hub_id), catalog.home.docker)


# One backend for the process and its settings: its connections, threads and event stream serve all
# spawners. Where the catalog's settings change, running servers are found by their labels all the same.


@cache
def _admissions(hub_id: str) -> Admissions:  # noqa: ARG001 - one for each hub
    return Admissions()


@cache
def _memory_backend(images: frozenset[str]) -> Backend:
    return MemoryBackend(dict.fromkeys(images, Behaviour.ANSWERS))


@cache
def _docker_backend(hub_id: str, network: str, homes: DockerHome) -> Backend:
    _keep_what_is_loaded()
    backend = DockerBackend(hub_id, network, homes)
    _SILENCE.labels(network).set_function(backend.silence)
    return backend


@cache
def _kubernetes_backend(hub_id: str, namespace: str, file: CatalogFile) -> Backend:
    # Imported where it is used: the client takes half a second, which a hub on Docker need not wait.
    from stateroom.backends.kubernetes import KubernetesBackend  # noqa: PLC0415
    from stateroom.backends.kubernetes.manifests import site_of  # noqa: PLC0415

    _keep_what_is_loaded()
    backend = KubernetesBackend(hub_id, namespace, lambda: site_of(file.catalog))
    _SILENCE.labels(namespace).set_function(backend.silence)
    return backend


@cache
def _keep_what_is_loaded() -> None:
    """Spare the loop Python's search through all that a hub has loaded for what can be freed: 0.14 s each time.

    What a hub has when it is first asked for a server stays for good, so it is looked through no more.
    """
    gc.freeze()


class _PrefillOnly(Exception):
    """A link filled in the form. The empty message keeps the hub from showing one."""

    jupyterhub_message = ""


def _refusal(refused: ChoiceRefused) -> web.HTTPError:
    """A choice was refused: a 400 that does not count as a failure of the hub (JupyterHub 6)."""
    message = str(refused)
    if _SpawnException is None:
        return _shown(web.HTTPError(400, message), message)
    # The reason is a label of the hub's metrics.
    reason = "quota" if isinstance(refused, QuotaExceeded) else "choice"
    return _shown(_SpawnException(message, reason=reason, status_code=400), message)


def _failure(error: StateroomError) -> web.HTTPError:
    status = 503 if isinstance(error, BackendUnavailable) else 500
    return _shown(web.HTTPError(status, str(error)), str(error))


def _shown(error: web.HTTPError, message: str) -> web.HTTPError:
    """With what the hub shows; its own rendering would add the class and the log's text."""
    vars(error).update(jupyterhub_message=message, is_expected=True)
    return error


def _without_expected_tracebacks(record: logging.LogRecord) -> bool:
    """The hub logs all that is raised in a start with its traceback; ours say all in their sentence."""
    error = record.exc_info[1] if record.exc_info else None
    if getattr(error, "is_expected", False):
        record.msg = f"{record.getMessage()}: {error}"
        record.args, record.exc_info, record.exc_text = (), None, None
    return not isinstance(error, _PrefillOnly)
