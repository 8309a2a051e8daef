"""Two hundred people press Start at once, with a minute for each start: all are served."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from harness.figures import Told
from harness.hub import Hub, call_api, progress_events
from harness.images import build_server

USERS = 200
IMAGE = "stateroom.test/tiny-server:1"
SERVER = """
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


HTTPServer(("0.0.0.0", 8888), Handler).serve_forever()
"""
CATALOG = """\
hub: {hub}
version: 1
images: [{{id: tiny, image: '{image}', default: true}}]
sizes: [{{id: tiny, cpu: 0.25, memory: 64 MiB, default: true}}]
start: {{timeout: 1 min}}
docker: {{capacity: {{memory: 10}}}}
"""


def test_all_are_served_or_told_their_place(hub: Hub, told: Told) -> None:
    build_server(hub.servers.engine, IMAGE, SERVER)
    hub.save_catalog(CATALOG.format(hub=hub.id, image=IMAGE))
    admin = hub.person("--admin")
    names = [f"many{number}" for number in range(USERS)]
    answer = admin.api("POST", "users", json={"usernames": names})
    assert answer.status_code == 201, answer.text
    with ThreadPoolExecutor(USERS) as pool:
        ends = list(pool.map(lambda name: start(hub, admin.token, name), names))
    statuses = Counter(status for status, _ in ends)
    assert set(statuses) <= {201, 202}, statuses
    failed = [messages[-1] for _, messages in ends if not messages[-1].startswith("Server ready")]
    assert failed == []
    waited = [message for _, messages in ends for message in messages if "before yours" in message]
    told(
        f"{USERS} people at once: {statuses}; {len(waited)} times one heard a place in the queue, such as {waited[:1]}."
    )
    assert waited
    assert len(hub.servers.engine.containers.list(filters={"label": f"io.stateroom.hub={hub.id}"})) == USERS


def start(hub: Hub, token: str, name: str) -> tuple[int, list[str]]:
    """Start a server and follow it to the end: the status, and what was said meanwhile."""
    status = call_api(hub, token, "POST", f"users/{name}/server").status_code
    messages = [event.get("message", "") for event in progress_events(hub, token, f"users/{name}/server")]
    return status, messages or ["nothing was said"]
