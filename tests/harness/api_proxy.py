"""Stands between a client and the real API server: counts requests, and fails as an API server in trouble does.

Plain HTTP on the loopback interface towards the client, whose credentials are of
no interest; to the API server it is whoever the kubeconfig says, with a client
certificate. Watches pass event by event. Upgraded connections (exec, attach,
port-forward) do not pass.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import tempfile
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

_CHUNK = 64 * 1024
_LONGEST_FAULT_SECONDS = 600.0
_OBJECT = re.compile(
    r"/(?:api|apis/[^/]+)/[^/]+(?:/namespaces/[^/]+(?=/))?/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<part>.+))?)?"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
# Either side decides these for its own connection.
_NOT_PASSED_ON = {"host", "connection", "keep-alive", "content-length", "transfer-encoding", "upgrade", "authorization"}


class Mood(Enum):
    """How the API server behaves towards requests that a fault is for."""

    REFUSES = "answers with a status"
    EXPIRES = "sends the event 410 to watches, new and open, and ends them"
    AWAY = "nobody listens; whichever request it is for"
    HANGS = "takes requests and answers none; cuts them when it is over"
    MUTES = "sends watches, new and open, no more bytes until it is over; then what came meanwhile"
    CUTS = "closes connections, those of open watches too"
    BREAKS = "breaks off in the midst of an answer"
    LOSES = "does what was asked, and cuts instead of answering"
    STALLS = "answers after some seconds"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked: `verb` and `resource` are in the words of Kubernetes' own access rules."""

    method: str
    path: str  # with the query
    verb: str  # get, list, watch, create, update, patch, delete or deletecollection
    resource: str  # pods, pods/log; "" for what is no object, such as /version

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True, eq=False)
class Fault:
    """A mood towards some requests. What is left out fits all."""

    mood: Mood
    method: str = ""
    verb: str = ""
    path: str = ""  # a regular expression, found anywhere in path and query
    times: int | None = None  # so many requests only
    status: int = 500  # REFUSES
    retry_after: int | None = None  # REFUSES; seconds
    seconds: float = 3.0  # STALLS
    hits: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def fits(self, request: Request) -> bool:
        """Whether the request is one of those."""
        return (
            self.method in {"", request.method}
            and self.verb in {"", request.verb}
            and re.search(self.path, request.path) is not None
            and (self.mood not in {Mood.EXPIRES, Mood.MUTES} or request.verb == "watch")
        )


class ApiProxy:
    """A port at which the real API server answers, as long as no fault is for the request."""

    def __init__(self, kubeconfig: Path, port: int = 0) -> None:
        self.requests: list[Request] = []
        # Hears of each request before anything becomes of it; holds it up while it works.
        self.passing: Callable[[Request], None] = lambda _: None
        self._api = _ApiServer(kubeconfig)
        self._faults: list[Fault] = []
        self._open: set[socket.socket] = set()
        self._streams: set[_Stream] = set()
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._port = port
        self._listen()

    @property
    def url(self) -> str:
        """Where it answers; stays the same while nobody listens."""
        return f"http://127.0.0.1:{self._port}"

    def write_kubeconfig(self, path: Path) -> Path:
        """A kubeconfig that leads here."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proxy", "cluster": {"server": self.url}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
            "current-context": "proxy",
        }
        path.write_text(json.dumps(content))
        return path

    @contextmanager
    def fault(self, mood: Mood, **particulars: Any) -> Iterator[Fault]:
        """Fail for a while; the particulars are Fault's fields."""
        fault = self.begin(Fault(mood, **particulars))
        try:
            yield fault
        finally:
            self.end(fault)

    def begin(self, fault: Fault) -> Fault:
        """Fail from now on. Of several faults that fit a request, the one that began last is taken."""
        with self._lock:
            self._faults.insert(0, fault)
            streams = [stream for stream in self._streams if fault.fits(stream.request)]
        if fault.mood is Mood.AWAY:
            self.close()
        elif fault.mood is Mood.EXPIRES:
            for stream in streams:
                stream.expire()
        elif fault.mood is Mood.CUTS:
            for stream in streams:
                stream.cut()
        return fault

    def end(self, fault: Fault) -> None:
        """Be well again, as far as this fault goes."""
        with self._lock:
            self._faults.remove(fault)
        fault.over.set()
        if fault.mood is Mood.AWAY:
            self._listen()

    def asked(self, verb: str = "", resource: str = "") -> int:
        """How many requests there were: `asked("list", "pods") == 1`."""
        return sum(verb in {"", one.verb} and resource in {"", one.resource} for one in list(self.requests))

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        with self._lock:
            return len(self._open)

    @property
    def watches(self) -> list[Request]:
        """The watches that are open now."""
        with self._lock:
            return [stream.request for stream in self._streams if stream.request.verb == "watch"]

    def close(self) -> None:
        """Cut all connections and take no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """End the connections of now, in the middle of whatever goes on."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _shut(connection)

    def _listen(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), partial(_Handler, self))
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    # For the handlers of connections

    def _connected(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def _disconnected(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def _fault_of(self, request: Request) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.fits(request) and (fault.times is None or fault.hits < fault.times):
                    fault.hits += 1
                    return fault
        return None

    def _wait_while_mute(self, request: Request) -> None:
        with self._lock:
            mute = [fault for fault in self._faults if fault.mood is Mood.MUTES and fault.fits(request)]
        for fault in mute:
            fault.over.wait(_LONGEST_FAULT_SECONDS)

    @contextmanager
    def _streaming(self, stream: _Stream) -> Iterator[None]:
        with self._lock:
            self._streams.add(stream)
        try:
            yield
        except (OSError, HTTPException):
            if not stream.ended:
                raise
        finally:
            with self._lock:
                self._streams.discard(stream)


class _ApiServer:
    """The real one."""

    def __init__(self, kubeconfig: Path) -> None:
        content = yaml.safe_load(kubeconfig.read_text())
        context = _named(content["contexts"], content["current-context"])["context"]
        cluster = _named(content["clusters"], context["cluster"])["cluster"]
        self._at = urlsplit(cluster["server"])
        self._tls = None
        if self._at.scheme == "https":
            user = _named(content["users"], context["user"])["user"]
            self._tls = ssl.create_default_context(cadata=_data(cluster, "certificate-authority"))
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # ssl reads certificates from files only
                file.write(_data(user, "client-key") + "\n" + _data(user, "client-certificate"))
                file.flush()
                self._tls.load_cert_chain(file.name)

    def connection(self) -> HTTPConnection:
        """A new one for each request: one that is kept may have died meanwhile, which the client would not know."""
        host = self._at.hostname or ""
        if self._tls:
            return HTTPSConnection(host, self._at.port or 443, context=self._tls)
        return HTTPConnection(host, self._at.port or 80)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hung up, is cut or finds no API server is what this is about."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client: one request after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, proxy: ApiProxy, *about: Any) -> None:
        self.proxy = proxy
        super().__init__(*about)  # serves all there is to serve

    def setup(self) -> None:
        super().setup()
        self.proxy._connected(self.connection)

    def finish(self) -> None:
        self.proxy._disconnected(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass

    def serve(self) -> None:
        request = request_of(self.command, self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.proxy.requests.append(request)
        self.proxy.passing(request)
        fault = self.proxy._fault_of(request)
        match fault.mood if fault else None:
            case Mood.REFUSES:
                assert fault is not None
                self._refuse(fault)
            case Mood.EXPIRES:
                self._say(200, _gone_event())
            case Mood.HANGS:
                assert fault is not None
                fault.over.wait(_LONGEST_FAULT_SECONDS)
                self._cut()
            case Mood.CUTS | Mood.AWAY:
                self._cut()
            case Mood.STALLS:
                assert fault is not None
                fault.over.wait(fault.seconds)
                self._pass_on(request, body, None)
            case mood:
                self._pass_on(request, body, mood)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815 - the base class looks for these

    def _refuse(self, fault: Fault) -> None:
        message = f"the API server is not in the mood: {fault.status}"
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        self._say(fault.status, json.dumps(_status(fault.status, message)).encode(), headers)

    def _pass_on(self, request: Request, body: bytes, mood: Mood | None) -> None:
        connection = self.proxy._api.connection()
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
            connection.request(self.command, self.path, body or None, headers)
            api = connection.sock
            answer = connection.getresponse()
            if mood is Mood.LOSES:
                self._cut()
            elif answer.length is not None:
                self._say_all(answer, mood)
            else:
                self._say_as_it_comes(request, api, answer, mood)
        except (OSError, HTTPException):  # either side is gone: so is the other
            self._cut()
        finally:
            connection.close()

    def _say_all(self, answer: HTTPResponse, mood: Mood | None) -> None:
        body = answer.read()
        self._begin_answer(answer)
        self.send_header("Content-Length", answer.headers["Content-Length"])
        self.end_headers()
        if mood is Mood.BREAKS:
            self.wfile.write(body[: len(body) // 2])
            self._cut()
        else:
            self.wfile.write(body)

    def _say_as_it_comes(self, request: Request, api: socket.socket, answer: HTTPResponse, mood: Mood | None) -> None:
        self._begin_answer(answer)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        stream = _Stream(request, self.connection, api)
        threading.Thread(target=stream.end_with_client, daemon=True).start()
        with self.proxy._streaming(stream):
            for piece in _pieces(answer, whole_lines=request.verb == "watch"):
                if mood is Mood.BREAKS:
                    stream.send(piece[: len(piece) // 2])
                    self._cut()
                    return
                self.proxy._wait_while_mute(request)
                stream.send(piece)
            stream.finish()

    def _begin_answer(self, answer: HTTPResponse) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        own = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in (own | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        _shut(self.connection)


class _Stream:
    """An answer whose length nobody knows, in chunks of HTTP: a watch's are whole events."""

    def __init__(self, request: Request, client: socket.socket, api: socket.socket) -> None:
        self.request = request
        self._client = client
        self._api = api
        self.ended = False
        self._lock = threading.Lock()

    def send(self, piece: bytes) -> None:
        with self._lock:
            if not self.ended:
                self._client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))

    def finish(self) -> None:
        with self._lock:
            if not self.ended:
                self.ended = True
                self._client.sendall(b"0\r\n\r\n")

    def expire(self) -> None:
        with contextlib.suppress(OSError):
            self.send(_gone_event())
            self.finish()
        _shut(self._api)

    def cut(self) -> None:
        _shut(self._client)
        _shut(self._api)

    def end_with_client(self) -> None:
        """Nobody asks on while an answer goes on: what can be read here is the client's end."""
        with contextlib.suppress(OSError):
            if self._client.recv(1, socket.MSG_PEEK):
                return
        _shut(self._api)


def _pieces(answer: HTTPResponse, *, whole_lines: bool) -> Iterator[bytes]:
    """What comes, as it comes."""
    # HTTPResponse's own readline takes a connection that breaks for an end in order.
    kept = b""
    while piece := answer.read1(_CHUNK):
        if whole_lines:
            lines, newline, kept = (kept + piece).rpartition(b"\n")
            piece = lines + newline
        if piece:
            yield piece
    if kept:
        yield kept


def request_of(method: str, path: str) -> Request:
    """What a client asked, in Kubernetes' words."""
    split = urlsplit(path)
    found = _OBJECT.fullmatch(split.path.rstrip("/"))
    if found is None:
        return Request(method, path, _VERBS.get(method, ""), "")
    verb = _VERBS.get(method, "")
    if found["name"] is None:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    if method == "GET" and parse_qs(split.query).get("watch", ["false"])[0] in {"true", "True", "1"}:
        verb = "watch"
    return Request(method, path, verb, "/".join(filter(None, (found["resource"], found["part"]))))


def _status(code: int, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(code, "Unknown"),
        "code": code,
    }


def _gone_event() -> bytes:
    event = {"type": "ERROR", "object": _status(410, "too old resource version: 1 (2)")}
    return json.dumps(event).encode() + b"\n"


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _data(entry: dict[str, Any], key: str) -> str:
    """A part of a kubeconfig: in it, or in a file that it names."""
    if inline := entry.get(f"{key}-data"):
        return b64decode(inline).decode()
    return Path(entry[key]).read_text()


def _shut(connection: socket.socket) -> None:
    # Past TLS, whose own way to end a connection is not for another thread than the one that reads.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
