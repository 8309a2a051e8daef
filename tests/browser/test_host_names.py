"""What a page of another user's server gets from whoever opens it: nothing, where each user has a host name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from harness.certificates import make_certificate
from harness.chromium import PATIENCE, PROFILE
from harness.hub import Hub, HubOfNames, Person
from harness.images import build_server
from harness.resolver import leading_to
from harness.skips import skip_without_image

IMAGE = "stateroom.test/hostile-page:1"
# Answers whoever asks, without a login. What it finds out is the page's title.
SERVER = r'''
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = """<!doctype html><title>busy</title><body><script>
const [hub, victim, name] = new URLSearchParams(location.search).getAll("at");
const got = {};
const text = async (url, how) => (await fetch(url, {credentials: "include", ...how})).text();
const within = (promise) => Promise.race([promise, new Promise((_, no) => setTimeout(no, 8000))]);
const attempts = {
  script: async () => (await text(`${hub}/hub/home`)).includes(name),
  api: async () => (await text(`${hub}/hub/api/user`)).includes(name),
  server: async () => (await text(`${victim}/api/contents`)).includes("content"),
  frame: () => new Promise((yes) => {
    const frame = document.body.appendChild(document.createElement("iframe"));
    frame.onload = () => yes(frame.contentDocument !== null && frame.contentDocument.body.innerText.includes(name));
    frame.src = `${hub}/hub/home`;
  }),
  popup: () => new Promise((yes) => {
    const popup = open(`${hub}/hub/token`);
    const look = () => { try { return popup.document.body.innerText.includes(name); } catch { return false; } };
    setTimeout(() => yes(look()), 4000);
  }),
  form: async () => {
    const users = `${hub}/hub/api/users/${name}`;
    for (const action of [`${users}/tokens`, `${users}/servers/by-form`, `${hub}/hub/spawn/${name}/by-form`,
        `${victim}/api/kernels`, `${victim}/api/terminals`]) {
      const form = document.body.appendChild(document.createElement("form"));
      const frame = document.body.appendChild(document.createElement("iframe"));
      frame.name = form.target = `f${Math.random()}`;
      Object.assign(form, {action, method: "post"});
      form.submit();
    }
    await new Promise((go) => setTimeout(go, 3000));
    return false;  // the test looks for what came of it
  },
  worker: async () => {
    const to = await navigator.serviceWorker.register("worker.js", {scope: "/"});
    await new Promise((go) => setTimeout(go, 1000));
    return (await text(`${hub}/hub/health`)).includes("taken over");
  },
  socket: () => new Promise((yes) => {
    const socket = new WebSocket(`${victim}/api/events/subscribe`.replace("http", "ws"));
    socket.onopen = () => yes(true);
    socket.onerror = socket.onclose = () => yes(false);
  }),
  hub_socket: () => new Promise((yes) => {
    const socket = new WebSocket(`${hub}/hub/api/users/${name}/server/progress`.replace("http", "ws"));
    socket.onopen = () => yes(true);
    socket.onerror = socket.onclose = () => yes(false);
  }),
  cookies: async () => /jupyterhub-hub-login/.test(document.cookie) || document.cookie.includes(`-user-${name}`),
};
(async () => {
  for (const [name, attempt] of Object.entries(attempts)) {
    try { got[name] = await within(attempt()); } catch { got[name] = false; }
  }
  document.title = JSON.stringify(got);
})();
</script>"""
WORKER = 'onfetch = (event) => event.respondWith(new Response("taken over"))'


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        is_worker = "worker.js" in self.path
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if is_worker else "text/html")
        self.send_header("Service-Worker-Allowed", "/")
        self.end_headers()
        self.wfile.write((WORKER if is_worker else PAGE).encode())


ThreadingHTTPServer(("0.0.0.0", 8888), Handler).serve_forever()
'''
NOTHING = dict.fromkeys(
    ["script", "api", "server", "frame", "popup", "form", "worker", "socket", "hub_socket", "cookies"], False
)


class HubWithTls(HubOfNames):
    """A hub of host names with a certificate of its own."""

    scheme = "https"

    def __init__(self, data: Path) -> None:
        self.certificate = data / "tls.pem"
        key = data / "tls.key"
        make_certificate(
            self.certificate, key, "hub.localhost", "DNS:hub.localhost", "DNS:*.hub.localhost", "IP:127.0.0.1"
        )
        super().__init__(data, "--tls-cert", str(self.certificate), "--tls-key", str(key))


@pytest.fixture(scope="module", params=[HubOfNames, HubWithTls], ids=["http", "https"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubOfNames]:
    skip_without_image()
    hub = request.param(tmp_path_factory.mktemp("hub-of-names"))
    with leading_to("127.0.0.1", "localhost"), pytest.MonkeyPatch.context() as trusted:
        if isinstance(hub, HubWithTls):
            trusted.setenv("REQUESTS_CA_BUNDLE", str(hub.certificate))
        with offering_hostile_image(hub):
            yield hub


@pytest.fixture(scope="module")
def one_name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    skip_without_image()
    hub = Hub(tmp_path_factory.mktemp("hub-of-one-name"))
    with offering_hostile_image(hub):
        yield hub


@contextmanager
def offering_hostile_image(hub: Hub) -> Iterator[None]:
    """The hub runs, with the image in its catalog."""
    entry = f"images:\n  - {{id: hostile, title: Hostile, image: '{IMAGE}'}}\n"
    try:
        build_server(hub.servers.engine, IMAGE, SERVER)
        hub.catalog.write_text(hub.catalog.read_text().replace("images:\n", entry, 1))
        hub.up()
        yield
    finally:
        hub.down()


def walk(page: Page, root: str, server: str, victim: Person) -> None:
    """Log in and work, as a person does."""
    page.goto(f"{root}/hub/login")
    page.get_by_label("Username").fill(victim.name)
    page.get_by_label("Password").fill(victim.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".jp-Launcher")).to_be_visible()
    assert page.url.startswith(server)


def opened(page: Page, url: str) -> dict[str, bool]:
    """What the page at a URL got."""
    page.goto(url)
    page.wait_for_function("document.title.startsWith('{')", timeout=PATIENCE)
    got: dict[str, bool] = json.loads(page.title())
    return got


def tokens(person: Person) -> int:
    found = person.api("GET", f"users/{person.name}/tokens").json()["api_tokens"]
    return len([token for token in found if "Server at" not in token["note"]])


def test_a_page_of_anothers_server_gets_nothing(hub: HubOfNames, browser: Browser, screenshots: Path) -> None:
    victim, mallory = hub.person(), hub.person()
    mallory.started({"user_options": {"image": "hostile"}})
    context = browser.new_context(**PROFILE, ignore_https_errors=True)
    context.set_default_timeout(PATIENCE)
    try:
        page = context.new_page()
        walk(page, hub.url, hub.server(victim.name), victim)
        before = tokens(victim)
        link = f"{hub.server(mallory.name)}/?at={hub.url}&at={hub.server(victim.name)}&at={victim.name}"
        assert opened(page, link) == NOTHING
        page.screenshot(path=screenshots / "hostile-page.png")
        assert tokens(victim) == before
        assert set(victim.api("GET", f"users/{victim.name}").json()["servers"]) == {""}
        # A program that cannot resolve such names asks at the machine's address, with a token.
        url = f"{hub.scheme}://127.0.0.1:{hub.port}/user/{victim.name}/api"
        for what in ("kernels", "terminals"):
            answer = requests.get(f"{url}/{what}", headers={"Authorization": f"token {victim.token}"}, timeout=30)
            assert answer.json() == [], "a form of another page made one"

        # It cannot take the hub's own cookies' place either, where they are sent by TLS alone.
        for name in ("jupyterhub-hub-login", "__Host-jupyterhub-hub-login", "jupyterhub-session-id", "_xsrf"):
            for path in ("/", "/hub/"):
                page.evaluate(
                    "([name, path]) => document.cookie = `${name}=stolen; path=${path}; domain=hub.localhost; Secure`",
                    [name, path],
                )
        page.goto(f"{hub.url}/hub/home")
        if hub.url.startswith("https:"):
            expect(page.locator("#login_widget")).to_contain_text(victim.name)
            page.get_by_role("link", name="Token").click()
            page.get_by_role("button", name="Request new API token").click()
            expect(page.locator("#token-result")).to_be_visible()
            assert [cookie["name"] for cookie in context.cookies() if not cookie["secure"]] == []
    finally:
        context.close()


def test_without_host_names_it_gets_all_and_up_and_doctor_say_so(one_name: Hub, browser: Browser) -> None:
    hub = one_name
    victim, mallory = hub.person(), hub.person()
    mallory.started({"user_options": {"image": "hostile"}})
    context = browser.new_context(**PROFILE)
    context.set_default_timeout(PATIENCE)
    try:
        page = context.new_page()
        walk(page, hub.url, f"{hub.url}/user/{victim.name}", victim)
        link = f"{hub.url}/user/{mallory.name}/?at={hub.url}&at={hub.url}/user/{victim.name}&at={victim.name}"
        got = opened(page, link)
        assert got["script"], "what the other test asserts is never"
    finally:
        context.close()
    warning = "whoever opens a page of another user's server"
    assert warning in " ".join(hub.log().split())
    assert warning in " ".join(hub.command("doctor").split())
