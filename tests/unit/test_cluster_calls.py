"""The calls to a cluster's API, against a small server that answers as the API does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from stateroom.backends.kubernetes import answers
from stateroom.backends.kubernetes import api as cluster_module
from stateroom.backends.kubernetes.answers import Expired
from stateroom.backends.kubernetes.api import Cluster
from stateroom.common.errors import BackendError, BackendUnavailable, EngineRefused, NameTaken

Json = dict[str, Any]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
PODS = "/api/v1/namespaces/lab/pods"


def status(code: int, reason: str = "", message: str = "in the API's words", **more: Any) -> web.Response:
    """As the API tells of an error."""
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code, **more)


class Api:
    """Answers by a list, one after the other; the last for ever."""

    def __init__(self) -> None:
        self.address = ""
        self.called = asyncio.Event()
        self.asked: list[tuple[str, str, Json]] = []
        self.tokens: list[str] = []
        self.bodies: list[str] = []
        self.answers: list[web.Response | Answer] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.called.set()
        self.asked.append((request.method, request.path, dict(request.query)))
        self.tokens.append(request.headers.get("Authorization", ""))
        self.bodies.append(await request.text())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, web.Response):  # which can be sent only once
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers.copy())
        return await answer(request)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield api
    await runner.cleanup()


@pytest.fixture(autouse=True)
def kubeconfig(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose token is in a file of its own, which is read when it is loaded."""
    file = tmp_path / "kubeconfig"
    (tmp_path / "token").write_text("first")
    write_kubeconfig(file, api.address)
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return file


def write_kubeconfig(file: Path, address: str) -> None:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "hub", "namespace": "lab"}}],
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "hub", "user": {"tokenFile": str(file.parent / "token")}}],
    }
    file.write_text(yaml.safe_dump(content))


def hand_out(token: str, file: Path) -> None:
    (file.parent / "token").write_text(token)


def lose(file: Path) -> None:
    file.unlink()


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    yield cluster
    await cluster.close()


# Plain calls


async def test_the_namespace_is_the_kubeconfigs_where_the_catalog_names_none(api: Api, cluster: Cluster) -> None:
    api.answers = [web.json_response({"metadata": {"name": "a"}})]
    assert cluster.namespace == ""
    assert await cluster.read("pods", "a") == {"metadata": {"name": "a"}}
    assert cluster.namespace == "lab"
    assert api.asked == [("GET", f"{PODS}/a", {})]
    assert api.tokens == ["Bearer first"]


async def test_the_catalogs_namespace_wins(api: Api) -> None:
    api.answers = [web.json_response({})]
    cluster = Cluster("servers")
    await cluster.read("secrets", "a")
    await cluster.close()
    assert api.asked[0][1] == "/api/v1/namespaces/servers/secrets/a"


async def test_a_deletion_is_of_one_very_object_and_with_its_grace(api: Api, cluster: Cluster) -> None:
    api.answers = [web.json_response({})]
    await cluster.delete("pods", "a", "uid-1", 10.0)
    options = json.loads(api.bodies[0])
    assert options["preconditions"] == {"uid": "uid-1"}
    assert options["gracePeriodSeconds"] == 10


async def test_a_patch_is_a_merge_patch(api: Api, cluster: Cluster) -> None:
    kinds = []

    async def told(request: web.Request) -> web.Response:
        kinds.append(request.headers["Content-Type"])
        return web.json_response({"patched": True})

    api.answers = [told]
    assert await cluster.patch("pods", "a", {"spec": {"schedulingGates": []}}) == {"patched": True}
    assert kinds == ["application/merge-patch+json"]


async def test_a_trial_creates_nothing(api: Api, cluster: Cluster) -> None:
    api.answers = [web.json_response({})]
    await cluster.create("pods", {}, dry_run=True)
    assert api.asked[0][2] == {"dryRun": "All"}


async def test_a_list_is_read_in_pages_to_its_end(api: Api, cluster: Cluster) -> None:
    api.answers = [
        web.json_response({"metadata": {"continue": "more"}, "items": [1]}),
        web.json_response({"metadata": {}, "items": [2]}),
    ]
    found = [item async for page in cluster.pages("pods", "a=b") for item in page["items"]]
    assert found == [1, 2]
    assert "continue" not in api.asked[0][2]
    assert api.asked[1][2]["continue"] == "more"
    assert api.asked[1][2]["labelSelector"] == "a=b"


async def test_a_log_is_read_whatever_letters_it_holds(api: Api, cluster: Cluster) -> None:
    api.answers = [web.Response(body=b"ok \xff\n")]
    assert await cluster.log("a", "notebook", 20) == "ok \ufffd\n"


@pytest.mark.parametrize("code", [400, 404])
async def test_a_container_that_has_not_run_has_an_empty_log(api: Api, cluster: Cluster, code: int) -> None:
    api.answers = [status(code, "BadRequest", 'container "notebook" in pod "a" is waiting to start')]
    assert await cluster.log("a", "notebook", 20) == ""


# Errors


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", EngineRefused),
        (401, "Unauthorized", BackendUnavailable),
        (403, "Forbidden", EngineRefused),
        (404, "NotFound", EngineRefused),
        (409, "AlreadyExists", NameTaken),
        (410, "Expired", Expired),
        (422, "Invalid", EngineRefused),
        (500, "InternalError", BackendUnavailable),
        (503, "ServiceUnavailable", BackendUnavailable),
    ],
)
async def test_an_error_is_told_by_its_kind(
    api: Api, cluster: Cluster, code: int, reason: str, kind: type[BackendError]
) -> None:
    api.answers = [status(code, reason)]
    with pytest.raises(BackendError) as caught:
        await cluster.create("pods", {})
    assert isinstance(caught.value, kind)
    assert "in the API's words" in caught.value.message + caught.value.detail
    if kind is BackendUnavailable:
        assert "in the API's words" not in caught.value.message, "that is nobody else's business"


async def test_a_namespace_that_is_not_there_is_told_in_the_apis_words(api: Api, cluster: Cluster) -> None:
    api.answers = [status(404, "NotFound", 'namespaces "lab" not found')]
    with pytest.raises(EngineRefused, match='namespaces "lab" not found'):
        await cluster.create("pods", {})


async def test_what_is_not_there_is_none_and_needs_no_deletion(api: Api, cluster: Cluster) -> None:
    api.answers = [status(404, "NotFound")]
    assert await cluster.read("pods", "a") is None
    assert await cluster.patch("pods", "a", {}) is None
    await cluster.delete("pods", "a", "uid-1")


async def test_another_object_under_the_name_is_left_alone(api: Api, cluster: Cluster) -> None:
    api.answers = [status(409, "Conflict", "the UID in the precondition does not match")]
    await cluster.delete("pods", "a", "uid-1")
    assert len(api.asked) == 1


@pytest.mark.parametrize("body", ["<html>login</html>", "", "[]", '"a"', "\xff"])
async def test_an_error_of_what_stands_before_the_api_is_told_too(api: Api, cluster: Cluster, body: str) -> None:
    api.answers = [web.Response(status=502, body=body.encode("latin-1"), content_type="text/html")]
    with pytest.raises(BackendUnavailable):
        await cluster.read("pods", "a")


@pytest.mark.parametrize("body", ["<html>login</html>", "", '{"half":'])
async def test_an_answer_that_is_none_of_the_apis_is_no_answer(api: Api, cluster: Cluster, body: str) -> None:
    api.answers = [web.Response(text=body, content_type="text/html")]
    with pytest.raises(BackendUnavailable):
        await cluster.read("pods", "a")


async def test_nobody_who_answers_is_unavailable(kubeconfig: Path) -> None:
    write_kubeconfig(kubeconfig, "http://127.0.0.1:1")
    cluster = Cluster()
    with pytest.raises(BackendUnavailable, match="does not answer"):
        await cluster.read("pods", "a")
    await cluster.close()


async def test_an_api_that_hangs_is_unavailable(api: Api, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.json_response({})

    api.answers = [hang]
    monkeypatch.setattr(Cluster._json, "__defaults__", (None, None, 0.2))  # instead of 20 s
    with pytest.raises(BackendUnavailable, match="does not answer"):
        await cluster.read("pods", "a")


async def test_an_answer_that_breaks_off_is_unavailable(api: Api, cluster: Cluster) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"metadata": ')
        assert request.transport is not None
        request.transport.close()
        return response

    api.answers = [half]
    with pytest.raises(BackendUnavailable, match="does not answer"):
        await cluster.read("pods", "a")


# Sent again


async def test_what_the_api_asks_to_be_sent_again_is_sent_again(api: Api, cluster: Cluster) -> None:
    api.answers = [
        status(429, "TooManyRequests", headers={"Retry-After": "0"}),
        status(503, "ServiceUnavailable", headers={"Retry-After": "0"}),
        web.json_response({"made": True}),
    ]
    assert await cluster.create("pods", {"a": 1}) == {"made": True}
    assert api.bodies == ['{"a": 1}'] * 3


async def test_it_is_sent_again_after_the_time_that_the_api_says_and_not_for_ever(
    api: Api, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_LONGEST_RETRY_AFTER", 0.05)
    api.answers = [status(429, "TooManyRequests", headers={"Retry-After": "3600"})]
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match="too much to do"):
        await cluster.read("pods", "a")
    assert len(api.asked) == 1 + cluster_module._SENT_AGAIN
    assert time.monotonic() - began >= 0.05 * cluster_module._SENT_AGAIN


async def test_an_error_that_names_no_time_is_not_sent_again(api: Api, cluster: Cluster) -> None:
    api.answers = [status(500, "InternalError")]
    with pytest.raises(BackendUnavailable):
        await cluster.create("pods", {})
    assert len(api.asked) == 1


@pytest.mark.parametrize("verb", ["create", "patch"])
async def test_a_write_that_met_another_is_sent_again(api: Api, cluster: Cluster, verb: str) -> None:
    """As with a quota when many servers are started at once; nothing has been done then."""
    words = 'Operation cannot be fulfilled on resourcequotas "servers": the object has been modified'
    api.answers = [status(409, "Conflict", words), status(409, "Conflict", words), web.json_response({"made": True})]
    if verb == "create":
        assert await cluster.create("pods", {}) == {"made": True}
    else:
        assert await cluster.patch("pods", "a", {}) == {"made": True}


# Credentials


async def test_a_token_that_has_expired_is_read_anew(
    api: Api, cluster: Cluster, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_RENEWAL_PAUSE", 0.0)
    take_only(api, "first")
    await cluster.read("pods", "a")
    hand_out("second", kubeconfig)
    take_only(api, "second")
    assert await cluster.read("pods", "a") == {}
    assert api.tokens == ["Bearer first", "Bearer first", "Bearer second"]


async def test_credentials_that_are_not_taken_are_not_read_over_and_over(api: Api, cluster: Cluster) -> None:
    take_only(api, "another")
    for _ in range(3):
        with pytest.raises(BackendUnavailable, match="does not take the hub's credentials"):
            await cluster.read("pods", "a")
    assert len(api.asked) == 3


async def test_all_calls_that_meet_an_expired_token_go_on_with_the_new_one(
    api: Api, cluster: Cluster, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_only(api, "first")
    await cluster.read("pods", "a")
    hand_out("second", kubeconfig)
    take_only(api, "second")
    monkeypatch.setattr(cluster, "_loaded", time.monotonic() - 60)
    assert await asyncio.gather(*(cluster.read("pods", f"pod-{number}") for number in range(20))) == [{}] * 20


async def test_new_credentials_do_not_cut_calls_that_are_under_way(
    api: Api, cluster: Cluster, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        if request.path.endswith("/slow"):
            await asyncio.wait_for(go_on.wait(), 30)
            return web.json_response({"slow": True})
        taken = request.headers["Authorization"] == "Bearer second"
        return web.json_response({}) if taken else status(401, "Unauthorized")

    api.answers = [slow]
    under_way = asyncio.create_task(cluster.read("pods", "slow"))
    await asyncio.wait_for(api.called.wait(), 30)
    hand_out("second", kubeconfig)
    monkeypatch.setattr(cluster, "_loaded", time.monotonic() - 60)
    assert await cluster.read("pods", "a") == {}
    go_on.set()
    assert await under_way == {"slow": True}


def take_only(api: Api, token: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        taken = request.headers["Authorization"] == f"Bearer {token}"
        return web.json_response({}) if taken else status(401, "Unauthorized")

    api.answers = [answer]


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "- a", "a: b", "current-context: gone\ncontexts: []", "\x00"],
)
async def test_a_kubeconfig_that_cannot_be_used_is_told_in_a_sentence(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "broken"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("KUBECONFIG", str(file))
    cluster = Cluster()
    with pytest.raises(BackendUnavailable, match="An administrator must set KUBECONFIG"):
        await cluster.read("pods", "a")
    await cluster.close()


async def test_credentials_that_are_gone_when_they_are_needed_anew_are_told_and_come_back(
    api: Api, cluster: Cluster, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_RENEWAL_PAUSE", 0.0)
    take_only(api, "first")
    await cluster.read("pods", "a")
    take_only(api, "second")
    lose(kubeconfig)
    with pytest.raises(BackendUnavailable):
        await cluster.read("pods", "a")
    hand_out("second", kubeconfig)
    write_kubeconfig(kubeconfig, api.address)
    assert await cluster.read("pods", "a") == {}


# Watches


def changing(*lines: bytes, cut: bool = False) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        if cut and request.transport is not None:
            request.transport.close()
        return response

    return answer


def change(kind: str, name: str) -> bytes:
    return json.dumps({"type": kind, "object": {"metadata": {"name": name}}}).encode() + b"\n"


async def heard(cluster: Cluster) -> list[str]:
    return [one["object"]["metadata"]["name"] async for one in cluster.changes("pods", {"resourceVersion": "7"}, 30)]


async def test_a_watch_tells_line_by_line_and_ends_in_its_time(api: Api, cluster: Cluster) -> None:
    first, second = change("ADDED", "a"), change("MODIFIED", "b" * 300_000)
    api.answers = [changing(first[:10], first[10:] + second)]
    assert await heard(cluster) == ["a", "b" * 300_000]
    query = api.asked[0][2]
    assert (query["watch"], query["timeoutSeconds"], query["resourceVersion"]) == ("1", "30", "7")
    assert query["allowWatchBookmarks"] == "true"


async def test_a_version_that_is_forgotten_is_told_within_a_watch_and_before_it(api: Api, cluster: Cluster) -> None:
    gone = json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}).encode()
    api.answers = [changing(change("ADDED", "a"), gone + b"\n"), status(410, "Expired")]
    for _ in range(2):
        with pytest.raises(Expired):
            await heard(cluster)


@pytest.mark.parametrize(
    "answer",
    [
        changing(change("ADDED", "a"), cut=True),
        changing(change("ADDED", "a")[:-20]),
        changing(b'{"type": "ERROR", "object": {"code": 500, "message": "etcd"}}\n'),
        changing(b'{"type": "ERROR", "object": {}}\n'),
        changing(b"<html>\n"),
        changing(b"[]\n"),
        changing(b'{"kind": "Status"}\n'),
        status(503, "ServiceUnavailable"),
    ],
)
async def test_a_watch_that_breaks_is_unavailable_and_says_nothing_of_servers(
    api: Api, cluster: Cluster, answer: web.Response | Answer
) -> None:
    api.answers = [answer]
    with pytest.raises(BackendUnavailable) as caught:
        await heard(cluster)
    assert not isinstance(caught.value, Expired)


async def test_a_watch_that_falls_silent_past_its_time_is_given_up(
    api: Api, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    api.answers = [silent]
    monkeypatch.setattr(cluster_module, "_WATCH_GRACE", 0.2)
    with pytest.raises(BackendUnavailable):
        async for _ in cluster.changes("pods", {}, 0):
            pass


async def test_the_loop_turns_while_a_watch_has_much_to_tell(
    api: Api, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster_module._SLICE <= 0.01
    monkeypatch.setattr(cluster_module, "_SLICE", -1)  # each change takes longer, on any machine
    api.answers = [changing(*[change("ADDED", "x" * 50)] * 4000)]
    turn, over = 0, False

    async def count() -> None:
        nonlocal turn
        while not over:
            await asyncio.sleep(0)
            turn += 1

    counting = asyncio.create_task(count())
    turns = [turn async for _ in cluster.changes("pods", {"resourceVersion": "7"}, 30)]
    over = True
    await counting
    assert len(turns) == 4000
    assert len(set(turns)) > 3900, "a turn for each change, whatever came in one piece"


async def test_those_who_call_at_once_go_on_in_a_turn_of_the_loop_each(api: Api, cluster: Cluster) -> None:
    api.answers = [web.json_response({})]
    turn, over = 0, False

    async def count() -> None:
        nonlocal turn
        while not over:
            await asyncio.sleep(0)
            turn += 1

    async def call() -> int:
        await cluster.create("pods", {})
        return turn

    counting = asyncio.create_task(count())
    turns = await asyncio.gather(*(call() for _ in range(50)))
    over = True
    await counting
    assert len(set(turns)) == 50
    assert len(api.asked) == 50


# Writes whose callers leave


@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
async def test_a_write_is_seen_to_its_end_when_its_caller_leaves(api: Api, cluster: Cluster, verb: str) -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await asyncio.wait_for(go_on.wait(), 30)
        done.set()
        return web.json_response({})

    api.answers = [slow]
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "create": lambda: cluster.create("pods", {}),
        "patch": lambda: cluster.patch("pods", "a", {}),
        "delete": lambda: cluster.delete("pods", "a", "uid-1"),
    }
    caller = asyncio.ensure_future(calls[verb]())
    await asyncio.wait_for(api.called.wait(), 30)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    settled = asyncio.create_task(cluster.settled())
    await asyncio.sleep(0.05)
    assert not settled.done()
    go_on.set()
    await settled
    assert done.is_set()


async def test_a_write_that_fails_after_its_caller_left_troubles_nobody(api: Api, cluster: Cluster) -> None:
    go_on = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await asyncio.wait_for(go_on.wait(), 30)
        return status(500, "InternalError")

    api.answers = [slow]
    caller = asyncio.ensure_future(cluster.create("pods", {}))
    await asyncio.wait_for(api.called.wait(), 30)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await cluster.settled()
    await cluster.settled()
