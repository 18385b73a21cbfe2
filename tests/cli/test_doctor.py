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
from red_core.encoders import loading
from red_core.errors import ProjectError
from red_core.records import Project
from red_core.store import database, health
from red_core.store.arrays import save_arrays
from red_core.store.texts import remember
from red_core.store.vectors import vector_file
from tests.helpers.fault_server import KEY, closed_address, use_settings
from tests.helpers.sign_in import ACCESS, AUTH
from tests.helpers.small_projects import EMBEDDING, small_project

Findings = Callable[..., list[Finding]]


@pytest.fixture(autouse=True)
def nothing_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove every setting of a judge, of sign-in and of the address from the environment."""
    use_settings(monkeypatch, {})
    for name in ("STREAMLIT_SERVER_ADDRESS", "STREAMLIT_SERVER_ALLOWED_HOSTS", "RED_BEHIND_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sign_in, "_was_on", False)


@pytest.fixture
def findings_about(workspace: Path) -> Findings:
    """Return a function that returns the findings about one subject."""
    return lambda about, name=None: [each for each in examine(workspace, name) if each.about == about]


def only(findings: list[Finding]) -> tuple[str, str]:
    """Return the state and the message of the only finding."""
    (finding,) = findings
    assert "\n" not in finding.told
    return finding.state, finding.told


def test_every_finding_is_ok_on_a_healthy_installation(project):
    findings = list(examine(project.workspace))
    assert [each for each in findings if each.state != "ok"] == []
    assert [each.about for each in findings] == [
        "Python", "SQLite", "packages", "embedding model", "workspace", "project small", "judge", "sign-in",
        "address",
    ]  # fmt: skip


@pytest.mark.usefixtures("project")
def test_doctor_changes_nothing(workspace):
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    list(examine(workspace))
    assert {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()} == before


# The installation


def test_the_versions_of_the_packages_are_reported(findings_about):
    state, message = only(findings_about("packages"))
    assert state == "ok"
    assert {"streamlit", "numpy", "sqlite-utils", "torch"} <= {each.split()[0] for each in message.split(", ")}


def test_a_package_of_another_version_or_missing_is_broken(findings_about, monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda _: ["streamlit<1", "no-such-package", "pytest; extra == 'test'"])
    assert only(findings_about("streamlit")) == (
        "broken", f"{doctor.version('streamlit')} is installed, <1 is needed. Install the project's dependencies.",
    )  # fmt: skip
    assert only(findings_about("no-such-package"))[0] == "broken"
    assert findings_about("pytest") == []


def test_an_sqlite_that_is_too_old_is_broken(findings_about, monkeypatch):
    monkeypatch.setattr(health, "OLDEST_SQLITE", (99,))
    assert only(findings_about("SQLite"))[0] == "broken"


def test_other_weights_of_the_embedding_model_are_broken(findings_about, monkeypatch):
    monkeypatch.setattr(loading, "DEFAULT_MODEL_SHA256", "0" * 64)
    state, message = only(findings_about("embedding model"))
    assert state == "broken"
    assert "Reinstall" in message


# The workspace


@pytest.mark.parametrize(("free", "state"), [(5e6, "broken"), (5e8, "warning"), (5e10, "ok")])
def test_little_disk_space_is_reported(free, state, findings_about, workspace, monkeypatch):
    workspace.mkdir()
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert only(findings_about("workspace"))[0] == state


def test_a_workspace_that_is_not_there_yet_is_no_fault(findings_about):
    assert only(findings_about("workspace"))[0] == "warning"


def test_a_workspace_that_cannot_be_written_is_broken(findings_about, workspace, monkeypatch):
    workspace.mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert only(findings_about("workspace"))[0] == "broken"


def test_leftovers_of_a_stopped_restore_are_reported(findings_about, workspace):
    (workspace / ".restoring-abc" / "small").mkdir(parents=True)
    (workspace / ".restoring-abc" / "small" / "project.db").touch()
    assert [each.state for each in findings_about("workspace")] == ["ok", "warning"]
    assert findings_about("project .restoring-abc") == []


# Projects


def no_database(project: Project) -> None:
    project.database.write_bytes(b"no database " * 1000)


def damaged_pages(project: Project) -> None:
    content = project.database.read_bytes()
    project.database.write_bytes(content[:8192] + b"\xa5" * (len(content) - 8192))


def run(project: Project, statement: str) -> None:
    with closing(sqlite3.connect(project.database)) as db, db:
        db.execute(statement)


def orphan_row(project: Project) -> None:
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
    orphan_row: "database: 1 rows of decision refer to a missing row of text",
    a_trigger: "database: its trigger t differs from what this program creates",
    newer: "newer version of this program",
    short_vectors: "vectors-fake.f32 is missing or too short",
    no_vectors: "vectors-fake.f32 is missing or too short",
    damaged_arrays: "1.npz is missing or damaged",
}


@pytest.mark.parametrize(("damage", "says"), DAMAGES.items())
def test_a_damaged_project_is_broken_and_the_others_are_still_checked(damage, says, project, workspace, findings_about):
    small_project(workspace, name="zebra")
    damage(project)
    findings = findings_about("project small")
    assert {each.state for each in findings} == {"broken"}
    assert all("\n" not in each.told for each in findings)
    assert says in findings[0].told
    assert only(findings_about("project zebra")) == ("ok", "database, vectors and arrays are complete")


def test_vectors_past_the_index_are_no_fault(project, findings_about):
    with vector_file(project, EMBEDDING).open("ab") as file:
        file.write(b"of a process that was killed")
    assert only(findings_about("project small"))[0] == "ok"


def test_an_older_database_is_reported_and_not_migrated(project, findings_about, monkeypatch):
    more = type(database.migrations)("red_core")
    for landed in database.migrations._migrations:
        more(name=landed.name)(landed.fn)
    more(name="m999_add_mood")(lambda db: db.execute("CREATE TABLE mood (name TEXT) STRICT"))
    for module in (database, health):
        monkeypatch.setattr(module, "migrations", more)
    assert [each.state for each in findings_about("project small")] == ["warning", "ok"]
    assert database.missing_migrations(project) == ["m999_add_mood"]


def test_a_missing_custom_model_is_reported(project, findings_about):
    remember(project, "embedding", "/nowhere/my-model", anew=True)
    assert "warning" in [each.state for each in findings_about("project small")]


def test_a_single_project_can_be_checked(project, workspace, findings_about):
    small_project(workspace, name="zebra")
    no_database(project)
    assert findings_about("project small", "zebra") == []
    with pytest.raises(ProjectError, match="no project 'p'"):
        findings_about("project p", "p")


# The judge: doctor asks for its list of models, never a question

NAMED = {"RED_JUDGE_MODEL": "tiny", "OPENAI_API_KEY": KEY}
Serve = Callable[..., tuple[str, str]]


class Lists(BaseHTTPRequestHandler):
    """Answer only GET requests, and record their paths."""

    status, body, asked = 200, b"", [""]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the signature is the library's
        """Print nothing."""


@pytest.fixture
def served(findings_about: Findings, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Return a function that returns the finding about a judge's server with this answer."""

    def serve(body: Any, status: int = 200) -> tuple[str, str]:
        content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        handler = type("Handler", (Lists,), {"status": status, "body": content, "asked": []})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            host = f"127.0.0.1:{server.server_address[1]}"
            use_settings(monkeypatch, NAMED | {"OPENAI_BASE_URL": f"http://{host}/v1"})
            state, message = only(findings_about("judge"))
            server.shutdown()
        assert handler.asked == ["/v1/models"]
        assert KEY not in message
        return state, message.replace(host, "HOST")

    return serve


def test_a_judge_that_lists_its_model_is_ok(served):
    body = {"object": "list", "data": [{"id": "tiny", "object": "model"}]}
    assert served(body) == ("ok", "chat/tiny at HOST answers and lists this model")


def test_a_judge_that_does_not_list_its_model_is_a_warning(served):
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
    state, message = served({"error": {"message": f"wrong key {KEY}"}}, status)
    assert (state, message) == ("broken", f"HOST refuses the key ({status}). Check OPENAI_API_KEY.")


def test_a_judge_that_is_not_there_is_broken(findings_about, monkeypatch):
    use_settings(monkeypatch, NAMED | {"OPENAI_BASE_URL": closed_address()})
    state, message = only(findings_about("judge"))
    assert state == "broken"
    assert "does not answer" in message
    assert KEY not in message


def test_a_setting_of_the_judge_out_of_range_is_broken(findings_about, monkeypatch):
    use_settings(monkeypatch, NAMED | {"RED_JUDGE_TIMEOUT": "-1"})
    assert only(findings_about("judge"))[0] == "broken"


def test_a_secrets_file_that_others_can_read_is_reported(findings_about, tmp_path, monkeypatch):
    file = tmp_path / "secrets.toml"
    file.touch(mode=0o644)
    monkeypatch.setenv("RED_SECRETS", str(file))
    assert f"chmod 600 {file}" in findings_about("judge")[0].told
    file.chmod(0o600)
    assert all("chmod" not in each.told for each in findings_about("judge"))


# The address


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_an_address_of_this_machine_alone_is_ok(address, findings_about, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", address)
    assert only(findings_about("address"))[0] == "ok"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.1.2", "label.example.org", ""])  # noqa: S104
def test_any_other_address_is_not_served_unless_people_sign_in(address, findings_about, monkeypatch, tmp_path):
    monkeypatch.setattr(sign_in, "CONFIG", tmp_path / "config.toml")
    (tmp_path / "config.toml").write_text(f'[server]\naddress = "{address}"\n' if address else "[server]\n")
    state, message = only(findings_about("address"))
    assert state == "broken"
    assert "without sign-in" in message
    monkeypatch.setenv("RED_BEHIND_PROXY", "1")
    state, message = only(findings_about("address"))
    assert state == "warning"
    assert "proxy" in message
    monkeypatch.delenv("RED_BEHIND_PROXY")
    monkeypatch.setenv("RED_SECRETS", str(tmp_path / "secrets.toml"))
    (tmp_path / "secrets.toml").write_text(AUTH + ACCESS)
    assert only(findings_about("address"))[0] == "ok"


def test_an_allowed_host_name_without_sign_in_is_a_warning(findings_about, monkeypatch):
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "localhost label.example.org")
    state, message = only(findings_about("address"))
    assert state == "warning"
    assert "label.example.org" in message


# Sign-in


@pytest.fixture
def signed(
    findings_about: Findings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], tuple[str, str]]:
    """Return a function that returns the finding about sign-in with this secrets file."""
    path = tmp_path / "secrets.toml"
    monkeypatch.setenv("RED_SECRETS", str(path))

    def look(content: str) -> tuple[str, str]:
        path.write_text(content, "utf-8")
        path.chmod(0o600)
        assert [each.state for each in findings_about("judge")] == ["ok"]
        return only(findings_about("sign-in"))

    return look


def test_sign_in_is_ok_if_its_host_name_is_allowed(signed, monkeypatch):
    state, message = signed(AUTH + ACCESS)
    assert state == "warning"
    assert "has the host name label.example.org" in message
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "label.example.org")
    assert signed(AUTH + ACCESS) == ("ok", "on: 2 entries for analysts, 2 for viewers; a sign-in lasts 12 hours")
    state, message = signed((AUTH + ACCESS).replace("https://label", "http://label"))
    assert state == "warning"
    assert "https" in message


@pytest.mark.parametrize("content", [AUTH, ACCESS, (AUTH + ACCESS).replace("cookie_secret", "secret")])
def test_an_incomplete_sign_in_is_broken(content, signed):
    state, message = signed(content)
    assert state == "broken"
    assert "not set up" in message


def test_the_configured_address_is_this_machine():
    assert bound_address() == "127.0.0.1"


# The verb


def red(workspace: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["--workspace", str(workspace), "doctor", *arguments])


@pytest.mark.usefixtures("project")
def test_the_verb_prints_one_line_per_finding_and_exits_with_0_if_nothing_is_broken(workspace):
    result = red(workspace)
    assert (result.exit_code, result.stderr) == (0, "")
    assert {line.split()[0] for line in result.stdout.splitlines()} == {"ok"}
    assert "ok       project small: database, vectors and arrays are complete" in result.stdout


def test_a_warning_is_no_failure(workspace):
    result = red(workspace)
    assert result.exit_code == 0
    assert "warning  workspace: " in result.stdout


def test_the_verb_exits_with_1_if_anything_is_broken(project, workspace):
    short_vectors(project)
    result = red(workspace, "small")
    assert (result.exit_code, result.stderr) == (1, "")
    assert "broken   project small: vectors-fake.f32" in result.stdout


def test_the_verb_prints_json(project, workspace):
    short_vectors(project)
    result = red(workspace, "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["broken"]) == (1, 1)
    assert {"state", "about", "told"} == set(report["findings"][0])


def test_a_project_that_is_not_there_is_refused_in_one_line(workspace):
    result = red(workspace, "p")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: there is no project 'p'")
    assert result.stderr.count("\n") == 1
