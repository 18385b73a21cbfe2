from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from red_core import cli
from red_core.access import sign_in
from red_core.access.sign_in import bound_address
from red_core.cli import doctor
from red_core.cli.doctor import Finding, examine
from red_core.errors import ProjectError
from red_core.records import Project
from red_core.store import database, health
from red_core.store.arrays import save_arrays
from red_core.store.texts import remember
from red_core.store.vectors import vector_file
from red_core.training import embeddings
from tests.helpers.fault_server import KEY, closed_address, use_settings
from tests.helpers.sign_in import ACCESS, AUTH
from tests.helpers.small_projects import EMBEDDING, small_project

Found = Callable[..., list[Finding]]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No judge, no sign-in, and no address but the configured one."""
    use_settings(monkeypatch, {})
    for name in ("STREAMLIT_SERVER_ADDRESS", "STREAMLIT_SERVER_ALLOWED_HOSTS", "RED_BEHIND_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sign_in, "_was_on", False)


@pytest.fixture
def found(workspace: Path) -> Found:
    """A function that returns the findings about one thing."""
    return lambda about, name=None: [each for each in examine(workspace, name) if each.about == about]


def only(findings: list[Finding]) -> tuple[str, str]:
    (finding,) = findings
    assert "\n" not in finding.told
    return finding.state, finding.told


def test_where_all_is_well_every_finding_is_ok(project):
    findings = list(examine(project.workspace))
    assert [each for each in findings if each.state != "ok"] == []
    assert [each.about for each in findings] == [
        "Python", "SQLite", "packages", "embedding model", "workspace", "project small", "judge", "sign-in",
        "address",
    ]  # fmt: skip


@pytest.mark.usefixtures("project")
def test_looking_changes_nothing(workspace):
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    list(examine(workspace))
    assert {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()} == before


# The installation


def test_the_versions_that_matter_are_told(found):
    state, told = only(found("packages"))
    assert state == "ok"
    assert {"streamlit", "numpy", "sqlite-utils", "torch"} <= {each.split()[0] for each in told.split(", ")}


def test_a_package_of_another_version_or_missing_is_broken(found, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda _: ["streamlit<1", "no-such-package", "pytest; extra == 'test'"])
    assert only(found("streamlit")) == (
        "broken", f"{doctor.version('streamlit')} is installed, <1 is needed. Install the project's dependencies.",
    )  # fmt: skip
    assert only(found("no-such-package"))[0] == "broken"
    assert found("pytest") == []


def test_an_sqlite_that_is_too_old_is_broken(found, monkeypatch):
    monkeypatch.setattr(health, "OLDEST_SQLITE", (99,))
    assert only(found("SQLite"))[0] == "broken"


def test_other_weights_of_the_embedding_model_are_broken(found, monkeypatch):
    monkeypatch.setattr(embeddings, "DEFAULT_MODEL_SHA256", "0" * 64)
    state, told = only(found("embedding model"))
    assert state == "broken"
    assert "Reinstall" in told


# The workspace


@pytest.mark.parametrize(("free", "state"), [(5e6, "broken"), (5e8, "warning"), (5e10, "ok")])
def test_little_room_is_told(free, state, found, workspace, monkeypatch):
    workspace.mkdir()
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert only(found("workspace"))[0] == state


def test_a_workspace_that_is_not_there_yet_is_no_fault(found):
    assert only(found("workspace"))[0] == "warning"


def test_a_workspace_that_cannot_be_written_is_broken(found, workspace, monkeypatch):
    workspace.mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert only(found("workspace"))[0] == "broken"


def test_what_a_stopped_restore_left_is_told(found, workspace):
    (workspace / ".restoring-abc" / "small").mkdir(parents=True)
    (workspace / ".restoring-abc" / "small" / "project.db").touch()
    assert [each.state for each in found("workspace")] == ["ok", "warning"]
    assert found("project .restoring-abc") == []


# Projects


def no_database(project: Project) -> None:
    project.database.write_bytes(b"no database " * 1000)


def damaged_pages(project: Project) -> None:
    content = project.database.read_bytes()
    project.database.write_bytes(content[:8192] + b"\xa5" * (len(content) - 8192))


def run(project: Project, statement: str) -> None:
    with closing(sqlite3.connect(project.database)) as db, db:
        db.execute(statement)


def stray_row(project: Project) -> None:
    run(project, "INSERT INTO decision (text, kind, reason, who, at) VALUES (99999, 'none', '', '', '')")


def a_trigger(project: Project) -> None:
    run(project, "CREATE TRIGGER t AFTER INSERT ON decision BEGIN DELETE FROM decision; END")


def newer(project: Project) -> None:
    values = "('red_core', 'm999_later', 'now')"
    run(project, f"INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES {values}")


def short_vectors(project: Project) -> None:
    os.truncate(vector_file(project, EMBEDDING), 8)


def no_vectors(project: Project) -> None:
    vector_file(project, EMBEDDING).unlink()


def damaged_arrays(project: Project) -> None:
    save_arrays(project.folder / "rounds" / "1.npz", numbers=np.arange(100))
    content = (project.folder / "rounds" / "1.npz").read_bytes()
    (project.folder / "rounds" / "1.npz").write_bytes(content[:200] + b"\xa5" * 50 + content[250:])


DAMAGES = {
    no_database: "is not a readable database",
    damaged_pages: "",
    stray_row: "database: 1 rows of decision refer to a missing row of text",
    a_trigger: "database: its trigger t differs from what this program creates",
    newer: "newer version of this program",
    short_vectors: "vectors-fake.f32 is missing or too short",
    no_vectors: "vectors-fake.f32 is missing or too short",
    damaged_arrays: "1.npz is missing or damaged",
}


@pytest.mark.parametrize(("damage", "says"), DAMAGES.items())
def test_a_damaged_project_is_broken_and_the_others_are_looked_at(damage, says, project, workspace, found):
    small_project(workspace, name="zebra")
    damage(project)
    findings = found("project small")
    assert {each.state for each in findings} == {"broken"}
    assert all("\n" not in each.told for each in findings)
    assert says in findings[0].told
    assert only(found("project zebra")) == ("ok", "database, vectors and arrays are whole")


def test_vectors_past_the_index_are_no_fault(project, found):
    with vector_file(project, EMBEDDING).open("ab") as file:
        file.write(b"of a process that was killed")
    assert only(found("project small"))[0] == "ok"


def test_an_older_database_is_told_and_left_as_it_is(project, found, monkeypatch):
    more = type(database.migrations)("red_core")
    for landed in database.migrations._migrations:
        more(name=landed.name)(landed.fn)
    more(name="m999_add_mood")(lambda db: db.execute("CREATE TABLE mood (name TEXT) STRICT"))
    for module in (database, health):
        monkeypatch.setattr(module, "migrations", more)
    assert [each.state for each in found("project small")] == ["warning", "ok"]
    assert database.missing_migrations(project) == ["m999_add_mood"]


def test_a_model_of_ones_own_that_is_gone_is_told(project, found):
    remember(project, "embedding", "/nowhere/my-model", anew=True)
    assert "warning" in [each.state for each in found("project small")]


def test_one_project_may_be_looked_at_alone(project, workspace, found):
    small_project(workspace, name="zebra")
    no_database(project)
    assert found("project small", "zebra") == []
    with pytest.raises(ProjectError, match="no project 'p'"):
        found("project p", "p")


# The judge: its list of models is asked for, never a question

NAMED = {"RED_JUDGE_MODEL": "tiny", "OPENAI_API_KEY": KEY}
Serve = Callable[..., tuple[str, str]]


class Lists(BaseHTTPRequestHandler):
    """Answers GET alone, and remembers what was asked."""

    status, body, asked = 200, b"", [""]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the signature is the library's
        """Keep quiet."""


@pytest.fixture
def served(found: Found, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A function that returns what is found where a server answers like this."""

    def serve(body: Any, status: int = 200) -> tuple[str, str]:
        content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        handler = type("Handler", (Lists,), {"status": status, "body": content, "asked": []})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            host = f"127.0.0.1:{server.server_address[1]}"
            use_settings(monkeypatch, NAMED | {"OPENAI_BASE_URL": f"http://{host}/v1"})
            state, told = only(found("judge"))
            server.shutdown()
        assert handler.asked == ["/v1/models"]
        assert KEY not in told
        return state, told.replace(host, "HOST")

    return serve


def test_a_judge_that_lists_its_model_is_ok(served):
    body = {"object": "list", "data": [{"id": "tiny", "object": "model"}]}
    assert served(body) == ("ok", "chat/tiny at HOST answers, and lists that model")


def test_a_judge_that_does_not_list_its_model_is_worth_a_warning(served):
    assert served({"data": [{"id": "another"}]})[0] == "warning"


@pytest.mark.parametrize(
    "body", ["<html>hello</html>", "[]", "{}", '{"data": null}', '{"data": 7}', '{"data": [1, {}]}', b"\xff\xfe", ""]
)
def test_a_judge_without_such_a_list_answers(body, served):
    assert served(body) == ("ok", "chat/tiny at HOST answers")


@pytest.mark.parametrize("status", [404, 405, 500])
def test_an_address_without_such_a_list_answers(status, served):
    assert served("no", status)[0] == "ok"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_broken_and_not_shown(status, served):
    state, told = served({"error": {"message": f"wrong key {KEY}"}}, status)
    assert (state, told) == ("broken", f"HOST refuses the key ({status}). Check OPENAI_API_KEY.")


def test_a_judge_that_is_not_there_is_broken(found, monkeypatch):
    use_settings(monkeypatch, NAMED | {"OPENAI_BASE_URL": closed_address()})
    state, told = only(found("judge"))
    assert state == "broken"
    assert "does not answer" in told
    assert KEY not in told


def test_a_setting_of_the_judge_out_of_range_is_broken(found, monkeypatch):
    use_settings(monkeypatch, NAMED | {"RED_JUDGE_TIMEOUT": "-1"})
    assert only(found("judge"))[0] == "broken"


def test_a_secrets_file_that_others_may_read_is_told(found, tmp_path, monkeypatch):
    file = tmp_path / "secrets.toml"
    file.touch(mode=0o644)
    monkeypatch.setenv("RED_SECRETS", str(file))
    assert f"chmod 600 {file}" in found("judge")[0].told
    file.chmod(0o600)
    assert all("chmod" not in each.told for each in found("judge"))


# The address


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_an_address_of_this_machine_alone_is_ok(address, found, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", address)
    assert only(found("address"))[0] == "ok"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.2", "label.example.org", ""])  # noqa: S104
def test_any_other_address_is_not_served_unless_people_sign_in(address, found, monkeypatch, tmp_path):
    monkeypatch.setattr(sign_in, "CONFIG", tmp_path / "config.toml")
    (tmp_path / "config.toml").write_text(f'[server]\naddress = "{address}"\n' if address else "[server]\n")
    state, told = only(found("address"))
    assert state == "broken"
    assert "without sign-in" in told
    monkeypatch.setenv("RED_BEHIND_PROXY", "1")
    state, told = only(found("address"))
    assert state == "warning"
    assert "proxy" in told
    monkeypatch.delenv("RED_BEHIND_PROXY")
    monkeypatch.setenv("RED_SECRETS", str(tmp_path / "secrets.toml"))
    (tmp_path / "secrets.toml").write_text(AUTH + ACCESS)
    assert only(found("address"))[0] == "ok"


def test_a_name_that_is_let_in_where_nobody_signs_in_is_worth_a_warning(found, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "localhost label.example.org")
    state, told = only(found("address"))
    assert state == "warning"
    assert "label.example.org" in told


# Sign-in


@pytest.fixture
def signed(found: Found, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """A function that returns what is found about a sign-in that is set up like this."""
    path = tmp_path / "secrets.toml"
    monkeypatch.setenv("RED_SECRETS", str(path))

    def look(content: str) -> tuple[str, str]:
        path.write_text(content, "utf-8")
        path.chmod(0o600)
        assert [each.state for each in found("judge")] == ["ok"]
        return only(found("sign-in"))

    return look


def test_a_sign_in_is_ok_where_its_name_is_let_in(signed, monkeypatch):
    state, told = signed(AUTH + ACCESS)
    assert state == "warning"
    assert "calls the app label.example.org" in told
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "label.example.org")
    assert signed(AUTH + ACCESS) == ("ok", "2 entries for analysts, 2 for viewers, 12 hours each")
    state, told = signed((AUTH + ACCESS).replace("https://label", "http://label"))
    assert state == "warning"
    assert "https" in told


@pytest.mark.parametrize("content", [AUTH, ACCESS, (AUTH + ACCESS).replace("cookie_secret", "secret")])
def test_half_a_sign_in_is_broken(content, signed):
    state, told = signed(content)
    assert state == "broken"
    assert "not set up" in told


def test_the_configured_address_is_that_of_this_machine():
    assert bound_address() == "127.0.0.1"


# The verb


def red(workspace: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["--workspace", str(workspace), "doctor", *arguments])


@pytest.mark.usefixtures("project")
def test_the_verb_tells_a_line_each_and_exits_with_0_where_nothing_is_broken(workspace):
    result = red(workspace)
    assert (result.exit_code, result.stderr) == (0, "")
    assert {line.split()[0] for line in result.stdout.splitlines()} == {"ok"}
    assert "ok       project small: database, vectors and arrays are whole" in result.stdout


def test_a_warning_is_no_failure(workspace):
    result = red(workspace)
    assert result.exit_code == 0
    assert "warning  workspace: " in result.stdout


def test_the_verb_exits_with_1_where_anything_is_broken(project, workspace):
    short_vectors(project)
    result = red(workspace, "small")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "broken   project small: vectors-fake.f32" in result.stdout


def test_the_verb_tells_it_as_json(project, workspace):
    short_vectors(project)
    result = red(workspace, "--json")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["broken"]) == (1, 1)
    assert {"state", "about", "told"} == set(told["findings"][0])


def test_a_project_that_is_not_there_is_refused_in_one_line(workspace):
    result = red(workspace, "p")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: there is no project 'p'")
    assert result.stderr.count("\n") == 1
