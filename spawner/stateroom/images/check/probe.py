"""What `stateroom images check` runs inside a container of an image: its server, and every kernel.

It is sent to the image's own Python, of any version from 3.9 on, so it imports
nothing but what every image that serves notebooks has. What it finds it tells
as lines of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import IO, Any

PORT = 8888
SECONDS = 60  # for the server, and for each kernel
PREFIX = "/user/check/"

# What each kernel is given to run, by its language; each prints 42.
CODE = {
    "python": "print(6 * 7)",
    "r": "cat(6 * 7)",
    "bash": "echo $((6 * 7))",
    "scala": "println(6 * 7)",
    "julia": "println(6 * 7)",
}

Tell = Callable[..., None]


def main(command: list[str]) -> None:
    tell = own_output()
    tell("facts", **facts())
    tell("doing", what="Starting its server")
    tell("server", **server(command))
    tell("doing", what="Listing its kernels")
    kernels = kernelspecs()
    tell("kernels", names=sorted(kernels))
    for name in sorted(kernels):
        tell("doing", what=f"Running its kernel {name}")
        tell("kernel", name=name, **kernel(name, kernels[name]["spec"].get("language", "")))
    tell("end")


def own_output() -> Tell:
    """Keeps standard output for what is told; whatever else writes there writes to standard error."""
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(kind: str, **what: Any) -> None:
        own.write(json.dumps({"kind": kind, **what}) + "\n")
        own.flush()

    return tell


def facts() -> dict[str, Any]:
    home = os.environ["JUPYTERHUB_ROOT_DIR"]
    return {
        "user": os.getuid(),
        "home": home,
        "writable": os.access(home, os.W_OK | os.X_OK),
        "cores": printed("nproc"),
        "jupyterhub": jupyterhub(),
        "singleuser": shutil.which("jupyterhub-singleuser") is not None,
    }


def jupyterhub() -> str:
    """The version, as its own command tells it, which may belong to another Python than this one."""
    return printed("jupyterhub-singleuser", "--version").split(" ")[0]


def printed(*command: str) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()


def server(command: list[str]) -> dict[str, Any]:
    """Start the image's own command as a hub does, until it answers; a hub that says yes to everything is here."""
    hub = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        environment = {**os.environ, **variables(f"http://127.0.0.1:{hub.server_port}/hub/api")}
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
            )
        except OSError as error:
            return {"seconds": 0, "problem": str(error)}
        try:
            while time.monotonic() - began < SECONDS:
                if answers():
                    return {"seconds": time.monotonic() - began, "problem": ""}
                if process.poll() is not None:
                    return {"seconds": 0, "problem": f"it ended with {process.returncode}; {last_words(output)}"}
                time.sleep(0.05)
            return {"seconds": 0, "problem": f"no answer within {SECONDS} s; {last_words(output)}"}
        finally:
            hub.shutdown()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def variables(api: str) -> dict[str, str]:
    return {
        "JUPYTERHUB_API_TOKEN": "check",
        "JPY_API_TOKEN": "check",
        "JUPYTERHUB_API_URL": api,
        "JUPYTERHUB_ACTIVITY_URL": f"{api}/users/check/activity",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-check",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
        "JUPYTERHUB_OAUTH_SCOPES": "[]",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": "[]",
        "JUPYTERHUB_USER": "check",
        "JUPYTERHUB_SERVER_NAME": "",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{PORT}{PREFIX}",
    }


class Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"version": "5.0.0"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's own word

    def log_message(self, *_: Any) -> None:
        pass


def answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{PREFIX}api", timeout=5):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500  # noqa: PLR2004 - the class of HTTP codes
    except OSError:
        return False


def kernelspecs() -> dict[str, Any]:
    found = json.loads(printed("jupyter", "kernelspec", "list", "--json") or "{}")
    kernels: dict[str, Any] = found.get("kernelspecs", {})
    return kernels


def kernel(name: str, language: str) -> dict[str, Any]:
    """Start a kernel, and have it print something where its language is known."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        try:
            problem = run(name, CODE.get(language.lower(), ""), output)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next kernel has its turn
            problem = f"{error or type(error).__name__}; {last_words(output)}"
    ran = language.lower() in CODE
    return {"language": language, "ran": ran, "seconds": time.monotonic() - began, "problem": problem}


def run(name: str, code: str, output: IO[bytes]) -> str:
    """What is wrong with what a kernel prints, "" if nothing."""
    from jupyter_client.manager import start_new_kernel  # noqa: PLC0415 - the image's

    manager, client = start_new_kernel(startup_timeout=SECONDS, kernel_name=name, stdout=output, stderr=output)
    try:
        said: list[str] = []
        if code:
            client.execute_interactive(
                code, timeout=SECONDS, allow_stdin=False, output_hook=lambda message: said.append(words(message))
            )
        text = "".join(said)
        return "" if "42" in text or not code else f'"{code}" printed "{text.strip()}"'
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def words(message: dict[str, Any]) -> str:
    content = message["content"]
    if message["msg_type"] == "error":
        return f"{content.get('ename')}: {content.get('evalue')}"
    return str(content.get("text") or (content.get("data") or {}).get("text/plain") or "")


def last_words(output: IO[bytes]) -> str:
    output.seek(0)
    lines = [line for line in output.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return f'it last wrote "{lines[-1].strip()[:200]}"' if lines else "it wrote nothing"


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
