"""Whatever comes from outside gives a result, or one of our errors in one line; an import is never half done.

docs/reliability.md lists every parser with its test; those that stand beside their own module are not here.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from red_core import cli
from red_core.data.backup import back_up, restore
from red_core.data.decisions_import import restore_decisions
from red_core.data.importing import import_files
from red_core.data.tables import read_table
from red_core.errors import InputError, RedError, StoreError
from red_core.judges.apis import content_of
from red_core.judges.names import Name
from red_core.judges.replies import Strict, strict_json
from red_core.judges.server_settings import JudgeServer, judge_server, keep
from red_core.labels.edits import apply_edit
from red_core.labels.file import export_label_set, read_label_set
from red_core.records import Project
from red_core.results.exports import export
from red_core.review.presses import read_message
from red_core.settings import Settings, make_settings
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.database import project_names
from tests.helpers.hostile_files import bent
from tests.helpers.project_facts import facts
from tests.helpers.small_projects import seed_rows, small_project

HUGE = [2**63 - 1, 2**63, 10**40, -(2**63) - 1, 1e308, -0.0]
WORDS = st.text(max_size=12) | st.sampled_from(["a\0b", "\u202e", "=1+1", "x" * 5_000, "NaN", "1e999", "[" * 3_000])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(HUGE) | WORDS
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4))


def one_line(error: RedError) -> str:
    told = str(error)
    assert told.isprintable(), told
    assert 0 < len(told) < 1_000
    return told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def project(folder: Path) -> Project:
    """A project that all that hypothesis thinks of is sent to."""
    return small_project(folder / "workspace")


def mended(content: bytes, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    """Change, cut or repeat a few bytes."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        where = draw(st.integers(0, len(changed)))
        changed[where : where + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(changed)


# Tables into a project


@given(bent(), st.sampled_from(["labelled", "pool"]))
@settings(max_examples=60)
def test_a_bent_file_is_imported_or_refused_and_never_half_of_it(project, folder, file, role):
    name, content = file
    (path := folder / name).write_bytes(content)
    before = facts(project)
    try:
        (summary,) = import_files(project.workspace, project.name, **{role: path}, embedding="fake")
    except RedError as error:
        one_line(error)
        assert facts(project) == before
    else:
        assert len(facts(project)["sources"]) == len(before["sources"]) + summary.rows * (not summary.already_imported)


@given(bent())
@settings(max_examples=40)
def test_a_bent_file_makes_a_whole_project_or_none(folder, file):
    name, content = file
    (path := folder / name).write_bytes(content)
    workspace = folder / "made"
    fresh = f"p{len(project_names(workspace))}"
    try:
        import_files(workspace, fresh, labelled=path, embedding="fake")
    except RedError as error:
        one_line(error)
        assert fresh not in project_names(workspace)
    else:
        assert facts(Project(workspace, fresh))["sources"]


@given(st.text(max_size=40))
@example("hf://")
@example("hf://datasets")
@example("~root/x.csv")
@example("file:///etc/passwd")
@example("/dev/null")
@example("\ud800.csv")
@example("x" * 5_000)
def test_any_path_is_read_or_refused(path):
    assume(not path.startswith("hf://") or path.count("/") < 4)  # one that could be there would be asked for
    try:
        assert len(read_table(path).frame)
    except InputError as error:
        one_line(error)


# Label sets

CELLS = st.none() | st.sampled_from(["", "1", "2", "4", "99", "refund", "REFUND ", "repair", "new one"]) | PLAIN
SEEDS = st.sampled_from(['["one text", "another text"]', '["one text", "refund please, case number 1"]', "[]", "[1]"])
LINES = st.lists(
    st.fixed_dictionaries(
        {}, optional={"id": CELLS, "name": CELLS, "meaning": CELLS, "subset": CELLS, "seeds": SEEDS | CELLS}
    ),
    min_size=1,
    max_size=5,
)


def import_labels(project: Project, path: Path) -> None:
    before = facts(project)
    try:
        version = apply_edit(project, read_label_set(project, path), "ann")
    except RedError as error:
        one_line(error)
        assert facts(project) == before
    else:
        assert version == facts(project)["edits"][-1][0]


@given(LINES)
@settings(max_examples=150)
def test_any_lines_of_labels_are_one_edit_or_none(project, folder, lines):
    (path := folder / "labels.json").write_text(json.dumps(lines), "utf-8")
    import_labels(project, path)


@given(data=st.data(), ending=st.sampled_from(["csv", "json"]))
@settings(max_examples=80)
def test_a_bent_label_set_is_one_edit_or_none(project, folder, data, ending):
    if not (whole := folder / f"whole.{ending}").is_file():  # as it was first: what an edit made of it is longer
        export_label_set(project, whole)
    (path := folder / f"labels.{ending}").write_bytes(mended(whole.read_bytes(), data.draw))
    import_labels(project, path)


# Decisions

ID = "0" * 64
DECISION = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["accept", "relabel", "none", "reject", "skip"]) | JSON,
        "label": st.none() | st.just("refund") | JSON,
        "who": st.just("ann") | JSON,
        "at": st.just("2026-01-31T12:00:00.000+00:00") | st.datetimes().map(str) | JSON,
        "reason": st.just("") | JSON,
        "queue": st.just("") | JSON,
        "seconds": st.none() | JSON,
        "belief": st.none() | JSON,
        "undone": st.booleans() | JSON,
        "more": JSON,
    },
)


@pytest.fixture(scope="module")
def text_id(project: Project, folder: Path) -> str:
    export(project, folder / "ids.jsonl")
    return str(json.loads((folder / "ids.jsonl").read_text("utf-8").splitlines()[-1])["text_id"])


def restore_lines(project: Project, path: Path) -> None:
    before = facts(project)
    try:
        restored = restore_decisions(project, path, "eve")
    except RedError as error:
        one_line(error)
        assert facts(project) == before
    else:
        assert len(facts(project)["decisions"]) == len(before["decisions"]) + restored.restored


@given(decisions=st.lists(DECISION | JSON, max_size=4), known=st.booleans())
@settings(max_examples=150)
def test_any_decisions_are_restored_or_refused(project, folder, text_id, decisions, known):
    row = {"text_id": text_id if known else ID, "decisions": decisions}
    (path := folder / "in.jsonl").write_text(json.dumps(row), "utf-8")
    restore_lines(project, path)


@given(data=st.data())
@settings(max_examples=60)
def test_a_bent_export_is_restored_or_refused(project, folder, data):
    if not (whole := folder / "whole.jsonl").is_file():  # as it was first: what was restored makes it longer
        export(project, whole)
    (path := folder / "bent.jsonl").write_bytes(mended(whole.read_bytes(), data.draw))
    restore_lines(project, path)


# Backups, and the arrays in them


@pytest.fixture(scope="module")
def backup(folder: Path) -> Path:
    kept = small_project(folder / "backed up", seeds=seed_rows(each=2), pool=[("refund, now", "refund")])
    save_arrays(kept.folder / "map" / "1.npz", numbers=np.arange(5))
    back_up(kept, folder / "backup.zip")
    return folder / "backup.zip"


@given(
    change=st.dictionaries(st.sampled_from(["format", "program", "project", "at", "files", "more"]), JSON, max_size=2),
    member=st.none()
    | st.tuples(st.sampled_from(["../x", "/x", "rounds/../../x", "C:x", ".x", "a" * 300]) | WORDS.filter(bool), WORDS),
)
@settings(max_examples=80)
def test_a_backup_with_any_manifest_is_restored_or_leaves_nothing(backup, folder, change, member):
    with zipfile.ZipFile(backup) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    manifest = json.loads(members["manifest.json"])
    members["manifest.json"] = json.dumps(manifest | change).encode()
    if member is not None:
        members[member[0].encode("utf-8", "replace").decode()] = member[1].encode("utf-8", "replace")
    with zipfile.ZipFile(folder / "changed.zip", "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    workspace = folder / "restored"
    there = set(project_names(workspace))
    try:
        made = restore(workspace, folder / "changed.zip", f"r{len(there)}")
    except RedError as error:
        one_line(error)
        assert set(project_names(workspace)) == there
        assert not list(workspace.glob(".*"))
    else:
        assert not change or change.keys() <= {"program", "project", "at"}
        assert facts(made)["sources"]


@given(data=st.data())
@settings(max_examples=100)
def test_bent_arrays_are_read_or_refused(backup, folder, data):
    source = backup.parent / "backed up" / "small" / "map" / "1.npz"
    (path := folder / "bent.npz").write_bytes(mended(source.read_bytes(), data.draw))
    try:
        load_arrays(path)
    except StoreError as error:
        one_line(error)


# Settings

NAMES = st.sampled_from([*Settings.model_fields, "no_such", ""]) | WORDS


@given(st.dictionaries(NAMES, JSON, max_size=3), st.sampled_from(["recommended", "article"]) | WORDS)
@settings(max_examples=300)
@example({"least_gain": float("nan")}, "recommended")
@example({"least_information": float("inf")}, "recommended")
@example({"regularisation": [0]}, "recommended")
def test_any_settings_can_be_stored_or_are_refused(changes, preset):
    try:
        made = make_settings(preset, changes)
    except RedError as error:
        one_line(error)
    else:
        assert Settings.model_validate_json(made.model_dump_json()) == made


@pytest.fixture(scope="module")
def set_by_hand(project: Project) -> Iterator[Callable[[str], str]]:
    """A function that gives ``--set`` to a round that is not run, and returns what is said on standard error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("red_core.cli.rounds.work", lambda *_: None)

        def invoke(change: str) -> str:
            command = ["--workspace", str(project.workspace), "round", project.name, "--set", change]
            result = CliRunner().invoke(cli.main, command)
            assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
            assert (result.exit_code == 0) == (result.stderr == "")
            return result.stderr if result.exit_code == 1 else ""

        yield invoke


@given(NAMES, JSON.map(json.dumps) | WORDS)
@settings(max_examples=80)
@example("subset_size", "[" * 50_000)
@example("subset_size", "1" * 5_000)
@example("subset_size", "NaN")
def test_any_change_by_hand_is_taken_or_refused_in_one_line(set_by_hand, name, value):
    assert set_by_hand(f"{name}={value}").count("\n") <= 1


# The judge's settings and replies

TOML = st.text(max_size=60) | st.sampled_from(["a = " + "[" * 3_000, "a = 1\na = 2", "\ufeffa = 1", "a = nan", "[RED]"])
FIELDS = {str(field.alias): name for name, field in JudgeServer.model_fields.items()}


@pytest.fixture(scope="module")
def secrets(folder: Path) -> Iterator[Path]:
    """The secrets file, with no setting in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in FIELDS or name.startswith(("RED_JUDGE", "OPENAI")):
                patch.delenv(name)
        patch.setenv("RED_SECRETS", str(folder / "secrets.toml"))
        yield folder / "secrets.toml"


def read_and_keep(**changes: Any) -> None:
    try:
        server = judge_server(**changes)
        keep(server)
    except RedError as error:
        one_line(error)
    else:
        assert judge_server() == server


@given(st.binary(max_size=60) | TOML.map(lambda text: text.encode("utf-8", "replace")))
@settings(max_examples=150)
def test_any_secrets_file_is_read_or_refused(secrets, content):
    secrets.write_bytes(content)
    read_and_keep()


@given(st.dictionaries(st.sampled_from(list(FIELDS)), PLAIN, max_size=4))
@settings(max_examples=200)
@example({"RED_JUDGE_MODEL": "m", "RED_JUDGE_EXTRA": "[" * 50_000})
@example({"RED_JUDGE_MODEL": "m", "RED_JUDGE_EXTRA": '{"a": NaN}'})
@example({"RED_JUDGE_MODEL": "m", "OPENAI_BASE_URL": "http://[::1"})
def test_any_values_of_a_secrets_file_are_taken_or_refused(secrets, values):
    lines = [f"{name} = {toml(value)}" for name, value in values.items()]
    secrets.write_text("\n".join(lines), "utf-8", errors="replace")
    read_and_keep()


def toml(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(bool(value)).lower()
    return json.dumps(value).replace("Infinity", "inf").replace("NaN", "nan")


@given(st.dictionaries(st.sampled_from(sorted(JudgeServer.model_fields)), PLAIN, max_size=4))
@settings(max_examples=200)
def test_any_form_is_taken_or_refused(secrets, values):
    secrets.unlink(missing_ok=True)
    read_and_keep(**values)


@given(st.sampled_from([Name, *Strict.__subclasses__()]), JSON.map(json.dumps) | st.text(max_size=60))
@settings(max_examples=200)
def test_whatever_a_model_writes_is_read_as_asked_or_not_at_all(shape, content):
    body = json.dumps({"choices": [{"finish_reason": "stop", "message": {"content": content}}]})
    try:
        words, refused = content_of(strict_json(body))
        assert not refused
        written = shape.model_validate(strict_json(words or ""))
    except (ValidationError, ValueError):
        return  # what ask_in_json expects
    assert set(json.loads(content)) <= set(type(written).model_fields)


# The desk in the browser

MESSAGE = {
    "project": "0" * 32,
    "tick": 1, "store": "red-1", "queue": "q", "labels": "1-2-3", "held": [1, 2], "acts": [{"id": ID}], "want": None,
}  # fmt: skip


@given(st.dictionaries(st.sampled_from([*MESSAGE, "more"]), JSON, max_size=2) | JSON)
@settings(max_examples=300)
@example({"want": {"kind": "history", "card": 2**63}})
@example({"tick": -1})
@example({"held": [True]})
def test_any_message_of_a_desk_is_understood_or_refused(change):
    raw = MESSAGE | change if isinstance(change, dict) else change
    try:
        message = read_message(raw)
    except RedError as error:
        one_line(error)
    else:
        assert isinstance(raw, dict)
        assert message.tick == raw["tick"]
        assert all(-(2**63) <= card < 2**63 for card in message.held)
