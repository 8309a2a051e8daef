"""Code run in a notebook server, as a browser would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from uuid import uuid4

import requests
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from harness.hub import PATIENCE, Person

_Result = TypeVar("_Result")


class KernelAt:
    """A kernel of the notebook server at a URL."""

    def __init__(self, server: str, token: str, name: str, notebook: str = "") -> None:
        self._url = f"{server}/api/kernels"
        self._headers = {"Authorization": f"token {token}"}
        if notebook:
            session = {"path": notebook, "name": notebook, "type": "notebook", "kernel": {"name": name}}
            self.id = self._made(f"{server}/api/sessions", session)["kernel"]["id"]
        else:
            self.id = self._made(self._url, {"name": name})["id"]

    def _made(self, url: str, asked: dict[str, Any]) -> Any:
        answer = requests.post(url, headers=self._headers, json=asked, timeout=PATIENCE)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def run(self, code: str) -> str:
        """What the code prints; raises what goes wrong in it."""
        return _done(self._run(code))

    def messages(self, code: str, last: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """What is said once the code was sent, up to the message that `last` is true of."""
        return _done(self._messages(_request(code), last))

    @property
    def is_busy(self) -> bool:
        """Whether something runs, or waits to."""
        answer = requests.get(f"{self._url}/{self.id}", headers=self._headers, timeout=PATIENCE)
        return bool(answer.json()["execution_state"] != "idle")

    def interrupt(self) -> None:
        """End what runs."""
        self._post("interrupt")

    def restart(self) -> None:
        """Have a new process in the place of the old."""
        self._post("restart")

    def _post(self, verb: str) -> None:
        answer = requests.post(f"{self._url}/{self.id}/{verb}", headers=self._headers, timeout=PATIENCE)
        answer.raise_for_status()

    def stop(self) -> None:
        """End it."""
        requests.delete(f"{self._url}/{self.id}", headers=self._headers, timeout=PATIENCE).raise_for_status()

    def start(self, code: str) -> None:
        """Have the code run, and wait for nothing but the kernel's word that it is busy."""
        _done(self._start(code))

    async def _start(self, code: str) -> None:
        await self._messages(_request(code), lambda message: message["msg_type"] == "execute_input")

    async def _run(self, code: str) -> str:
        printed: list[str] = []
        request = _request(code)

        def last(message: dict[str, Any]) -> bool:
            if message["parent_header"].get("msg_id") != request["header"]["msg_id"]:
                return False  # what another page has asked for
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed.append(content["text"])
            if kind == "error":
                raise AssertionError("\n".join(content["traceback"]))
            return kind == "status" and content["execution_state"] == "idle" and bool(printed)

        await self._messages(request, last)
        return "".join(printed)

    async def _messages(self, request: dict[str, Any], last: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        url = f"{self._url}/{self.id}/channels".replace("http", "ws", 1)
        socket = await websocket_connect(HTTPRequest(url, headers=self._headers))
        try:
            await socket.write_message(json.dumps(request))
            found: list[dict[str, Any]] = []
            while (message := await socket.read_message()) is not None:
                found.append(json.loads(message))
                if last(found[-1]):
                    return found
        finally:
            socket.close()
            async with asyncio.timeout(10):
                while await socket.read_message() is not None:
                    pass  # until the other side has closed, too
        raise AssertionError("the server closed the connection")


class Kernel(KernelAt):
    """A Python kernel in the person's default server, through the hub's proxy."""

    def __init__(self, person: Person) -> None:
        super().__init__(f"{person.hub.url}/user/{person.name}", person.token, "python3")


def _done(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What it comes to, on a loop of its own: a browser that a test has opened holds this thread's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, asyncio.wait_for(work, PATIENCE)).result(PATIENCE + 30)


def _request(code: str) -> dict[str, Any]:
    header = {"msg_id": uuid4().hex, "msg_type": "execute_request", "username": "", "session": uuid4().hex}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    return {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
