"""Sign-in in a browser, with an OpenID provider on this machine: roles, sign-out, restarts, headers, logs."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets import InvalidStatus, Origin, Subprotocol
from websockets.sync.client import connect

from red_core.records import Project
from tests.helpers.app_projects import NAME, decision_rows
from tests.helpers.browser import CHROMIUM, IDLE, MILLISECONDS, Server
from tests.helpers.paths import ROOT
from tests.helpers.project_facts import all_bytes

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome is installed"),
]
PEOPLE = {
    "ana": {"email": "Ana@Example.org", "email_verified": True},
    "vera": {"email": "vera@viewers.org", "email_verified": True},
    "una": {"email": "una@viewers.org", "email_verified": False},
    "eve": {"email": "eve@elsewhere.org", "email_verified": True},
}
CLIENT_SECRET, COOKIE_SECRET = token_hex(16), token_hex(24)
TEXT = "is what I ask for"
"""Words in every unlabelled text."""


class SignedServer(Server):
    """The app as ``red serve`` starts it."""

    def command(self) -> list[str]:
        red = Path(sys.executable).with_name("red")
        return [str(red), "--workspace", str(self.workspace), "serve", "--port", str(self.port)]


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of an OpenID provider with the accounts of PEOPLE."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    known = [word for sub, claims in PEOPLE.items() for word in ("--user-claims", json.dumps({"sub": sub} | claims))]
    process = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), *known],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address, end = f"http://127.0.0.1:{port}", time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=2).close()  # noqa: S310
            break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def app(
    provider: str, templates: Callable[[str, bool], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SignedServer]:
    """The app with sign-in and a round to review."""
    folder = tmp_path_factory.mktemp("signed")
    workspace = folder / "workspace"
    shutil.copytree(templates("to review", True), workspace)
    server = SignedServer(ROOT / "server.py", workspace, folder / "server.log")
    secrets = folder / "secrets.toml"
    secrets.write_text(
        f"""
[auth]
redirect_uri = "{server.address}/oauth2callback"
cookie_secret = "{COOKIE_SECRET}"
client_id = "red"
client_secret = "{CLIENT_SECRET}"
server_metadata_url = "{provider}/.well-known/openid-configuration"

[access]
analysts = ["ana@example.org"]
viewers = ["@viewers.org"]
""",
        "utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RED_SECRETS", str(secrets))
        patch.setenv("STREAMLIT_SERVER_MAX_UPLOAD_SIZE", "1")
        server.start()
        yield server
    server.kill()


def project_of(server: Server) -> Project:
    return Project(server.workspace, NAME)


class Person:
    """A person with a browser of their own; collects console errors, and secrets that no log may hold."""

    def __init__(self, browser: Browser) -> None:
        self.context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(MILLISECONDS)
        self.complaints: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.secret: set[str] = set()
        self.page.on("request", lambda request: self._look_at(request.url))

    def _said(self, message: object) -> None:
        text = str(getattr(message, "text", ""))
        if getattr(message, "type", "") == "error" and "Failed to load resource" not in text:
            self.complaints.append(text)  # a header that blocks what the app needs is reported here

    def _look_at(self, url: str) -> None:
        self.secret |= set(re.findall(r"[?&](?:code|state|nonce|id_token_hint)=([^&]+)", url))

    def open(self, server: Server, path: str = "") -> Page:
        self.page.goto(f"{server.address}/{path}")
        return self.settle()

    def settle(self) -> Page:
        self.page.wait_for_selector(IDLE, state="attached")
        self.page.wait_for_timeout(150)
        self.page.wait_for_selector(IDLE, state="attached")
        return self.page

    def sign_in(self, server: Server, sub: str) -> Page:
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name=sub, exact=True).click()
        self.page.wait_for_url(f"{server.address}/**")
        self.settle()
        self.secret |= {
            cookie["value"] for cookie in self.context.cookies() if cookie["name"].startswith("_streamlit_u")
        }
        return self.page

    def sign_out(self, server: Server) -> Page:
        self.page.get_by_role("button", name="Sign out").click()
        self.page.get_by_role("button", name="End session").click()
        self.page.wait_for_url(f"{server.address}/**")
        return self.settle()


@pytest.fixture
def somebody(browser: Browser, app: SignedServer) -> Iterator[Callable[[], Person]]:
    """A function that opens a browser for a person. At the end: no console error, and no secret in the log."""
    people: list[Person] = []

    def come() -> Person:
        people.append(Person(browser))
        return people[-1]

    yield come
    log = app.log.read_text("utf-8")
    for person in people:
        assert person.complaints == []
        assert [secret for secret in person.secret if secret in log] == []
        person.context.close()
    for secret in (CLIENT_SECRET, COOKIE_SECRET, TEXT, "id_token", *(str(known["email"]) for known in PEOPLE.values())):
        assert secret.lower() not in log.lower()


def test_a_direct_link_leads_to_sign_in_and_then_to_its_page(app: SignedServer, somebody: Callable[[], Person]) -> None:
    ana = somebody()
    page = ana.open(app, f"review?project={NAME}")
    expect(page.get_by_text("Sign in to continue.")).to_be_visible()
    assert TEXT not in page.content()
    assert page.get_by_role("link", name="Review").count() == 0
    ana.sign_in(app, "ana")
    expect(page.get_by_text("ana@example.org")).to_be_visible()
    expect(page.get_by_role("heading", name="Review")).to_be_visible()
    assert f"{app.address}/review?" in page.url
    expect(page.locator(".desk .text")).to_be_visible()  # before, the desk hears no key
    page.keyboard.press("a")
    expect(page.get_by_text("all saved")).to_be_visible()
    end = time.monotonic() + 15
    while not decision_rows(project_of(app)) and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert [row[-1] for row in decision_rows(project_of(app))] == ["ana@example.org"]
    ana.sign_out(app)
    expect(page.get_by_text("Sign in to continue.")).to_be_visible()
    ana.open(app, "review")
    expect(page.get_by_text("Sign in to continue.")).to_be_visible()
    assert TEXT not in page.content()


def test_a_viewer_beside_an_analyst_sees_all_and_changes_nothing(
    app: SignedServer, somebody: Callable[[], Person]
) -> None:
    ana, vera = somebody(), somebody()
    ana.open(app)
    ana.sign_in(app, "ana")
    vera.open(app)
    vera.sign_in(app, "vera")
    before = all_bytes(app.workspace)
    for path in ("", "label_map", "rounds", "review"):
        page = vera.open(app, path)
        ana.open(app, path)
        expect(page.get_by_text("vera@viewers.org")).to_be_visible()
        expect(ana.page.get_by_text("ana@example.org")).to_be_visible()
        for wanted in ("Import", "Run round", "Accept", "Feed back ", "Use: ", "Do it", "Close without", "Save"):
            assert page.get_by_role("button", name=re.compile(f"^{wanted}")).count() == 0, (path, wanted)
    for key in "axnsu1":
        page.keyboard.press(key)
    vera.settle()
    with page.expect_download() as download:
        vera.open(app, "results?results_tab=Download").get_by_role("button", name="Download CSV").click()
    assert TEXT in Path(download.value.path()).read_text("utf-8")
    vera.settle()
    assert all_bytes(app.workspace) == before


@pytest.mark.parametrize(("who", "message"), [("una", "is not verified."), ("eve", "has no access.")])
def test_a_person_without_access_sees_one_line_and_signs_out(
    who: str, message: str, app: SignedServer, somebody: Callable[[], Person]
) -> None:
    person = somebody()
    person.open(app, "results")
    page = person.sign_in(app, who)
    alert = page.get_by_role("alert")
    expect(alert).to_have_count(1)
    assert message in (alert.text_content() or "").replace("\u2060", "")
    assert TEXT not in page.content()
    person.sign_out(app)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_every_answer_has_the_headers(app: SignedServer) -> None:
    for path in ("", "review", "_stcore/health", "_stcore/host-config"):
        with urllib.request.urlopen(f"{app.address}/{path}", timeout=10) as answer:  # noqa: S310
            heads = answer.headers
        assert "frame-ancestors 'none'" in heads["Content-Security-Policy"]
        assert (heads["X-Frame-Options"], heads["X-Content-Type-Options"]) == ("DENY", "nosniff")
        assert heads["Referrer-Policy"] == "no-referrer"


def test_a_file_that_is_too_large_is_refused_by_page_and_server(
    app: SignedServer, somebody: Callable[[], Person]
) -> None:
    ana = somebody()
    ana.open(app)
    page = ana.sign_in(app, "ana")
    page.get_by_role("link", name="Data").click()
    page.get_by_text("Import more, or create another project").click()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if "upload_file" in request.url else None)
    field = page.locator("[data-testid=stFileUploaderDropzoneInput]").first
    field.set_input_files({"name": "big.csv", "mimeType": "text/csv", "buffer": b"text\n" + b"x" * 2_000_000})
    expect(page.get_by_text(re.compile("must be 1.0MB or smaller"))).to_be_visible()
    assert sent == []
    field.set_input_files({"name": "small.csv", "mimeType": "text/csv", "buffer": b"text\nhello there\n"})
    ana.settle()
    put = """async ([url, size, token]) => {
        const form = new FormData(); form.append("file", new File(["x".repeat(size)], "f.csv"))
        return (await fetch(url, {method: "PUT", body: form, headers: token ? {"X-Xsrftoken": token} : {}})).status }"""
    token = next(cookie["value"] for cookie in ana.context.cookies() if cookie["name"] == "_streamlit_xsrf")
    assert page.evaluate(put, [sent[0], 100, token]) == 204
    assert page.evaluate(put, [sent[0], 3_000_000, token]) == 413
    assert page.evaluate(put, [sent[0], 100, ""]) == 403
    ana.complaints.clear()  # the browser reports each refused request


def download_of(page: Page, seconds: float = 30) -> str | None:
    """Press the download button of the page Results; return the address of the file, None if no file comes."""
    try:
        with page.expect_download(timeout=1000 * seconds) as download:
            page.get_by_role("button", name="Download CSV").click()
    except PlaywrightTimeout:
        return None
    return str(download.value.url)


def status_of(address: str, cookies: Sequence[Mapping[str, Any]] = (), method: str = "GET") -> int:
    """Return the status of a request with these cookies, made without the browser."""
    request = urllib.request.Request(address, method=method)  # noqa: S310
    request.add_header("Cookie", "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in cookies))
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_signing_out_ends_every_tab_every_download_and_a_copied_cookie(
    app: SignedServer, somebody: Callable[[], Person], browser: Browser
) -> None:
    ana = somebody()
    ana.open(app, f"review?project={NAME}")
    ana.sign_in(app, "ana")
    results, review = ana.context.new_page(), ana.context.new_page()
    results.goto(f"{app.address}/results?results_tab=Download")
    results.wait_for_selector(IDLE, state="attached")
    review.goto(f"{app.address}/review")
    expect(review.get_by_text("all saved")).to_be_visible()
    copied = ana.context.cookies()
    address = download_of(results)
    assert address is not None
    assert status_of(address, copied) == 200
    before = decision_rows(project_of(app))
    ana.sign_out(app)
    assert download_of(results, 4) is None
    assert status_of(address, copied) == 403
    review.keyboard.press("a")
    review.wait_for_timeout(2000)
    assert decision_rows(project_of(app)) == before
    thief = Person(browser)
    thief.context.add_cookies(copied)
    page = thief.open(app, "review")
    expect(page.get_by_text("You signed out. Sign in again to continue.")).to_be_visible()
    assert TEXT not in page.content()
    thief.context.close()
    ana.complaints.clear()  # the browser reports the refused download


def test_a_person_taken_off_the_list_downloads_nothing(app: SignedServer, somebody: Callable[[], Person]) -> None:
    vera, secrets = somebody(), app.log.with_name("secrets.toml")
    vera.open(app)
    vera.sign_in(app, "vera")
    page = vera.open(app, "results?results_tab=Download")
    address, cookies, listed = download_of(page), vera.context.cookies(), secrets.read_text("utf-8")
    assert address is not None
    assert status_of(address, cookies) == 200
    secrets.write_text(listed.replace("@viewers.org", "@others.org"), "utf-8")
    try:
        assert download_of(page, 4) is None
        assert status_of(address, cookies) == 403
    finally:
        secrets.write_text(listed, "utf-8")
    assert status_of(address, cookies) == 200
    vera.complaints.clear()


def test_files_of_downloads_and_uploads_ask_who_comes_and_the_icon_does_not(app: SignedServer) -> None:
    for path, method in (("media/0123.csv", "GET"), ("media/0123.bin", "HEAD"), ("_stcore/upload_file/a/b", "PUT")):
        assert status_of(f"{app.address}/{path}", method=method) == 403, path
        forged = [{"name": "_streamlit_user", "value": "made-up"}]
        assert status_of(f"{app.address}/{path}", forged, method) == 403, path
    assert status_of(f"{app.address}/media/0123.png") == 404
    assert status_of(f"{app.address}/_stcore/metrics") == 404


@pytest.mark.parametrize(
    "origin", ["http://localhost:1", "http://127.0.0.1:1", "https://elsewhere.org", "null", "http://[::1]:1"]
)
def test_a_page_of_another_program_on_this_machine_cannot_open_the_websocket(origin: str, app: SignedServer) -> None:
    address = f"{app.address.replace('http', 'ws')}/_stcore/stream"
    with pytest.raises(InvalidStatus, match="403"), connect(address, origin=Origin(origin)):
        pass
    with connect(address, origin=Origin(app.address), subprotocols=[Subprotocol("streamlit")]):
        pass


@pytest.mark.parametrize(("host", "status"), [("rebound.example.org", 403), ("127.0.0.1", 101), ("localhost", 101)])
def test_a_foreign_host_name_is_refused(host: str, status: int, app: SignedServer) -> None:
    port = urlsplit(app.address).port
    asking = HTTPConnection("127.0.0.1", port, timeout=10)
    asking.putrequest("GET", "/_stcore/stream", skip_host=True)
    for name, value in {
        "Host": f"{host}:{port}",
        "Origin": f"http://{host}:{port}",  # to the browser, the foreign page and this server are one site
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": "streamlit",
    }.items():
        asking.putheader(name, value)
    asking.endheaders()
    assert asking.getresponse().status == status
    asking.close()


def test_with_streamlit_alone_a_public_address_shows_nothing(
    browser: Browser, templates: Callable[[str, bool], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(templates("to review", True), workspace)
    monkeypatch.setenv("RED_SECRETS", str(tmp_path / "none.toml"))
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", "0.0.0.0")  # noqa: S104  refused: that is the test
    monkeypatch.setenv("STREAMLIT_BROWSER_SERVER_ADDRESS", "localhost")
    server = Server(ROOT / "app.py", workspace, tmp_path / "server.log")
    server.start()
    try:
        person = Person(browser)
        page = person.open(server, "review")
        message = (page.get_by_role("alert").text_content() or "").replace("\u2060", "")
        assert "without sign-in" in message
        assert TEXT not in page.content()
        assert page.get_by_role("button", name=re.compile("Sign")).count() == 0
        person.context.close()
    finally:
        server.kill()


def sent_to_a_stranger(server: Server) -> bytes:
    """Return the bytes for a program that asks for a page as a browser does, with a false header and cookie."""
    message = BackMsg()
    message.rerun_script.page_name = "review"
    message.rerun_script.query_string = f"project={NAME}"
    heads = {"X-Forwarded-Email": "ana@example.org", "Cookie": "_streamlit_user=made-up"}
    address, got, end = server.address.replace("http", "ws"), b"", time.monotonic() + 20
    with connect(
        f"{address}/_stcore/stream", subprotocols=[Subprotocol("streamlit")], additional_headers=heads
    ) as wire:
        wire.send(message.SerializeToString())
        while b"Sign in to continue." not in got and time.monotonic() < end:
            with suppress(TimeoutError):
                got += bytes(wire.recv(timeout=1))  # always binary
        with suppress(TimeoutError):
            while time.monotonic() < end:
                got += bytes(wire.recv(timeout=1))
    return got


def test_a_restarted_server_knows_who_signed_in_and_no_stranger(
    app: SignedServer, somebody: Callable[[], Person], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The last test of this file: afterwards the server signs its cookies with another secret."""
    vera = somebody()
    vera.open(app)
    page = vera.sign_in(app, "vera")
    app.kill()
    app.start()
    got = sent_to_a_stranger(app)  # also in the first session of a server, no page runs without the shell
    assert b"Sign in to continue." in got
    assert TEXT.encode() not in got
    assert b"repair" not in got  # a label
    vera.open(app, "review")
    expect(page.get_by_text("vera@viewers.org")).to_be_visible()
    app.kill()
    other = tmp_path / "secrets.toml"
    secrets = app.log.with_name("secrets.toml").read_text("utf-8")
    other.write_text(secrets.replace(COOKIE_SECRET, token_hex(24)), "utf-8")
    monkeypatch.setenv("RED_SECRETS", str(other))
    app.start()
    vera.open(app, "review")
    expect(page.get_by_text("Sign in to continue.")).to_be_visible()
    vera.complaints.clear()  # the page reported that the server was gone
