"""Code run in a notebook server, as a browser would."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
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

    def __init__(self, server: str, token: str, name: str) -> None:
        self._url = f"{server}/api/kernels"
        self._headers = {"Authorization": f"token {token}"}
        answer = requests.post(self._url, headers=self._headers, json={"name": name}, timeout=PATIENCE)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]

    def run(self, code: str) -> str:
        """What the code prints; raises what goes wrong in it."""
        return _done(self._run(code))

    def stop(self) -> None:
        """End it."""
        requests.delete(f"{self._url}/{self.id}", headers=self._headers, timeout=PATIENCE).raise_for_status()

    def start(self, code: str) -> None:
        """Have the code run, and wait for nothing but the kernel's word that it is busy."""
        _done(self._start(code))

    async def _start(self, code: str) -> None:
        url = f"{self._url}/{self.id}/channels".replace("http", "ws", 1)
        socket = await websocket_connect(HTTPRequest(url, headers=self._headers))
        await socket.write_message(json.dumps(_request(code)))
        while (message := await socket.read_message()) is not None:
            reply: dict[str, Any] = json.loads(message)
            if reply["msg_type"] == "execute_input":
                break
        socket.close()
        while await socket.read_message() is not None:
            pass  # until the other side has closed, too

    async def _run(self, code: str) -> str:
        url = f"{self._url}/{self.id}/channels".replace("http", "ws", 1)
        socket = await websocket_connect(HTTPRequest(url, headers=self._headers))
        try:
            await socket.write_message(json.dumps(_request(code)))
            printed = ""
            while (message := await socket.read_message()) is not None:
                reply: dict[str, Any] = json.loads(message)
                kind, content = reply["msg_type"], reply["content"]
                if kind == "stream":
                    printed += content["text"]
                if kind == "error":
                    raise AssertionError("\n".join(content["traceback"]))
                if kind == "status" and content["execution_state"] == "idle" and printed:
                    return printed
        finally:
            socket.close()
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
        return thread.submit(asyncio.run, asyncio.wait_for(work, PATIENCE)).result()


def _request(code: str) -> dict[str, Any]:
    header = {"msg_id": uuid4().hex, "msg_type": "execute_request", "username": "", "session": uuid4().hex}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    return {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
