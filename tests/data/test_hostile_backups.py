"""Archives nobody should trust: refused in one line, with nothing left behind."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import random
import shutil
import sqlite3
import stat
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from red_core.data.backup import restore
from red_core.errors import InputError, RedError, StoreError
from red_core.records import Project
from red_core.results.exports import export
from red_core.rounds.status import project_status
from red_core.steps.neighbour_features import NEAREST
from red_core.store.arrays import load_arrays, save_arrays
from red_core.store.checksums import seal
from red_core.store.database import open_project
from red_core.training.model import load_model, model_file

Members = dict[str, bytes]


@pytest.fixture
def packed(backed_up: Path) -> Path:
    return backed_up / "small.zip"


def refusal(caught: pytest.ExceptionInfo[Exception]) -> str:
    line = str(caught.value)
    assert "\n" not in line
    assert line.isprintable()
    return line


def members_of(packed: Path) -> Members:
    with zipfile.ZipFile(packed) as zipped:
        return {name: zipped.read(name) for name in zipped.namelist()}


def with_manifest(members: Members, change: Callable[[dict[str, Any]], None]) -> Members:
    told = json.loads(members["manifest.json"])
    change(told)
    return members | {"manifest.json": json.dumps(told).encode()}


def written(path: Path, members: Members, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return path


def named_as_well(name: str) -> Callable[[Path, Members], Path]:
    """Return what adds a member and names it, with its true length and checksum, in the manifest."""

    def make(path: Path, members: Members) -> Path:
        told = json.loads(members["manifest.json"])
        told["files"][name] = told["files"]["label-names.npz"]
        changed = with_manifest(members, lambda manifest: manifest.update(told))
        return written(path, changed | {name: members["label-names.npz"]})

    return make


def a_stranger(path: Path, members: Members) -> Path:
    return written(path, members | {"rounds/9.npz": b"not named in the manifest"})


def a_missing_member(path: Path, members: Members) -> Path:
    return written(path, {name: content for name, content in members.items() if name != "rounds/1.npz"})


def the_same_name_twice(path: Path, members: Members) -> Path:
    written(path, members)
    with zipfile.ZipFile(path, "a") as zipped, pytest.warns(UserWarning, match="Duplicate name"):
        zipped.writestr("project.db", b"another")
    return path


def names_that_differ_in_case(path: Path, members: Members) -> Path:
    return named_as_well("rounds/A.npz")(path, members | {"rounds/a.npz": b""})


def other_content(path: Path, members: Members) -> Path:
    return written(path, members | {"rounds/1.npz": members["rounds/1.npz"][::-1]})


def a_link(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = ((stat.S_IFLNK if name == "rounds/1.npz" else stat.S_IFREG) | 0o777) << 16
            zipped.writestr(entry, content)
    return path


def a_bomb(path: Path, members: Members) -> Path:
    return written(path, members | {"rounds/1.npz": bytes(10**7)}, zipfile.ZIP_DEFLATED)


def a_bomb_of_overlapping_members(path: Path, members: Members) -> Path:
    """Let the directory name the same bytes a thousand times."""
    written(path, members)
    with zipfile.ZipFile(path, "a") as zipped:
        entry = zipped.getinfo("project.db")
        for number in range(1000):
            again = zipfile.ZipInfo(f"rounds/{number + 100}.npz")
            for part in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(again, part, getattr(entry, part))
            zipped.filelist.append(again)
        zipped._didModify = True  # type: ignore[attr-defined]
    return path


def a_huge_manifest(path: Path, members: Members) -> Path:
    return written(path, members | {"manifest.json": b" " * (9 * 2**20) + members["manifest.json"]})


def no_manifest(path: Path, members: Members) -> Path:
    return written(path, {name: content for name, content in members.items() if name != "manifest.json"})


def a_deep_manifest(path: Path, members: Members) -> Path:
    return written(path, members | {"manifest.json": b"[" * 10**6})


def a_later_format(path: Path, members: Members) -> Path:
    return written(path, with_manifest(members, lambda told: told.update(format=2)))


def a_hostile_project_name(path: Path, members: Members) -> Path:
    return written(path, with_manifest(members, lambda told: told.update(project="../../up")))


def text_instead(path: Path, _: Members) -> Path:
    path.write_text("not a zip at all " * 1000)
    return path


def nothing(path: Path, _: Members) -> Path:
    path.touch()
    return path


def the_first_half(path: Path, members: Members) -> Path:
    written(path, members)
    os.truncate(path, path.stat().st_size // 2)
    return path


def sealed(path: Path, members: Members, database_content: bytes) -> Path:
    """Write a backup around another database, with its true length and checksum."""
    told = {"bytes": len(database_content), "sha256": hashlib.sha256(database_content).hexdigest()}
    changed = with_manifest(members, lambda manifest: manifest["files"].update({"project.db": told}))
    return written(path, changed | {"project.db": database_content})


def another_database(change: str) -> Callable[[Path, Members], Path]:
    def make(path: Path, members: Members) -> Path:
        file = path.with_suffix(".db")
        file.write_bytes(members["project.db"])
        with closing(sqlite3.connect(file)) as db, db:
            db.execute(change)
        return sealed(path, members, file.read_bytes())

    return make


def no_database(path: Path, members: Members) -> Path:
    return sealed(path, members, b"this is no database " * 500)


NEWER = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('red_core', 'm999_later', 'now')"
TRIGGER = "CREATE TRIGGER _sqlite_t AFTER INSERT ON decision BEGIN UPDATE decision SET who = 'mallory'; END"
HOSTILE = {
    "a path that leads out": (named_as_well("../../out.npz"), "not a file of a project"),
    "an absolute path": (named_as_well("/tmp/out.npz"), "not a file of a project"),  # noqa: S108
    "a path of Windows": (named_as_well("rounds\\..\\out.npz"), "not a file of a project"),
    "a path through its own folder": (named_as_well("rounds/../../out.npz"), "not a file of a project"),
    "a folder nobody asked for": (named_as_well("jobs/1.npz"), "not a file of a project"),
    "a hidden file": (named_as_well(".hidden.npz"), "not a file of a project"),
    "a write-ahead log": (named_as_well("project.db-wal"), "not a file of a project"),
    "a program": (named_as_well("sitecustomize.py"), "not a file of a project"),
    "a member that is not named": (a_stranger, "not those its manifest names"),
    "a member that is missing": (a_missing_member, "not those its manifest names"),
    "a name twice": (the_same_name_twice, "have the same name"),
    "names that differ in case alone": (names_that_differ_in_case, "have the same name"),
    "a member with other content": (other_content, "is damaged"),
    "a symbolic link": (a_link, "not a plain file"),
    "a bomb": (a_bomb, "is compressed"),
    "a bomb of overlapping members": (a_bomb_of_overlapping_members, "longer than the file"),
    "a huge manifest": (a_huge_manifest, "no usable manifest.json"),
    "no manifest": (no_manifest, "no usable manifest.json"),
    "a deep manifest": (a_deep_manifest, "not a complete backup"),
    "a later format": (a_later_format, "not a complete backup"),
    "a project name that leads out": (a_hostile_project_name, "is not allowed"),
    "a text": (text_instead, "not a complete backup"),
    "an empty file": (nothing, "not a complete backup"),
    "half a backup": (the_first_half, "not a complete backup"),
    "no database inside": (no_database, "is not a readable database"),
    "a database of a newer version": (another_database(NEWER), "newer version of this program"),
    "a trigger in the database": (another_database(TRIGGER), "trigger _sqlite_t is none of this program"),
    "a table too many": (another_database("CREATE TABLE more (x)"), "table more is none of this program"),
    "a table too few": (another_database("DROP TABLE explanation"), "table explanation differs from"),
    "more vectors in the index than in the file": (
        another_database("UPDATE vector SET row = row + 1000"), "is missing or too short"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "says"), HOSTILE.values(), ids=HOSTILE)
def test_an_archive_that_is_no_backup_of_ours_is_refused_and_leaves_nothing(make, says, packed, workspace, tmp_path):
    archive = make(tmp_path / "hostile.zip", members_of(packed))
    before = set(tmp_path.iterdir())
    with pytest.raises(RedError, match=says) as caught:
        restore(workspace, archive)
    refusal(caught)
    assert set(tmp_path.iterdir()) - before <= {workspace}
    assert not workspace.exists() or list(workspace.iterdir()) == []


def test_a_file_that_is_not_there_is_refused(workspace, tmp_path):
    for missing in (tmp_path / "gone.zip", tmp_path, Path("/dev/null")):
        with pytest.raises(InputError, match="there is no such file"):
            restore(workspace, missing)
    assert not workspace.exists()


def flipped(content: bytes, places: list[int], bit: int) -> bytes:
    changed = bytearray(content)
    for place in places:
        changed[place % len(changed)] ^= 1 << bit
    return bytes(changed)


def check_refused_or_whole(content: bytes, backed_up: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "flipped.zip").write_bytes(content)
    refused = None
    try:
        again = restore(folder / "workspace", folder / "flipped.zip", "again")
    except RedError as error:
        refused = str(error)
    if refused is not None:
        assert "\n" not in refused
        assert list((folder / "workspace").glob("*")) == []
    else:  # it hit a date, an attribute or the like
        assert export(again, folder / "a.jsonl") == export(
            Project(backed_up / "workspace", "small"), folder / "b.jsonl"
        )
        assert (folder / "a.jsonl").read_bytes() == (folder / "b.jsonl").read_bytes()


@given(places=st.lists(st.integers(0, 2**30), min_size=1, max_size=3), bit=st.integers(0, 7))
def test_flipped_bits_are_found_or_do_not_matter(backed_up, tmp_path_factory, places, bit):
    content = flipped((backed_up / "small.zip").read_bytes(), places, bit)
    check_refused_or_whole(content, backed_up, tmp_path_factory.getbasetemp() / "flips")


def test_flipped_bits_in_the_directory_of_the_zip_are_found_or_do_not_matter(backed_up, packed, tmp_path):
    content = packed.read_bytes()
    begins = content.rindex(b"PK\x01\x02", 0, content.index(b"PK\x05\x06"))
    chance = random.Random(0)  # noqa: S311  no secret
    for _ in range(60):
        place, bit = chance.randrange(begins, len(content)), chance.randrange(8)
        check_refused_or_whole(flipped(content, [place], bit), backed_up, tmp_path / "flips")


# Whole archives with a content that would crash, hang or fill the machine later: the check in its own process refuses

METRICS = (
    '{"pool": 1, "uncertain": 0, "expected_agreement": 0.9, "true_agreement": null, '
    '"judge_rates": {"right": {}, "wrong": {}, "pairs": 0}}'
)
ENDLESS = (
    "DROP VIEW seed; CREATE VIEW seed AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) "
    "SELECT x AS text, x AS label FROM n"
)
ENDLESS_LIST = (
    "DROP TABLE _sqlite_migrations; CREATE VIEW _sqlite_migrations AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL "
    "SELECT x + 1 FROM n) SELECT x AS id, 'red_core' AS migration_set, x AS name, '' AS applied_at FROM n"
)
AT = "'2026-01-01T00:00:00+00:00'"
BATCH = f"INSERT INTO judge_batch (round, judge, requests, at) VALUES (2, 'llm', '%s', {AT})"
IN_GROUPS = f"INSERT INTO label_path (label, path, who, at, edit) VALUES (1, '%s', 'a', {AT}, 1)"
OLD_LABEL = '{"id": %d, "name": "a", "name_key": "a", "becomes": %s, "retired": 0, "merged_since": 0}'
RENAMED = "UPDATE label_edit SET detail = json_set(detail, '$.labels[0]', json('%s')) WHERE kind = 'rename'"
TESTED = (
    "INSERT INTO self_test (judge, prompt_version, text, label, kind, outcome, model, raw, question_key, at) "
    f"VALUES (%s, '3', 1, 1, 'right', %s, 'm', '', 'k', {AT})"
)
ALL_OF = "UPDATE prediction SET label = %d, runner_up = -1, top = '[[-1, 1]]'"
LAST = 2**63 - 1
RANGE = "has a number that is not from"
CONTENTS: dict[str, tuple[str, str]] = {
    "an endless view": (ENDLESS, "view seed is none of this program"),
    "a list of versions that is an endless view": (ENDLESS_LIST, "it has no list of the versions that wrote it"),
    "a virtual table": ("CREATE VIRTUAL TABLE words USING fts5(a)", "words.* is none of this program"),
    "an index of its own": ("CREATE INDEX more ON text (upper(content))", "index more is none of this program"),
    # numbers
    "an infinity": ("UPDATE prediction SET belief = 9e999", f"prediction.belief {RANGE} 0 to 1"),
    "a probability of two": ("UPDATE prediction SET belief = 2.0", f"prediction.belief {RANGE} 0 to 1"),
    "the last id of SQLite": (f"UPDATE decision SET id = {LAST} WHERE id = 7", f"(checksum.last|decision.id) {RANGE}"),
    "the last id of a round": (f"UPDATE round SET id = {LAST} WHERE id = 2", f"round.id {RANGE}|refer to a missing"),
    "the last version of the label set": (
        f"UPDATE label_edit SET version = {LAST} WHERE kind = 'rename'", f"label_edit.version {RANGE}|refer to a"),
    "a negative id": ("INSERT INTO label (id, name, name_key) VALUES (-1, 'a', 'a')", f"label.id {RANGE} 1"),
    "an id of zero": ("INSERT INTO label (id, name, name_key) VALUES (0, 'a', 'a')", f"label.id {RANGE} 1"),
    "a label that is retired seven times": ("UPDATE label SET retired = 7 WHERE id = 1", f"label.retired {RANGE}"),
    "a decision that took no time and less": ("UPDATE decision SET seconds = -1", f"decision.seconds {RANGE}"),
    "a label far outside the map": ("UPDATE label_place SET x = 1e300", f"label_place.x {RANGE}"),
    # texts and times
    "a judge that is no text": ("UPDATE round SET judge = CAST(x'ff' AS TEXT)", "round has a text that is not UTF-8"),
    "a tested judge that is no text": (TESTED % ("CAST(x'ff' AS TEXT)", "'valid'"), "self_test has a text that is not"),
    "an explanation that is no text": (
        f"INSERT INTO explanation (verdict, words, model, at) VALUES (1, CAST(x'ff' AS TEXT), 'm', {AT})",
        "explanation has a text that is not UTF-8"),
    "a time that is none": ("UPDATE source SET at = 'yesterday'", "source.at has a time that cannot be read"),
    "a time at the end of all times": (
        "UPDATE source SET at = '9999-12-31T23:59:59-14:00'", "source.at has a time that cannot be read"),
    # JSON
    "metrics that are no JSON": ("UPDATE round SET metrics = 'junk'", "round.metrics does not hold"),
    "metrics without a figure": ("UPDATE round SET metrics = '{\"pool\": 1}'", "round.metrics does not hold"),
    "metrics without what status reads": (f"UPDATE round SET metrics = '{METRICS}'", "round.metrics does not hold"),
    "metrics that are empty in another way": ("UPDATE round SET metrics = '{ }'", "a round has no figures"),
    "no metrics": ("UPDATE round SET metrics = '{}'", "a round has no figures"),
    **{
        f"metrics with a wrong {name}": (
            f"UPDATE round SET metrics = json_set(metrics, '$.{name}', json('{wrong}'))", "round.metrics does not hold")
        for name, wrong in {
            "forecast": '"junk"', "forecast.you": "[]", "forecast.you.accuracy": "[0.5, 2]",
            "forecast.judge.answers": "[1]", "training_rows": "0", "worth_asking": '"x"', "worth_judging": "null",
            "complete": '"y"', "expected_alone": '"z"', "pool": "0", "tokens": str(LAST), "none_of_these": "null",
            "true_alone": "null", "outcomes": '{"valid": "many"}', "encoder": '"x?precision=junk"',
            "judge_rates.levels": "[[2, 0]]", "information_gain": "-1",
        }.items()
    },
    "settings of another program": (
        "UPDATE round SET settings = '{\"subset_size\": -1}'", "round.settings does not hold"),
    "settings that are deep": (f"UPDATE round SET settings = '{'[' * 5000}'", "round.settings does not hold"),
    "a label of a prediction that does not exist": (
        "UPDATE prediction SET label = 99 WHERE round = 1", "a label of a prediction does not exist"),
    "five best that are no list": ("UPDATE prediction SET top = '{}'", "prediction.top does not hold"),
    "none of the five best": ("UPDATE prediction SET top = '[]'", "prediction.top does not hold"),
    "six best": (
        "UPDATE prediction SET top = '[[1,1],[2,0],[3,0],[4,0],[-1,0],[1,0]]'", "prediction.top does not hold"),
    "a best one that does not exist": ("UPDATE prediction SET top = '[[99, 0.5]]'", "a label of a prediction is not"),
    "notes that are a number": ("UPDATE source SET notes = '7'", "source.notes does not hold"),
    "other columns that are a list": ("UPDATE source_row SET extra = '[1]'", "source_row.extra does not hold"),
    "a number of 401 digits in another column": (
        f"UPDATE source_row SET extra = '{{\"a\": 1{'0' * 400}}}'", "source_row.extra does not hold"),
    "evidence of one label": ("UPDATE proposal SET evidence = '{\"label\": []}'", "the evidence of a suggested label"),
    "groups without names": (IN_GROUPS % '["", ""]', "label_path.path does not hold"),
    "groups without end": (IN_GROUPS % json.dumps(["g"] * 3000), "label_path.path does not hold"),
    "a batch of junk": (BATCH % '"junk"', "judge_batch.requests does not hold"),
    "a batch about a text that does not exist": (
        BATCH % '[[1, 9, 99, 1, "k", false, null]]', "a question of a batch does not exist"),
    "an edit without what an undo needs": (
        f"INSERT INTO label_edit (kind, detail, who, at) VALUES ('rename', '{{}}', 'a', {AT})",
        "label_edit.detail does not hold"),
    "an edit of a label that does not exist": (RENAMED % (OLD_LABEL % (99, "null")), "an edit of the labels names one"),
    "an edit that would merge into nothing": (RENAMED % (OLD_LABEL % (4, "99")), "an edit of the labels names one"),
    "an edit that undoes itself": ("UPDATE label_edit SET undoes = version WHERE version = 3", "an edit undoes itself"),
    # labels
    "a subset far away": (
        "UPDATE label_place SET subset = 1000000000 WHERE label = 1", "the number of a subset is out of its range"),
    "a chain of merged labels": (
        f"UPDATE label SET becomes = 2 WHERE id = 1; UPDATE label SET becomes = 3 WHERE id = 2; {ALL_OF % 3}",
        "a merged label is not merged into the last one"),
    "a label that is merged into a retired one": (
        f"UPDATE label SET becomes = 2 WHERE id = 1; UPDATE label SET retired = 1 WHERE id = 2; {ALL_OF % 3}",
        "a label is merged into itself, or into a retired one"),
    "labels that are all retired": ("UPDATE label SET retired = 1", "is not active"),
    "labels that are all merged into one": ("UPDATE label SET becomes = 1 WHERE id <> 1", "is not active"),
    "one label that is left": (
        f"UPDATE label SET becomes = 1 WHERE id <> 1; {ALL_OF % 1}",
        "two labels or more have to be active"),
    "labels of the same name": ("UPDATE label SET name = 'same'", "a label cannot be found by its name"),
    # decisions and audits
    "an accepted text without a label": ("UPDATE decision SET label = NULL", "a decision has a label too many"),
    "none of these, but a label": ("UPDATE decision SET label = 1 WHERE kind = 'none'", "a decision has a label too"),
    "an undo that undoes itself": ("UPDATE decision SET undoes = id WHERE id = 7", "a decision undoes what it cannot"),
    "an undo that undoes nothing": ("UPDATE decision SET undoes = NULL", "a decision undoes what it cannot"),
    "an undo of another text": ("UPDATE decision SET undoes = 1 WHERE id = 7", "a decision undoes what it cannot"),
    "a row with a label and no text": ("UPDATE source_row SET text = NULL", "a row has no text"),
    "a training text without weight": ("UPDATE training_row SET weight = 0", "a training text has no weight"),
    "an answer of an audit without a label": ("UPDATE audit_answer SET label = NULL", "an answer to an audit has a"),
    "an answer that undoes itself": (
        "UPDATE audit_answer SET kind = 'undo', label = NULL, undoes = id WHERE id = 1", "an answer to an audit undo"),
    "an extra audit of no label": ("UPDATE audit SET purpose = 'label'", "an audit has a label too many, or none"),
    "a certificate about no text": ('UPDATE certificate SET "of" = 0', "the figures of a certificate do not fit"),
    "a certificate with more hits than audits": ("UPDATE certificate SET hits = 5", "the figures of a certificate"),
    "a certificate with negative figures": ("UPDATE certificate SET texts = -5", f"certificate.texts {RANGE}"),
    "a certificate that is never wrong": ("UPDATE certificate SET error = 0", "may not be wrong at all"),
    "a frame of no text": ("UPDATE audit_check SET frames = '[[0.0, 0, 0]]'", "audit_check.frames does not hold"),
    "a frame of negative texts": ("UPDATE audit_check SET frames = '[[0.0, -5, 1]]'", "audit_check.frames does not"),
    "frames of which the first is a part": ("UPDATE audit_check SET frames = '[[0.9, 3, 2.5]]'", "audit_check.frames"),
    "an outcome that no judge has": (TESTED % ("'llm'", "'maybe'"), "an answer of a self-test is unknown"),
    # rounds
    "a finished round without confidences": ("DELETE FROM prediction", "a finished round has no confidences"),
    "an open round before the last": (
        "UPDATE round SET state = 'closed'; UPDATE round SET state = 'to review' WHERE id = 1", "a round is open"),
    "a confidence before an edit of no round": (
        "INSERT INTO prediction_before VALUES (3, 9, 20, 1, 0.5, 2, 0.1, 0.0, 0.5, '[[1, 0.5]]')",
        "a confidence before an edit is of no round"),
    # the rest
    "a model of vectors with no dimensions": (
        "UPDATE vector_model SET dimensions = 0", "is missing or too short|no usable dimensions|damaged"),
    "a target that is no number": (
        "INSERT INTO project VALUES ('audit target', 'junk')", "project.audit target has no usable value"),
    "a limit of 5,000 digits": (
        f"INSERT INTO project VALUES ('most tokens of the project', '{'9' * 5000}')", "project.most tokens of the"),
    "an encoder that cannot be read": (
        "UPDATE project SET value = 'x?precision=junk' WHERE key = 'embedding'",
        "project.embedding has no usable value"),
    "languages that are no shares": (
        "INSERT OR REPLACE INTO project VALUES ('languages', '{\"de\": \"much\"}')",
        "project.languages has no usable value"),
    "a comparison of encoders with other fields": (
        "INSERT OR REPLACE INTO project VALUES ('encoder comparison', '[{\"encoder\": 1}]')",
        "project.encoder comparison has no usable value"),
    "a drift that is no comparison": (
        "INSERT OR REPLACE INTO project VALUES ('drift', '{\"of\": \"1 1\", \"file\": \"a\", \"labels\": [{}]}')",
        "project.drift has no usable value"),
    "a drift of something else": (
        "INSERT OR REPLACE INTO project VALUES ('drift of', '1 x')", "a comparison of imports is missing|drift of has"),
    "a drift that is not there": (
        "INSERT OR REPLACE INTO project VALUES ('drift of', '2 1')", "a comparison of imports is missing"),
}  # fmt: skip


def with_content(script: str) -> Callable[[Path, Members], Path]:
    """Return what puts another database into a backup, with checksums that fit it."""

    def make(path: Path, members: Members) -> Path:
        file = path.with_suffix(".db")
        file.write_bytes(members["project.db"])
        with closing(sqlite3.connect(file)) as db:
            db.executescript(script)
            if db.execute("SELECT type FROM sqlite_schema WHERE name = '_sqlite_migrations'").fetchone() == ("table",):
                db.execute("DELETE FROM checksum")
                seal(Database(db, execute_plugins=False), predictions=True)
                db.commit()
        return sealed(path, members, file.read_bytes())

    return make


@pytest.mark.parametrize("name", CONTENTS)
def test_a_content_that_would_crash_later_is_refused_in_one_line(name, packed, workspace, tmp_path):
    script, says = CONTENTS[name]
    check_refused(with_content(script)(tmp_path / "hostile.zip", members_of(packed)), workspace, says)


def array_file(make: Callable[[Path], None], folder: Path) -> bytes:
    path = folder / "made.npz"
    make(path)
    return path.read_bytes()


def deflated(path: Path) -> None:
    """A few kilobytes that become megabytes: numpy would unpack them, and gigabytes too."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped,
        zipped.open("numbers.npy", "w", force_zip64=True) as out,
    ):
        np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (2**22,)})
        for _ in range(2**5):
            out.write(bytes(2**20))


def claiming_terabytes(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as zipped, zipped.open("numbers.npy", "w") as out:
        np.lib.format.write_array_header_1_0(out, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})


Arrays = dict[str, np.ndarray[Any, Any]]
MODEL, NAMES, WORDS, MAP = "rounds/2.npz", "label-names.npz", "lexical-4-0-56.npz", "map/pool-*.npz"


def changed(member: str, **changes: Callable[[Any], Any]) -> tuple[str, Callable[[Arrays], Arrays]]:
    """Return a member and what changes some of its arrays."""
    return member, lambda stored: stored | {name: np.asarray(change(stored[name])) for name, change in changes.items()}


def only(member: str, *names: str) -> tuple[str, Callable[[Arrays], Arrays]]:
    return member, lambda stored: {name: stored[name] for name in names}


def first_value(value: object) -> Callable[[Any], Any]:
    """Return what puts another value in the first place of an array."""

    def change(array: Any) -> Any:
        array.reshape(-1)[0] = value
        return array

    return change


ARRAYS: dict[str, tuple[str, Callable[[Arrays], Arrays]]] = {
    "a model with an infinity": changed(MODEL, partitions_weights=first_value(np.inf)),
    "a model of labels alone": only(MODEL, "label_ids"),
    "a model of other labels": changed(MODEL, label_ids=lambda ids: ids + 90),
    "a model of labels in no order": changed(MODEL, label_ids=lambda ids: ids[::-1]),
    "a model of wrong shapes": changed(MODEL, partitions_bias=lambda bias: bias[:, :-1]),
    "a model of fewer features": changed(MODEL, partitions_weights=lambda weights: weights[:, :, :-1]),
    "a model of words": changed(MODEL, partitions_weights=lambda weights: weights.astype(str)),
    "a model with a subset far away": changed(MODEL, partitions_subset_of=first_value(10**9)),
    "a calibration of one number": changed(MODEL, calibration=lambda both: both[:1]),
    "a calibration of words": changed(MODEL, calibration=lambda both: both.astype(str)),
    "a calibration out of all range": changed(MODEL, calibration=lambda both: np.full_like(both, 1e300)),
    "a calibration that turns beliefs round": changed(MODEL, calibration=first_value(-1)),
    "a known label that does not exist": changed(MODEL, known_labels=first_value(4)),
    "a model of an encoder without vectors": changed(MODEL, words=first_value("nil")),
    "a model that reads elsewhere": changed(MODEL, words=lambda w: np.array([w[0], "../../other", w[2], w[3]])),
    "a model that says no number": changed(MODEL, extent=lambda extent: np.array([extent[0], "many", extent[2]])),
    "a map of other arrays": (MAP, lambda _: {"a": np.zeros(3)}),
    "a map without corners": only(MAP, "texts", "spots", "counts"),
    "a map of words": changed(MAP, low=lambda low: low.astype(str)),
    "a map with fewer places than texts": changed(MAP, spots=lambda spots: spots[:2]),
    "a map of one corner": changed(MAP, high=lambda high: high[:1]),
    "a map as large as the universe": changed(MAP, high=lambda high: high * 1e300),
    "a map that is turned round": changed(MAP, high=lambda high: -high, low=lambda low: -low),
    "a map with negative counts": changed(MAP, counts=first_value(-1)),
    "names without vectors": only(NAMES, "model", "names"),
    "names with fewer vectors": changed(NAMES, vectors=lambda vectors: vectors[:1]),
    "names with shorter vectors": changed(NAMES, vectors=lambda vectors: vectors[:, :3]),
    "word features of other words": changed(WORDS, idf=lambda idf: idf[:-1]),
    "word features of more dimensions": changed(WORDS, components=lambda each: np.vstack([each, each])),
}


def packed_with(path: Path, members: Members, name: str, content: bytes) -> Path:
    told = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    changed = with_manifest(members, lambda manifest: manifest["files"].update({name: told}))
    return written(path, changed | {name: content})


def check_refused(archive: Path, workspace: Path, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        restore(workspace, archive)
    refusal(caught)
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize("make", [deflated, claiming_terabytes])
def test_an_array_file_that_would_fill_the_memory_is_refused(make, packed, workspace, tmp_path):
    content = array_file(make, tmp_path)
    check_refused(packed_with(tmp_path / "hostile.zip", members_of(packed), MODEL, content), workspace, "damaged")


@pytest.mark.parametrize("name", ARRAYS)
def test_hostile_arrays_are_refused_in_one_line(name, packed, workspace, tmp_path):
    members, (pattern, change) = members_of(packed), ARRAYS[name]
    (member,) = fnmatch.filter(members, pattern)
    (path := tmp_path / "arrays.npz").write_bytes(members[member])
    save_arrays(path, **change(load_arrays(path)))
    archive = packed_with(tmp_path / "hostile.zip", members, member, path.read_bytes())
    check_refused(archive, workspace, f"{member} (does not hold the arrays|has a number)")


def lists_of(members: Members) -> tuple[str, str, np.ndarray[Any, Any]]:
    """Return the name of the lists of neighbours in a backup, their member, and a copy of them."""
    (member,) = fnmatch.filter(members, "vectors-nearest-*")
    stored = np.frombuffer(members[member], "<f4").reshape(-1, 2 * NEAREST).copy()
    return member.removeprefix("vectors-").removesuffix(".f32"), member, stored


@pytest.mark.parametrize(
    ("column", "value"), [(0, np.int32(10**6).view(np.float32)), (0, np.int32(-1).view(np.float32)),
                          (NEAREST, np.float32(2)), (NEAREST, np.float32(np.nan))],
)  # fmt: skip
def test_a_neighbour_that_is_no_text_or_no_share_is_refused(column, value, packed, workspace, tmp_path):
    members = members_of(packed)
    name, member, stored = lists_of(members)
    stored[0, column] = value
    script = f"UPDATE vector SET crc = {zlib.crc32(stored[0].tobytes())} WHERE model = '{name}' AND row = 0"
    archive = with_content(script)(tmp_path / "lists.zip", members)
    archive = packed_with(tmp_path / "hostile.zip", members_of(archive), member, stored.tobytes())
    check_refused(archive, workspace, "has a neighbour that is no text, or a weight|has a number that is not finite")


def test_lists_of_neighbours_of_another_length_are_refused(packed, workspace, tmp_path):
    members = members_of(packed)
    name, member, stored = lists_of(members)
    half = stored.reshape(-1, NEAREST)[: len(stored)]
    sums = "".join(
        f"UPDATE vector SET crc = {zlib.crc32(each.tobytes())} WHERE model = '{name}' AND row = {row};"
        for row, each in enumerate(half)
    )
    script = f"{sums} UPDATE vector_model SET dimensions = {NEAREST} WHERE model = '{name}'"
    archive = with_content(script)(tmp_path / "lists.zip", members)
    archive = packed_with(tmp_path / "hostile.zip", members_of(archive), member, half.tobytes())
    check_refused(archive, workspace, "has a neighbour that is no text")


@pytest.mark.parametrize("newest", [True, False])
def test_only_the_newest_model_needs_its_vectors(newest, packed, workspace, tmp_path):
    members = members_of(packed)
    member = MODEL if newest else "rounds/1.npz"
    (path := tmp_path / "arrays.npz").write_bytes(members[member])
    stored = load_arrays(path)
    words = np.array([*stored["words"][:2].tolist(), "nearest-removed-56", str(stored["words"][3])])
    save_arrays(path, **(stored | {"words": words}))
    archive = packed_with(tmp_path / "b.zip", members, member, path.read_bytes())
    if newest:
        check_refused(archive, workspace, f"{member} does not hold the arrays")
    else:
        assert restore(workspace, archive).name == "small"


def test_a_model_of_a_round_that_does_not_exist_is_refused(packed, workspace, tmp_path):
    members = members_of(packed)
    archive = packed_with(tmp_path / "hostile.zip", members, "rounds/3.npz", members[MODEL])
    check_refused(archive, workspace, "rounds/3.npz does not hold the arrays")


def test_a_model_and_figures_of_an_earlier_version_are_restored(packed, workspace, tmp_path):
    members = members_of(packed)
    optional = ("forecast", "training_rows", "worth_judging", "none_share", "compared", "encoder", "tokens", "money")
    paths = ", ".join(f"'$.{name}'" for name in optional)
    script = f"UPDATE round SET metrics = json_remove(metrics, {paths})"
    archive = with_content(script)(tmp_path / "old.zip", members)
    (path := tmp_path / "arrays.npz").write_bytes(members[MODEL])
    save_arrays(path, **{name: array for name, array in load_arrays(path).items() if name not in {"numbers", "seeds"}})
    project = restore(workspace, packed_with(tmp_path / "older.zip", members_of(archive), MODEL, path.read_bytes()))
    assert project_status(project)["plan"] is None
    with pytest.raises(StoreError, match="too old to be read"):
        load_model(model_file(project, 2))


def test_a_check_that_takes_too_long_is_stopped(packed, workspace, monkeypatch):
    monkeypatch.setattr("red_core.data.backup.CHECK_SECONDS", 0.05)
    with pytest.raises(InputError, match="takes longer than") as caught:
        restore(workspace, packed)
    refusal(caught)
    assert list(workspace.iterdir()) == []


def test_a_restored_project_has_an_id_of_its_own(backed_up, packed, workspace):
    original = open_project(backed_up / "workspace", "small")
    one, other = restore(workspace, packed, "one"), restore(workspace, packed, "other")
    assert len({original.id, one.id, other.id, ""}) == 4
