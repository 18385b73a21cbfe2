"""The pages with sign-in: what a viewer sees, and what happens to a press that is not allowed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from red_core.access import sign_in
from red_core.records import Project
from red_core.store.database import connection
from red_core.store.desk import queue
from tests.helpers.app_projects import NAME
from tests.helpers.oracle import no_judge, nobody, use
from tests.helpers.project_facts import all_bytes
from tests.helpers.rendered import words_on

ANALYST, VIEWER = "ana@example.org", "vera@viewers.org"
READING = {"sign_out", "turn_on", "turn_back", "all_subsets", "find_clusters", "results_next"}
"""Keys of buttons that change nothing."""
STATES = ["waiting", "preparing failed", "round failed", "to review", "fed back"]
PRESSED = [
    ("data", "preparing failed"),
    ("label_map", "prepared"),
    ("rounds", "prepared"),
    ("rounds", "round failed"),
    ("rounds", "fed back"),
    ("review", "decided"),
]
PAGES = ["data", "label_map", "rounds", "review", "results"]
InState = Callable[..., Project]
SignedIn = Callable[..., AppTest]


def write_list(path: Path, *, analysts: list[str], viewers: list[str]) -> None:
    path.write_text(
        f"""
[auth]
redirect_uri = "http://127.0.0.1:8501/oauth2callback"
cookie_secret = "{"0123456789abcdef" * 3}"
client_id = "red"
client_secret = "of the client"
server_metadata_url = "http://127.0.0.1:1/.well-known/openid-configuration"
[access]
analysts = {json.dumps(analysts)}
viewers = {json.dumps(viewers)}
""",
        "utf-8",
    )


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The secrets file of a sign-in: one analyst, and everybody of one domain is a viewer."""
    path = tmp_path / "kept" / "secrets.toml"
    path.parent.mkdir()
    no_judge(monkeypatch, path)
    monkeypatch.setattr(sign_in, "_was_on", False)
    write_list(path, analysts=[ANALYST], viewers=["@viewers.org"])
    return path


@pytest.fixture
def signed_in(secrets: Path, open_app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> SignedIn:  # noqa: ARG001
    """A function that opens a page as a person; None has not signed in."""

    def open_(email: str | None, page: str = "data", **query: str) -> AppTest:
        claims = {"is_logged_in": True, "email": email, "email_verified": True, "iat": time.time()}
        from_file = AppTest.from_file

        def as_them(*how: object, **named: object) -> AppTest:
            app = from_file(*how, **named)  # type: ignore[arg-type]
            app.user = claims if email else {}
            return app

        with monkeypatch.context() as patch:
            patch.setattr(AppTest, "from_file", as_them)
            return open_app(page, **query)

    return open_


def enabled(app: AppTest) -> list[str]:
    return [button.key or button.label for button in app.button if not button.disabled]


def shown(app: AppTest) -> str:
    return words_on(app)


@pytest.mark.parametrize("page", PAGES)
def test_without_sign_in_only_the_sign_in_page_is_shown(page: str, in_state: InState, signed_in: SignedIn) -> None:
    in_state("to review")
    app = signed_in(None)
    if page != "data":
        app.switch_page(f"pages/{page}.py").run()
    assert enabled(app) == ["sign_in_default"]
    assert [each.value for each in app.text] == ["Sign in to continue."]
    assert not app.sidebar.selectbox
    assert not app.title
    assert not app.caption
    assert not app.dataframe


def test_a_sign_in_that_streamlit_does_not_find_is_one_line(signed_in: SignedIn) -> None:
    app = signed_in(None)
    app.button(key="sign_in_default").click().run()
    assert not app.exception
    assert len(app.error) == 1
    assert "Streamlit does not find [auth]. Start the app with red serve" in shown(app)


@pytest.mark.parametrize(
    ("email", "message"), [("eve@elsewhere.org", "has no access"), ("una@viewers.org", "is not verified")]
)
def test_a_person_without_access_sees_one_line_and_can_sign_out(
    email: str, message: str, in_state: InState, signed_in: SignedIn
) -> None:
    in_state("to review")
    app = signed_in(email)
    if message == "is not verified":
        app.user = app.user | {"email_verified": False}
        app.run()
    assert enabled(app) == ["sign_out"]
    assert message in shown(app)
    assert len(app.error) == 1
    assert not app.title


@pytest.mark.parametrize("state", STATES)
def test_a_viewer_sees_every_page_and_no_button_that_would_change_anything(
    state: str, in_state: InState, signed_in: SignedIn, workspace: Path
) -> None:
    in_state(state)
    before = all_bytes(workspace)
    for page in PAGES:
        app = signed_in(VIEWER, page)
        assert not app.exception
        assert not app.error, page
        assert VIEWER in [each.value for each in app.sidebar.text]
        assert set(enabled(app)) - {"Download"} <= READING, page
        assert not app.get("file_uploader"), page
        assert not app.get("chat_input"), page
    assert all_bytes(workspace) == before


def test_a_viewer_cannot_ask_the_judge(in_state: InState, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch) -> None:
    in_state("to review")
    use(monkeypatch, nobody())
    for page in PAGES:
        assert set(enabled(signed_in(VIEWER, page))) - {"Download"} <= READING, page


def test_a_viewer_turns_the_cards(in_state: InState, signed_in: SignedIn) -> None:
    cards = len(queue(in_state("to review"), 1, "to decide", who=VIEWER))
    assert cards > 2
    app = signed_in(VIEWER, "review", review_queue="to decide")
    assert f"card 1 of {cards}" in shown(app)
    while "turn_on" in enabled(app):
        app.button(key="turn_on").click().run()
    assert "That was the last card of this queue." in shown(app)
    app.button(key="turn_back").click().run()
    assert f"card {cards} of {cards}" in shown(app)


def test_a_viewer_without_a_project_is_sent_to_an_analyst(signed_in: SignedIn, workspace: Path) -> None:
    app = signed_in(VIEWER)
    assert "Ask an analyst to create one." in shown(app)
    assert set(enabled(app)) <= READING
    assert not workspace.exists()


@pytest.mark.parametrize(("page", "state"), PRESSED)
def test_a_press_of_somebody_who_is_a_viewer_by_now_changes_nothing(
    state: str, page: str, in_state: InState, signed_in: SignedIn, secrets: Path, workspace: Path
) -> None:
    """The person became a viewer after the page was drawn: the session knows the button, and its callback runs."""
    in_state(state)
    keys = [key for key in enabled(signed_in(ANALYST, page)) if key not in {*READING, "Download"}]
    assert keys
    keys = keys[:8]
    before = all_bytes(workspace)
    for key in keys:
        write_list(secrets, analysts=[ANALYST], viewers=["@viewers.org"])
        app = signed_in(ANALYST, page)
        button = next(each for each in app.button if key in {each.key, each.label})
        write_list(secrets, analysts=["boss@example.org"], viewers=[ANALYST])
        button.click().run()
        assert not app.exception, key
        assert all_bytes(workspace) == before, key


@pytest.mark.parametrize(("page", "state"), [*PRESSED, ("data", "waiting")])
def test_a_person_who_lost_access_is_out_with_the_next_press(
    page: str, state: str, in_state: InState, signed_in: SignedIn, secrets: Path, workspace: Path
) -> None:
    in_state(state)
    app = signed_in(ANALYST, page)
    before = all_bytes(workspace)
    button = next(each for each in app.button if not each.disabled and (each.key or "") not in READING)
    write_list(secrets, analysts=["boss@example.org"], viewers=[])
    button.click().run()
    assert not app.exception
    assert enabled(app) == ["sign_out"]
    assert "has no access" in shown(app)
    assert not app.title
    assert all_bytes(workspace) == before


def test_what_an_analyst_does_has_her_address_beside_it(in_state: InState, signed_in: SignedIn) -> None:
    project = in_state("decided")
    app = signed_in(ANALYST, "review")
    app.button(key="feed_back").click().run()
    with connection(project) as db:
        assert db.execute("SELECT who FROM feed_back").fetchall() == [(ANALYST,)]
    assert ANALYST in [each.value for each in app.sidebar.text]


def test_without_sign_in_there_is_no_sign_out(
    in_state: InState, open_app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_judge(monkeypatch, tmp_path / "none.toml")
    in_state("to review")
    for page in PAGES:
        app = open_app(page)
        assert "sign_out" not in enabled(app)
        assert not app.sidebar.text


def test_a_path_can_be_imported_only_at_this_machine(
    in_state: InState,
    open_app: Callable[..., AppTest],
    signed_in: SignedIn,
    secrets: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_state("to review")
    assert "import_path_0" not in [each.key for each in signed_in(ANALYST).text_input]
    secrets.unlink()
    monkeypatch.setattr(sign_in, "_was_on", False)
    assert "import_path_0" in [each.key for each in open_app().text_input]
    monkeypatch.setenv("RED_BEHIND_PROXY", "1")
    assert "import_path_0" not in [each.key for each in open_app().text_input]
    assert NAME in [each.value for each in open_app().sidebar.selectbox]
