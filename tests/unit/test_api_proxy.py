"""The faulty API server's faults, before a real API server's answers are laid at their door."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from harness.api_proxy import ApiProxy, Fault, Mood, Request, request_of

PODS = "/api/v1/namespaces/rooms/pods"
WATCH = f"{PODS}?watch=true&resourceVersion=1"
ADDED = b'{"type":"ADDED","object":{"kind":"Pod"}}\n'


class Api(ThreadingHTTPServer):
    """Lists and makes pods, and tells watches what a test puts into `events`; None ends one, b"" breaks it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.made: list[bytes] = []
        self.events: Queue[bytes | None] = Queue()
        self.gone = threading.Event()  # a watching client

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: it would stand in what a later test reads."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Api

    def do_GET(self) -> None:
        if "watch=true" not in self.path:
            self.answer(200, b'{"kind":"PodList","items":[]}')
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            while event := self.server.events.get(timeout=30):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            if event is None:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = event is not None
        except OSError:
            self.server.gone.set()

    def do_POST(self) -> None:
        self.server.made.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(201, b'{"kind":"Pod"}')

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.events.put(b"")  # a watch that waits for more
        server.shutdown()


@pytest.fixture
def proxy(api: Api, tmp_path: Path) -> Iterator[ApiProxy]:
    kubeconfig = tmp_path / "real"
    content = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": f"http://127.0.0.1:{api.server_port}"}}],
        "users": [{"name": "x", "user": {}}],
    }
    kubeconfig.write_text(json.dumps(content))
    made = ApiProxy(kubeconfig)
    yield made
    made.close()


@pytest.fixture
def client(proxy: ApiProxy) -> Iterator[http.client.HTTPConnection]:
    host, _, port = proxy.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    yield connection
    connection.close()


Client = http.client.HTTPConnection


def ask(client: Client, method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
    client.request(method, path, body)
    return client.getresponse()


def listed(client: Client) -> int:
    """The status of a list that is read to its end."""
    answer = ask(client, "GET", PODS)
    answer.read()
    return answer.status


def watch(client: Client, api: Api) -> http.client.HTTPResponse:
    """A watch that has had its first event."""
    api.events.put(ADDED)
    answer = ask(client, "GET", WATCH)
    assert answer.readline() == ADDED
    return answer


@pytest.mark.parametrize(
    ("method", "path", "verb", "resource"),
    [
        ("GET", "/version", "get", ""),
        ("GET", "/api/v1", "get", ""),
        ("GET", "/apis/apps/v1", "get", ""),
        ("GET", "/api/v1/pods?limit=500", "list", "pods"),
        ("GET", PODS, "list", "pods"),
        ("GET", WATCH, "watch", "pods"),
        ("GET", f"{PODS}?watch=false", "list", "pods"),
        ("GET", f"{PODS}/ada", "get", "pods"),
        ("GET", f"{PODS}/ada/log?follow=true", "get", "pods/log"),
        ("POST", PODS, "create", "pods"),
        ("DELETE", f"{PODS}/ada", "delete", "pods"),
        ("DELETE", PODS, "deletecollection", "pods"),
        ("PATCH", f"{PODS}/ada/resize", "patch", "pods/resize"),
        ("GET", "/api/v1/namespaces", "list", "namespaces"),
        ("GET", "/api/v1/namespaces/rooms", "get", "namespaces"),
        ("GET", "/apis/storage.k8s.io/v1/storageclasses", "list", "storageclasses"),
        ("PUT", "/apis/networking.k8s.io/v1/namespaces/rooms/networkpolicies/a", "update", "networkpolicies"),
    ],
)
def test_requests_are_told_in_kubernetes_words(method: str, path: str, verb: str, resource: str) -> None:
    assert request_of(method, path) == Request(method, path, verb, resource)


def test_without_a_fault_all_passes_and_is_counted(proxy: ApiProxy, client: Client, api: Api) -> None:
    assert listed(client) == 200
    answer = ask(client, "POST", PODS, b"{}")
    assert (answer.status, answer.read(), api.made) == (201, b'{"kind":"Pod"}', [b"{}"])
    assert (proxy.asked("list", "pods"), proxy.asked("create"), proxy.asked()) == (1, 1, 2)
    assert proxy.connections == 1


def test_a_watch_passes_event_by_event_and_ends_in_order(proxy: ApiProxy, client: Client, api: Api) -> None:
    answer = watch(client, api)
    assert [str(one) for one in proxy.watches] == [f"GET {WATCH}"]
    api.events.put(ADDED)
    assert answer.readline() == ADDED
    api.events.put(None)
    assert answer.readline() == b""
    assert listed(client) == 200  # over the same connection
    assert proxy.watches == []


def test_a_client_that_leaves_a_watch_leaves_it_at_the_api_server_too(
    proxy: ApiProxy, client: Client, api: Api
) -> None:
    watch(client, api).close()
    client.close()
    until = time.monotonic() + 30
    while proxy.watches and time.monotonic() < until:
        time.sleep(0.01)
    while not api.gone.wait(0.01) and time.monotonic() < until:
        api.events.put(ADDED)
    assert (proxy.watches, proxy.connections, api.gone.is_set()) == ([], 0, True)


def test_an_api_server_that_dies_breaks_the_watch(proxy: ApiProxy, client: Client, api: Api) -> None:
    answer = watch(client, api)
    api.events.put(b"")
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    assert proxy.watches == []


@pytest.mark.parametrize(
    ("status", "reason"), [(401, "Unauthorized"), (403, "Forbidden"), (410, "Expired"), (503, "ServiceUnavailable")]
)
def test_it_refuses_what_fits_and_nothing_else(proxy: ApiProxy, client: Client, status: int, reason: str) -> None:
    with proxy.fault(Mood.REFUSES, verb="create", path="/pods$", status=status):
        answer = ask(client, "POST", PODS, b"{}")
        said = json.loads(answer.read())
        assert (answer.status, said["code"], said["reason"]) == (status, status, reason)
        assert listed(client) == 200
    assert ask(client, "POST", PODS, b"{}").status == 201


def test_it_refuses_so_many_times_with_the_time_to_wait(proxy: ApiProxy, client: Client) -> None:
    with proxy.fault(Mood.REFUSES, status=429, retry_after=7, times=1) as fault:
        answer = ask(client, "GET", PODS)
        answer.read()
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert listed(client) == 200
        assert fault.hits == 1


def test_a_new_watch_and_an_open_one_expire(proxy: ApiProxy, client: Client, api: Api) -> None:
    opened = watch(client, api)
    with proxy.fault(Mood.EXPIRES):
        said = json.loads(opened.readline())
        assert (said["type"], said["object"]["code"], opened.readline()) == ("ERROR", 410, b"")
        again = ask(client, "GET", WATCH)
        assert json.loads(again.readline())["object"]["code"] == 410
        assert again.read() == b""
        assert listed(client) == 200


def test_it_hangs_and_cuts_who_waited(proxy: ApiProxy, client: Client) -> None:
    fault = proxy.begin(Fault(Mood.HANGS))
    threading.Timer(0.1, proxy.end, [fault]).start()
    started = time.monotonic()
    with pytest.raises(http.client.RemoteDisconnected):
        ask(client, "GET", PODS)
    assert time.monotonic() - started > 0.09
    assert listed(client) == 200


def test_a_watch_falls_silent_and_tells_all_of_it_later(proxy: ApiProxy, client: Client, api: Api) -> None:
    answer = watch(client, api)
    assert client.sock is not None
    with proxy.fault(Mood.MUTES):
        api.events.put(ADDED)
        client.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.sock.recv(1, socket.MSG_PEEK)
        client.sock.settimeout(30)
    assert answer.readline() == ADDED


def test_it_cuts_requests_and_open_watches(proxy: ApiProxy, client: Client, api: Api) -> None:
    answer = watch(client, api)
    with proxy.fault(Mood.CUTS):
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        client.close()
        with pytest.raises(http.client.RemoteDisconnected):
            ask(client, "POST", PODS, b"{}")
    assert api.made == []


def test_it_breaks_off_in_the_midst(proxy: ApiProxy, client: Client) -> None:
    with proxy.fault(Mood.BREAKS), pytest.raises(http.client.IncompleteRead):
        ask(client, "GET", PODS).read()


def test_it_does_what_was_asked_and_loses_the_answer(proxy: ApiProxy, client: Client, api: Api) -> None:
    with proxy.fault(Mood.LOSES, method="POST"), pytest.raises(http.client.RemoteDisconnected):
        ask(client, "POST", PODS, b"{}")
    assert api.made == [b"{}"]


def test_it_answers_late(proxy: ApiProxy, client: Client) -> None:
    started = time.monotonic()
    with proxy.fault(Mood.STALLS, seconds=0.1):
        assert listed(client) == 200
    assert time.monotonic() - started > 0.09


def test_nobody_listens_and_then_it_does_at_the_same_place(proxy: ApiProxy, client: Client, api: Api) -> None:
    answer = watch(client, api)
    with proxy.fault(Mood.AWAY):
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
        client.close()
        with pytest.raises(ConnectionRefusedError):
            ask(client, "GET", PODS)
    client.close()
    assert listed(client) == 200


def test_its_kubeconfig_leads_to_it(proxy: ApiProxy, tmp_path: Path) -> None:
    content = json.loads(proxy.write_kubeconfig(tmp_path / "kubeconfig").read_text())
    assert content["clusters"][0]["cluster"] == {"server": proxy.url}
